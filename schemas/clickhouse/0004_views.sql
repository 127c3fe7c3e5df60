-- The stable face for product teams. Columns are added, never renamed or removed.
CREATE VIEW IF NOT EXISTS v_product_daily AS
SELECT
    toDate(hour) AS day,
    product,
    sum(texts) AS volume,
    sum(sentiment_hourly.negative) AS negative,
    sum(sentiment_hourly.neutral) AS neutral,
    sum(sentiment_hourly.positive) AS positive,
    round(negative / volume, 4) AS negative_share,
    round(positive / volume, 4) AS positive_share,
    round(sum(score_sum) / volume, 4) AS mean_score,
    if(sum(ratings) = 0, NULL, round(sum(rating_sum) / sum(ratings), 3)) AS mean_rating,
    sum(sentiment_hourly.urgent) AS urgent
FROM sentiment_hourly
GROUP BY day, product;

-- Per day: an aspect's mentions and their polarity, beside its mean over the seven calendar days before.
CREATE VIEW IF NOT EXISTS v_aspect_trends AS
SELECT
    day,
    product,
    aspect,
    sum(aspects_daily.mentions) AS mentions,
    sum(aspects_daily.negative) AS negative,
    sum(aspects_daily.neutral) AS neutral,
    sum(aspects_daily.positive) AS positive,
    round(negative / mentions, 4) AS negative_share,
    round(sum(negative) OVER week / 7, 3) AS negative_mean_7d_before,
    round(sum(mentions) OVER week / 7, 3) AS mentions_mean_7d_before
FROM aspects_daily
GROUP BY day, product, aspect
WINDOW week AS (PARTITION BY product, aspect ORDER BY day RANGE BETWEEN 7 PRECEDING AND 1 PRECEDING);

-- What each product's customers complain of most in its latest seven days of data, with a text to read.
CREATE VIEW IF NOT EXISTS v_top_issues AS
WITH latest AS (SELECT product, max(event_time) AS until FROM aspect_mentions GROUP BY product)
SELECT
    m.product AS product,
    m.aspect AS aspect,
    count() AS mentions,
    countIf(m.sentiment = 'negative') AS negative,
    round(negative / mentions, 4) AS negative_share,
    argMaxIf(m.evidence, m.confidence, m.sentiment = 'negative') AS example,
    argMaxIf(m.event_id, m.confidence, m.sentiment = 'negative') AS example_event_id,
    max(m.event_time) AS last_seen
FROM aspect_mentions AS m
INNER JOIN latest AS l ON m.product = l.product
WHERE m.event_time > l.until - INTERVAL 7 DAY
GROUP BY product, aspect
HAVING negative > 0;

CREATE VIEW IF NOT EXISTS v_recent AS
SELECT
    event_time,
    product,
    source,
    kind,
    language,
    sentiment,
    sentiment_score,
    sentiment_confidence,
    text,
    title,
    rating,
    `aspects.aspect` AS aspects,
    `aspects.sentiment` AS aspect_sentiments,
    intents,
    emotion,
    urgency,
    toxicity,
    headline,
    method,
    route,
    pack,
    pack_version,
    event_id,
    ingested_at,
    topic,
    partition,
    offset
FROM insights
ORDER BY event_time DESC;
