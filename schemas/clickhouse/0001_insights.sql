-- One row per valid event. The deduplication window makes a repeated block (same insert_deduplication_token) a no-op;
-- its size must exceed the number of blocks that may be inserted between a block's insert and its repetition.
CREATE TABLE IF NOT EXISTS insights
(
    topic LowCardinality(String),
    topic_id LowCardinality(String),
    partition UInt32,
    offset UInt64,
    event_id String,
    kind LowCardinality(String),
    source LowCardinality(String),
    product LowCardinality(String),
    text String CODEC(ZSTD(3)),
    title String CODEC(ZSTD(3)),
    rating Nullable(Float32),
    author String,
    url String CODEC(ZSTD(3)),
    metadata Map(LowCardinality(String), String),
    language LowCardinality(String),
    sentiment Enum8('negative' = -1, 'neutral' = 0, 'positive' = 1),
    sentiment_score Float32,
    sentiment_confidence Float32,
    `aspects.aspect` Array(LowCardinality(String)),
    `aspects.sentiment` Array(Enum8('negative' = -1, 'neutral' = 0, 'positive' = 1)),
    `aspects.confidence` Array(Float32),
    `aspects.start` Array(UInt32),
    `aspects.end` Array(UInt32),
    intents Array(LowCardinality(String)),
    emotion LowCardinality(String),
    urgency Float32,
    toxicity Float32,
    headline String CODEC(ZSTD(3)),
    method Enum8('none' = 0, 'extractive' = 1, 'abstractive' = 2),
    pack LowCardinality(String),
    pack_version LowCardinality(String),
    route LowCardinality(String),
    redactions Map(LowCardinality(String), UInt16),
    flags Array(LowCardinality(String)),
    event_time DateTime64(3, 'UTC'),
    ingested_at DateTime64(3, 'UTC')
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(event_time)
ORDER BY (product, event_time, source, event_id)
SETTINGS non_replicated_deduplication_window = {deduplication_window};

-- Which events are in, for the resend check: a point look-up by (source, event_id).
CREATE TABLE IF NOT EXISTS event_keys
(
    source LowCardinality(String),
    event_id String,
    topic LowCardinality(String),
    topic_id LowCardinality(String),
    partition UInt32,
    offset UInt64,
    ingested_at DateTime64(3, 'UTC')
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(ingested_at)
ORDER BY (source, event_id)
TTL toDateTime(ingested_at) + INTERVAL 400 DAY
SETTINGS non_replicated_deduplication_window = {deduplication_window};

CREATE MATERIALIZED VIEW IF NOT EXISTS mv_event_keys TO event_keys AS
SELECT source, event_id, topic, topic_id, partition, offset, ingested_at FROM insights;
