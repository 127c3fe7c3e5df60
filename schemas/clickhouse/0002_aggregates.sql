-- Aggregates are fed by materialized views in the same insert, under the same deduplication token.
CREATE TABLE IF NOT EXISTS aspect_mentions
(
    product LowCardinality(String),
    aspect LowCardinality(String),
    sentiment Enum8('negative' = -1, 'neutral' = 0, 'positive' = 1),
    confidence Float32,
    start UInt32,
    end UInt32,
    evidence String CODEC(ZSTD(3)),
    source LowCardinality(String),
    event_id String,
    language LowCardinality(String),
    pack_version LowCardinality(String),
    event_time DateTime64(3, 'UTC')
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(event_time)
ORDER BY (product, aspect, event_time, source, event_id)
SETTINGS non_replicated_deduplication_window = {deduplication_window};

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
    event_time
FROM insights
ARRAY JOIN arrayZip(`aspects.aspect`, `aspects.sentiment`, `aspects.confidence`, `aspects.start`, `aspects.end`) AS mention;

CREATE TABLE IF NOT EXISTS sentiment_hourly
(
    hour DateTime('UTC'),
    product LowCardinality(String),
    source LowCardinality(String),
    language LowCardinality(String),
    texts UInt64,
    negative UInt64,
    neutral UInt64,
    positive UInt64,
    score_sum Float64,
    rating_sum Float64,
    ratings UInt64,
    urgent UInt64
)
ENGINE = SummingMergeTree((texts, negative, neutral, positive, score_sum, rating_sum, ratings, urgent))
PARTITION BY toYYYYMM(hour)
ORDER BY (product, hour, source, language)
SETTINGS non_replicated_deduplication_window = {deduplication_window};

CREATE MATERIALIZED VIEW IF NOT EXISTS mv_sentiment_hourly TO sentiment_hourly AS
SELECT
    toStartOfHour(event_time) AS hour,
    product,
    source,
    language,
    count() AS texts,
    countIf(sentiment = 'negative') AS negative,
    countIf(sentiment = 'neutral') AS neutral,
    countIf(sentiment = 'positive') AS positive,
    sum(toFloat64(sentiment_score)) AS score_sum,
    sum(toFloat64(ifNull(rating, 0))) AS rating_sum,
    count(rating) AS ratings,
    countIf(urgency >= 0.5) AS urgent
FROM insights
GROUP BY hour, product, source, language;

CREATE TABLE IF NOT EXISTS aspects_daily
(
    day Date,
    product LowCardinality(String),
    aspect LowCardinality(String),
    mentions UInt64,
    negative UInt64,
    neutral UInt64,
    positive UInt64
)
ENGINE = SummingMergeTree((mentions, negative, neutral, positive))
PARTITION BY toYYYYMM(day)
ORDER BY (product, aspect, day)
SETTINGS non_replicated_deduplication_window = {deduplication_window};

CREATE MATERIALIZED VIEW IF NOT EXISTS mv_aspects_daily TO aspects_daily AS
SELECT
    toDate(event_time) AS day,
    product,
    mention.1 AS aspect,
    count() AS mentions,
    countIf(mention.2 = 'negative') AS negative,
    countIf(mention.2 = 'neutral') AS neutral,
    countIf(mention.2 = 'positive') AS positive
FROM insights
ARRAY JOIN arrayZip(`aspects.aspect`, `aspects.sentiment`) AS mention
GROUP BY day, product, aspect;
