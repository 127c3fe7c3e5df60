-- What heads of the user's own say (`voxpop train`): head -> the labels it gives. Safe while workers run: rows of workers that
-- do not know the column yet have an empty map.
ALTER TABLE insights ADD COLUMN IF NOT EXISTS labels Map(LowCardinality(String), Array(LowCardinality(String))) AFTER flags;

CREATE OR REPLACE VIEW v_recent AS
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
    offset,
    labels
FROM insights
ORDER BY event_time DESC;
