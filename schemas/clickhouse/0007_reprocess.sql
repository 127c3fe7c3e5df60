-- Apply with the workers stopped: a view is made anew.
-- A row that is judged again keeps its position; `judged` tells it from the row whose place it takes. 0: by the worker that
-- took the message; then one more each time.
ALTER TABLE insights ADD COLUMN IF NOT EXISTS judged UInt32 DEFAULT 0;
ALTER TABLE retractions ADD COLUMN IF NOT EXISTS judged UInt32 DEFAULT 0;
ALTER TABLE aspect_mentions ADD COLUMN IF NOT EXISTS judged UInt32 DEFAULT 0;
DROP VIEW IF EXISTS mv_aspect_mentions;
CREATE MATERIALIZED VIEW IF NOT EXISTS mv_aspect_mentions TO aspect_mentions AS
SELECT
    product,
    mention.1 AS aspect,
    mention.2 AS sentiment,
    mention.3 AS confidence,
    mention.4 AS start,
    mention.5 AS end,
    substringUTF8(text, mention.4 + 1, mention.5 - mention.4) AS evidence,
    source,
    event_id,
    language,
    pack_version,
    event_time,
    topic,
    topic_id,
    partition,
    offset,
    judged
FROM insights
ARRAY JOIN arrayZip(`aspects.aspect`, `aspects.sentiment`, `aspects.confidence`, `aspects.start`, `aspects.end`) AS mention;

-- Rows that were judged again and are about to take their old ones' place: a page is whole from its one insert until its
-- partition is dropped. `insight` is the new row as JSON. See workers/store/pages.py.
CREATE TABLE IF NOT EXISTS pages
(
    page String,
    source LowCardinality(String),
    event_id String,
    judged UInt32,
    insight String CODEC(ZSTD(3)),
    staged_at DateTime64(3, 'UTC') DEFAULT now64(3),
    lease_until DateTime64(3, 'UTC'),
    CONSTRAINT inserted_under_lease CHECK now64(3) < lease_until
)
ENGINE = MergeTree
PARTITION BY page
ORDER BY (source, event_id);

-- Who is about to change the row of an event: a worker with an update at a position (`page` is empty), or a page that is
-- being chosen until `until`. No deduplication window: a claim that is made again is a new one.
CREATE TABLE IF NOT EXISTS claims
(
    source LowCardinality(String),
    event_id String,
    topic LowCardinality(String),
    topic_id LowCardinality(String),
    partition UInt32,
    offset UInt64,
    page String,
    until DateTime64(3, 'UTC'),
    released Bool DEFAULT false,
    made_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = MergeTree
ORDER BY (source, event_id)
TTL toDateTime(made_at) + INTERVAL 2 DAY;
