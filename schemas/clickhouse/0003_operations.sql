-- Messages that could not be used. The only place that keeps raw bytes, so it is short-lived and read by a role of its own.
CREATE TABLE IF NOT EXISTS dead_letters
(
    topic LowCardinality(String),
    topic_id LowCardinality(String),
    partition UInt32,
    offset UInt64,
    key Nullable(String),
    value Nullable(String) CODEC(ZSTD(3)),
    headers Array(Tuple(name String, value String)),
    reason LowCardinality(String),
    sentence String,
    failed_at DateTime64(3, 'UTC')
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(failed_at)
ORDER BY (topic, partition, offset)
TTL toDateTime(failed_at) + INTERVAL {dead_letter_days} DAY
SETTINGS non_replicated_deduplication_window = {deduplication_window};

-- Paragraphs about a product and a window of time; every sentence cites the events it rests on.
CREATE TABLE IF NOT EXISTS digests
(
    product LowCardinality(String),
    window_start DateTime('UTC'),
    window_end DateTime('UTC'),
    revision UInt32,
    texts UInt64,
    sentences Array(String),
    citations Array(Array(String)),
    support Array(Float32),
    method LowCardinality(String),
    pack LowCardinality(String),
    pack_version LowCardinality(String),
    created_at DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(revision)
PARTITION BY toYYYYMM(window_start)
ORDER BY (product, window_start, window_end, pack_version)
SETTINGS non_replicated_deduplication_window = {deduplication_window};

CREATE TABLE IF NOT EXISTS alerts
(
    alert_id String,
    product LowCardinality(String),
    aspect LowCardinality(String),
    kind LowCardinality(String),
    window_start DateTime('UTC'),
    window_end DateTime('UTC'),
    observed Float64,
    expected Float64,
    severity LowCardinality(String),
    event_ids Array(String),
    raised_at DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(raised_at)
PARTITION BY toYYYYMM(window_start)
ORDER BY (product, kind, aspect, window_start, alert_id)
SETTINGS non_replicated_deduplication_window = {deduplication_window};
