-- Who may do what in ClickHouse. For an administrator, after `voxpop migrate`, on a server with SQL access management:
--     clickhouse-client --multiquery < deploy/clickhouse/roles.sql
-- Nobody can log in as these users until they get a password and a place to come from:
--     ALTER USER voxpop_dashboard IDENTIFIED BY '…' HOST ANY;
-- then VOXPOP_CLICKHOUSE__USERNAME=voxpop_dashboard for `voxpop dashboard`, and VOXPOP_DASHBOARD__FEEDBACK_USERNAME and
-- FEEDBACK_PASSWORD for the corrections of its page Review and for who read texts (the audit). Running the file again changes nothing.

-- readonly = 2: reads alone, with settings of one's own within these limits; no statement can lift it. Nor can one keep a query
-- out of system.query_log, which says who read what by SQL (who_read.sql).
CREATE SETTINGS PROFILE IF NOT EXISTS voxpop_reads SETTINGS
    readonly = 2,
    log_queries = 1 CONST,
    log_queries_min_type = 'QUERY_START' CONST,
    log_queries_min_query_duration_ms = 0 CONST,
    log_queries_probability = 1 CONST,
    max_execution_time = 60 MIN 1 MAX 300,
    max_memory_usage = 4000000000 MIN 1 MAX 8000000000,
    max_rows_to_read = 1000000000 MIN 1 MAX 10000000000;

-- Analysts: every table and view but the dead letters, which hold what people wrote as it came, unredacted.
CREATE ROLE IF NOT EXISTS voxpop_analyst_role SETTINGS PROFILE 'voxpop_reads';
GRANT SELECT ON voxpop.* TO voxpop_analyst_role;
REVOKE SELECT ON voxpop.dead_letters FROM voxpop_analyst_role;

-- The dashboard: the same, and of the dead letters what was wrong and where, never key, value or headers.
CREATE ROLE IF NOT EXISTS voxpop_dashboard_role SETTINGS PROFILE 'voxpop_reads';
GRANT SELECT ON voxpop.* TO voxpop_dashboard_role;
REVOKE SELECT ON voxpop.dead_letters FROM voxpop_dashboard_role;
GRANT SELECT(topic, partition, offset, reason, sentence, failed_at) ON voxpop.dead_letters TO voxpop_dashboard_role;

-- What people correct, and who read texts on the dashboard: rows are added to two tables, and nothing is read.
CREATE ROLE IF NOT EXISTS voxpop_feedback_role;
GRANT INSERT ON voxpop.feedback TO voxpop_feedback_role;
GRANT INSERT ON voxpop.audit TO voxpop_feedback_role;

-- Dead letters, bytes and all: for those who mend what was refused.
CREATE ROLE IF NOT EXISTS voxpop_dead_letters_role SETTINGS PROFILE 'voxpop_reads';
GRANT SELECT ON voxpop.dead_letters TO voxpop_dead_letters_role;

-- What each analyst may cost the others; the profile above bounds a single query.
CREATE QUOTA IF NOT EXISTS voxpop_analysts KEYED BY user_name
    FOR INTERVAL 1 minute MAX queries = 300, execution_time = 120,
    FOR INTERVAL 1 day MAX queries = 50000, read_rows = 1000000000000, execution_time = 28800
    TO voxpop_analyst_role;

CREATE USER IF NOT EXISTS voxpop_analyst HOST NONE DEFAULT ROLE voxpop_analyst_role;
CREATE USER IF NOT EXISTS voxpop_dashboard HOST NONE DEFAULT ROLE voxpop_dashboard_role;
CREATE USER IF NOT EXISTS voxpop_feedback HOST NONE DEFAULT ROLE voxpop_feedback_role;
