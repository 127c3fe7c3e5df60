-- Who read what people wrote by SQL, the latest first: queries of the last thirty days that named a column which holds words of theirs
-- or who they are. For an administrator, who may read system.query_log:
--     clickhouse-client --query "SYSTEM FLUSH LOGS" && clickhouse-client --format PrettyCompact < deploy/clickhouse/who_read.sql
-- `voxpop_dashboard` reads for people whom the table `audit` names. Columns of a view are those of the tables behind it, too.
WITH
    [
        'voxpop.alerts.quotes', 'voxpop.aspect_mentions.evidence', 'voxpop.briefs.sentences', 'voxpop.briefs.statements',
        'voxpop.dead_letters.headers', 'voxpop.dead_letters.key', 'voxpop.dead_letters.value', 'voxpop.digests.sentences',
        'voxpop.insights.author', 'voxpop.insights.headline', 'voxpop.insights.metadata', 'voxpop.insights.text',
        'voxpop.insights.title', 'voxpop.insights.url', 'voxpop.pages.insight', 'voxpop.v_alerts.quotes',
        'voxpop.v_digests.sentence', 'voxpop.v_recent.headline', 'voxpop.v_recent.text', 'voxpop.v_recent.title',
        'voxpop.v_top_issues.example'
    ] AS words
SELECT
    event_time,
    user,
    toString(address) AS from_address,
    if(client_name != '', client_name, http_user_agent) AS program,
    type,
    result_rows,
    arraySort(arrayFilter(name -> name IN words, columns)) AS words_read,
    hex(normalized_query_hash) AS statement
FROM system.query_log
WHERE event_date >= today() - 30 AND type != 'QueryStart' AND query_kind = 'Select' AND is_initial_query
    AND hasAny(columns, words)
ORDER BY event_time DESC
LIMIT 1000
