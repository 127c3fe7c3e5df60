-- Apply with the workers stopped: what is stored is counted once more, and retractions get columns that workers fill.
-- What people say of the model's labels. Rows are only added; of several about a text the latest counts. The text itself is in
-- insights, redacted; content_hash tells whether it is still the one that was read.
CREATE TABLE IF NOT EXISTS feedback
(
    source LowCardinality(String),
    event_id String,
    content_hash String,
    product LowCardinality(String),
    head LowCardinality(String),
    old_label LowCardinality(String),
    new_label LowCardinality(String),
    confidence Float32,
    pack LowCardinality(String),
    pack_version LowCardinality(String),
    corrected_by LowCardinality(String),
    corrected_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = MergeTree
ORDER BY (source, event_id, head, corrected_at);

-- What the model said of a day's texts and how sure it was: for the days of everything, certainty, drift and the packs in use.
-- Few rows however many texts there are. `band` is the confidence in tenths, 0 to 9.
CREATE TABLE IF NOT EXISTS judgements_daily
(
    day Date,
    language LowCardinality(String),
    pack LowCardinality(String),
    pack_version LowCardinality(String),
    band UInt8,
    texts Int64,
    negative Int64,
    neutral Int64,
    positive Int64,
    score_sum Float64,
    confidence_sum Float64,
    unsure Int64,
    no_emotion Int64,
    latest SimpleAggregateFunction(max, DateTime64(3, 'UTC'))
)
ENGINE = SummingMergeTree((texts, negative, neutral, positive, score_sum, confidence_sum, unsure, no_emotion))
PARTITION BY toYYYYMM(day)
ORDER BY (day, language, pack, pack_version, band)
SETTINGS non_replicated_deduplication_window = {deduplication_window};

ALTER TABLE retractions
    ADD COLUMN IF NOT EXISTS sentiment_confidence Float32,
    ADD COLUMN IF NOT EXISTS emotion LowCardinality(String),
    ADD COLUMN IF NOT EXISTS flags Array(LowCardinality(String)),
    ADD COLUMN IF NOT EXISTS pack LowCardinality(String),
    ADD COLUMN IF NOT EXISTS pack_version LowCardinality(String);

DROP VIEW IF EXISTS mv_judgements_daily;
DROP VIEW IF EXISTS mv_judgements_daily_retracted;
TRUNCATE TABLE judgements_daily;
INSERT INTO judgements_daily
SELECT
    toDate(event_time) AS day,
    language,
    pack,
    pack_version,
    toUInt8(least(floor(sentiment_confidence * 10), 9)) AS band,
    toInt64(count()) AS texts,
    toInt64(countIf(sentiment = 'negative')) AS negative,
    toInt64(countIf(sentiment = 'neutral')) AS neutral,
    toInt64(countIf(sentiment = 'positive')) AS positive,
    sum(toFloat64(sentiment_score)) AS score_sum,
    sum(toFloat64(sentiment_confidence)) AS confidence_sum,
    toInt64(countIf(has(flags, 'unsure'))) AS unsure,
    toInt64(countIf(emotion = '')) AS no_emotion,
    max(ingested_at) AS latest
FROM insights
GROUP BY day, language, pack, pack_version, band
SETTINGS max_partitions_per_insert_block = 0;

CREATE MATERIALIZED VIEW IF NOT EXISTS mv_judgements_daily TO judgements_daily AS
SELECT
    toDate(event_time) AS day,
    language,
    pack,
    pack_version,
    toUInt8(least(floor(sentiment_confidence * 10), 9)) AS band,
    toInt64(count()) AS texts,
    toInt64(countIf(sentiment = 'negative')) AS negative,
    toInt64(countIf(sentiment = 'neutral')) AS neutral,
    toInt64(countIf(sentiment = 'positive')) AS positive,
    sum(toFloat64(sentiment_score)) AS score_sum,
    sum(toFloat64(sentiment_confidence)) AS confidence_sum,
    toInt64(countIf(has(flags, 'unsure'))) AS unsure,
    toInt64(countIf(emotion = '')) AS no_emotion,
    max(ingested_at) AS latest
FROM insights
GROUP BY day, language, pack, pack_version, band;

CREATE MATERIALIZED VIEW IF NOT EXISTS mv_judgements_daily_retracted TO judgements_daily AS
SELECT
    toDate(event_time) AS day,
    language,
    pack,
    pack_version,
    toUInt8(least(floor(sentiment_confidence * 10), 9)) AS band,
    -toInt64(count()) AS texts,
    -toInt64(countIf(sentiment = 'negative')) AS negative,
    -toInt64(countIf(sentiment = 'neutral')) AS neutral,
    -toInt64(countIf(sentiment = 'positive')) AS positive,
    -sum(toFloat64(sentiment_score)) AS score_sum,
    -sum(toFloat64(sentiment_confidence)) AS confidence_sum,
    -toInt64(countIf(has(flags, 'unsure'))) AS unsure,
    -toInt64(countIf(emotion = '')) AS no_emotion,
    toDateTime64(0, 3, 'UTC') AS latest
FROM retractions
GROUP BY day, language, pack, pack_version, band;
