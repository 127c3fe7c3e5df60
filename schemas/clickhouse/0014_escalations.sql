-- Safe while workers run. Every call to the escalation endpoint: budgets are counted from it, so that a restart resets none,
-- and an answer that is here is never asked for again. Before a call a row says that it failed (revision 0), with the most
-- that it may take; what came of it takes that row's place (revision 1). No text, no key.
CREATE TABLE IF NOT EXISTS escalations
(
    call String,
    revision UInt8,
    asked_at DateTime64(3, 'UTC'),
    source LowCardinality(String),
    event_id String,
    content_hash String,
    product LowCardinality(String),
    pack LowCardinality(String),
    pack_version LowCardinality(String),
    model LowCardinality(String),
    reason LowCardinality(String),
    calls UInt8,
    prompt_tokens UInt32,
    answer_tokens UInt32,
    cost Float64,
    latency_ms UInt32,
    old_label LowCardinality(String),
    answer LowCardinality(String),
    confidence Float32,
    outcome LowCardinality(String)
)
ENGINE = ReplacingMergeTree(revision)
PARTITION BY toYYYYMM(asked_at)
ORDER BY (source, event_id, asked_at, call);

-- Stable: columns are added, never renamed.
CREATE VIEW IF NOT EXISTS v_escalations AS
SELECT
    toDate(asked_at) AS day,
    model,
    sum(escalations.calls) AS calls,
    countIf(outcome = 'changed') AS changed,
    countIf(outcome = 'confirmed') AS confirmed,
    countIf(startsWith(outcome, 'refused')) AS refused,
    countIf(startsWith(outcome, 'failed')) AS failed,
    sum(escalations.prompt_tokens) AS prompt_tokens,
    sum(escalations.answer_tokens) AS answer_tokens,
    round(sum(escalations.cost), 6) AS cost,
    round(ifNotFinite(avgIf(latency_ms, escalations.calls > 0), 0)) AS mean_latency_ms
FROM escalations FINAL
GROUP BY day, model;
