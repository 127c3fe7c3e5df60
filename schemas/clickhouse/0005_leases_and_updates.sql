-- Apply with the workers stopped: views that feed aggregates are made anew. (Not by MODIFY QUERY: until its next start, a
-- server from which a view was modified recognises no block that the view had taken before that start; seen on 26.9.)
-- Fencing: a row is refused once the lease under which its block may be inserted has ended, by this server's own clock. A
-- worker that was stopped between declaring a block and inserting it, and wakes after its token has been forgotten, cannot
-- insert it a second time.
ALTER TABLE insights ADD COLUMN IF NOT EXISTS content_hash String AFTER event_id;
ALTER TABLE insights ADD COLUMN IF NOT EXISTS lease_until DateTime64(3, 'UTC') DEFAULT toDateTime64('2100-01-01 00:00:00', 3, 'UTC') CODEC(ZSTD(1));
ALTER TABLE insights ADD CONSTRAINT IF NOT EXISTS inserted_under_lease CHECK now64(3) < lease_until;
-- Whether a block in doubt is in is asked by position.
ALTER TABLE insights ADD INDEX IF NOT EXISTS by_offset (topic, partition, offset) TYPE minmax GRANULARITY 4;

ALTER TABLE dead_letters ADD COLUMN IF NOT EXISTS lease_until DateTime64(3, 'UTC') DEFAULT toDateTime64('2100-01-01 00:00:00', 3, 'UTC') CODEC(ZSTD(1));
ALTER TABLE dead_letters ADD CONSTRAINT IF NOT EXISTS inserted_under_lease CHECK now64(3) < lease_until;

-- Resends and updates: every version of an event that was seen, and where its row lies.
ALTER TABLE event_keys ADD COLUMN IF NOT EXISTS content_hash String;
ALTER TABLE event_keys ADD COLUMN IF NOT EXISTS product LowCardinality(String);
ALTER TABLE event_keys ADD COLUMN IF NOT EXISTS event_time DateTime64(3, 'UTC');
DROP VIEW IF EXISTS mv_event_keys;
CREATE MATERIALIZED VIEW IF NOT EXISTS mv_event_keys TO event_keys AS
SELECT source, event_id, topic, topic_id, partition, offset, ingested_at, content_hash, product, event_time FROM insights;

ALTER TABLE aspect_mentions ADD COLUMN IF NOT EXISTS topic LowCardinality(String);
ALTER TABLE aspect_mentions ADD COLUMN IF NOT EXISTS topic_id LowCardinality(String);
ALTER TABLE aspect_mentions ADD COLUMN IF NOT EXISTS partition UInt32;
ALTER TABLE aspect_mentions ADD COLUMN IF NOT EXISTS offset UInt64;
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
    offset
FROM insights
ARRAY JOIN arrayZip(`aspects.aspect`, `aspects.sentiment`, `aspects.confidence`, `aspects.start`, `aspects.end`) AS mention;

