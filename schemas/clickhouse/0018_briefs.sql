-- Safe while workers run. Weekly briefs that a larger model wrote of the digests and figures of a week, checked sentence by
-- sentence. Rows are only added; of several about a week and the same products the newest counts. Erased as digests are.
CREATE TABLE IF NOT EXISTS briefs
(
    week LowCardinality(String),
    window_start DateTime('UTC'),
    window_end DateTime('UTC'),
    products Array(String),
    product_of Array(String),
    sentences Array(String),
    statements Array(Array(String)),
    citations Array(Array(String)),
    cited_sources Array(Array(String)),
    support Array(Float32),
    quoted Array(Bool),
    model LowCardinality(String),
    pack LowCardinality(String),
    pack_version LowCardinality(String),
    cost Float64,
    created_at DateTime64(3, 'UTC')
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(window_start)
ORDER BY (week, created_at)
TTL window_end + INTERVAL 400 DAY
SETTINGS enable_block_number_column = 1, enable_block_offset_column = 1;
