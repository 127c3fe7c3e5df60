-- Safe while workers run, but apply retention only when every worker is of this version: older ones do not look here.
-- Before which moment of ingestion a source's texts are gone, or about to go: noted before they are removed, so that nobody
-- judges one again meanwhile, and what is changed in one later finds that its time is over. Rows are only added.
CREATE TABLE IF NOT EXISTS retention
(
    source LowCardinality(String),
    removed_until DateTime64(3, 'UTC'),
    noted_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree(removed_until)
ORDER BY source;