-- What a newer version of an event replaced: the figures of its old row, which are taken off the aggregates. No text.
CREATE TABLE IF NOT EXISTS retractions
(
    source LowCardinality(String),
    event_id String,
    topic LowCardinality(String),
    topic_id LowCardinality(String),
    partition UInt32,
    offset UInt64,
    product LowCardinality(String),
    language LowCardinality(String),
    event_time DateTime64(3, 'UTC'),
    rating Nullable(Float32),
    sentiment Enum8('negative' = -1, 'neutral' = 0, 'positive' = 1),
    sentiment_score Float32,
    urgency Float32,
    `aspects.aspect` Array(LowCardinality(String)),
    `aspects.sentiment` Array(Enum8('negative' = -1, 'neutral' = 0, 'positive' = 1)),
    reason LowCardinality(String),
    retracted_at DateTime64(3, 'UTC'),
    lease_until DateTime64(3, 'UTC') DEFAULT toDateTime64('2100-01-01 00:00:00', 3, 'UTC') CODEC(ZSTD(1)),
    CONSTRAINT inserted_under_lease CHECK now64(3) < lease_until
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(event_time)
ORDER BY (source, event_id)
SETTINGS non_replicated_deduplication_window = {deduplication_window};

ALTER TABLE sentiment_hourly
    MODIFY COLUMN texts Int64, MODIFY COLUMN negative Int64, MODIFY COLUMN neutral Int64, MODIFY COLUMN positive Int64,
    MODIFY COLUMN ratings Int64, MODIFY COLUMN urgent Int64;
ALTER TABLE aspects_daily
    MODIFY COLUMN mentions Int64, MODIFY COLUMN negative Int64, MODIFY COLUMN neutral Int64, MODIFY COLUMN positive Int64;
DROP VIEW IF EXISTS mv_sentiment_hourly;
CREATE MATERIALIZED VIEW IF NOT EXISTS mv_sentiment_hourly TO sentiment_hourly AS
SELECT
    toStartOfHour(event_time) AS hour,
    product,
    source,
    language,
    toInt64(count()) AS texts,
    toInt64(countIf(sentiment = 'negative')) AS negative,
    toInt64(countIf(sentiment = 'neutral')) AS neutral,
    toInt64(countIf(sentiment = 'positive')) AS positive,
    sum(toFloat64(sentiment_score)) AS score_sum,
    sum(toFloat64(ifNull(rating, 0))) AS rating_sum,
    toInt64(count(rating)) AS ratings,
    toInt64(countIf(urgency >= 0.5)) AS urgent
FROM insights
GROUP BY hour, product, source, language;
DROP VIEW IF EXISTS mv_aspects_daily;
CREATE MATERIALIZED VIEW IF NOT EXISTS mv_aspects_daily TO aspects_daily AS
SELECT
    toDate(event_time) AS day,
    product,
    mention.1 AS aspect,
    toInt64(count()) AS mentions,
    toInt64(countIf(mention.2 = 'negative')) AS negative,
    toInt64(countIf(mention.2 = 'neutral')) AS neutral,
    toInt64(countIf(mention.2 = 'positive')) AS positive
FROM insights
ARRAY JOIN arrayZip(`aspects.aspect`, `aspects.sentiment`) AS mention
GROUP BY day, product, aspect;

CREATE MATERIALIZED VIEW IF NOT EXISTS mv_sentiment_hourly_retracted TO sentiment_hourly AS
SELECT
    toStartOfHour(event_time) AS hour,
    product,
    source,
    language,
    -toInt64(count()) AS texts,
    -toInt64(countIf(sentiment = 'negative')) AS negative,
    -toInt64(countIf(sentiment = 'neutral')) AS neutral,
    -toInt64(countIf(sentiment = 'positive')) AS positive,
    -sum(toFloat64(sentiment_score)) AS score_sum,
    -sum(toFloat64(ifNull(rating, 0))) AS rating_sum,
    -toInt64(count(rating)) AS ratings,
    -toInt64(countIf(urgency >= 0.5)) AS urgent
FROM retractions
GROUP BY hour, product, source, language;

CREATE MATERIALIZED VIEW IF NOT EXISTS mv_aspects_daily_retracted TO aspects_daily AS
SELECT
    toDate(event_time) AS day,
    product,
    mention.1 AS aspect,
    -toInt64(count()) AS mentions,
    -toInt64(countIf(mention.2 = 'negative')) AS negative,
    -toInt64(countIf(mention.2 = 'neutral')) AS neutral,
    -toInt64(countIf(mention.2 = 'positive')) AS positive
FROM retractions
ARRAY JOIN arrayZip(`aspects.aspect`, `aspects.sentiment`) AS mention
GROUP BY day, product, aspect;

-- The views leave out what has been taken off to the last text.
CREATE OR REPLACE VIEW v_product_daily AS
SELECT
    toDate(hour) AS day,
    product,
    toUInt64(sum(texts)) AS volume,
    toUInt64(sum(sentiment_hourly.negative)) AS negative,
    toUInt64(sum(sentiment_hourly.neutral)) AS neutral,
    toUInt64(sum(sentiment_hourly.positive)) AS positive,
    round(negative / volume, 4) AS negative_share,
    round(positive / volume, 4) AS positive_share,
    round(sum(score_sum) / volume, 4) AS mean_score,
    if(sum(ratings) = 0, NULL, round(sum(rating_sum) / sum(ratings), 3)) AS mean_rating,
    toUInt64(sum(sentiment_hourly.urgent)) AS urgent
FROM sentiment_hourly
GROUP BY day, product
HAVING volume > 0;

CREATE OR REPLACE VIEW v_aspect_trends AS
SELECT
    day,
    product,
    aspect,
    mentions,
    negative,
    neutral,
    positive,
    round(negative / mentions, 4) AS negative_share,
    round(sum(negative) OVER week / 7, 3) AS negative_mean_7d_before,
    round(sum(mentions) OVER week / 7, 3) AS mentions_mean_7d_before
FROM
(
    SELECT
        day,
        product,
        aspect,
        toUInt64(sum(aspects_daily.mentions)) AS mentions,
        toUInt64(sum(aspects_daily.negative)) AS negative,
        toUInt64(sum(aspects_daily.neutral)) AS neutral,
        toUInt64(sum(aspects_daily.positive)) AS positive
    FROM aspects_daily
    GROUP BY day, product, aspect
    HAVING mentions > 0
)
WINDOW week AS (PARTITION BY product, aspect ORDER BY day RANGE BETWEEN 7 PRECEDING AND 1 PRECEDING);
