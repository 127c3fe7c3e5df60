-- Safe while workers run. What became of each headline that a generator wrote: a text whose headline was refused is not tried
-- again by the same generator, and a headline's generator and its cost can be traced. No text.
CREATE TABLE IF NOT EXISTS headlines
(
    source LowCardinality(String),
    event_id String,
    content_hash String,
    generator LowCardinality(String),
    generator_version LowCardinality(String),
    written_at DateTime64(3, 'UTC') DEFAULT now64(3),
    tokens UInt32,
    outcome LowCardinality(String)
)
ENGINE = ReplacingMergeTree(written_at)
PARTITION BY toYYYYMM(written_at)
ORDER BY (source, event_id, content_hash, generator, generator_version)
SETTINGS enable_block_number_column = 1, enable_block_offset_column = 1;
