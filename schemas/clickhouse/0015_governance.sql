-- Safe while workers run, but erase only when every worker is of this version: older ones do not know the receipts.
-- What was erased is deleted by patch parts, as rows of insights are: a mutation would write ids into its own file.
ALTER TABLE event_keys MODIFY SETTING enable_block_number_column = 1, enable_block_offset_column = 1;
ALTER TABLE retractions MODIFY SETTING enable_block_number_column = 1, enable_block_offset_column = 1;
ALTER TABLE claims MODIFY SETTING enable_block_number_column = 1, enable_block_offset_column = 1;
ALTER TABLE feedback MODIFY SETTING enable_block_number_column = 1, enable_block_offset_column = 1;
ALTER TABLE dead_letters MODIFY SETTING enable_block_number_column = 1, enable_block_offset_column = 1;
ALTER TABLE digests MODIFY SETTING enable_block_number_column = 1, enable_block_offset_column = 1;
ALTER TABLE alerts MODIFY SETTING enable_block_number_column = 1, enable_block_offset_column = 1;
ALTER TABLE escalations MODIFY SETTING enable_block_number_column = 1, enable_block_offset_column = 1;

-- A page may hold rows that are to be erased, with nothing to take their place: `insight` then names the row.
ALTER TABLE pages ADD COLUMN IF NOT EXISTS erased Bool DEFAULT false AFTER insight;

-- What is turned away when it comes again: keyed hashes, no id and no text. `parts` counts the inserts that lines which are
-- gone stood for, so that it is known how many tokens the tables have been given since.
CREATE TABLE IF NOT EXISTS erasures
(
    receipt String,
    parts UInt64,
    erased_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = MergeTree
ORDER BY receipt;

-- Who did what to models and personal data. Rows are only added.
CREATE TABLE IF NOT EXISTS audit
(
    done_at DateTime64(3, 'UTC') DEFAULT now64(3),
    who LowCardinality(String),
    action LowCardinality(String),
    details Map(LowCardinality(String), String)
)
ENGINE = MergeTree
ORDER BY done_at;

-- A correction is on the record with the same insert that makes it.
CREATE MATERIALIZED VIEW IF NOT EXISTS mv_audit_corrections TO audit AS
SELECT
    corrected_at AS done_at,
    corrected_by AS who,
    'corrected' AS action,
    CAST(
        map('head', head, 'old_label', old_label, 'new_label', new_label, 'product', product, 'pack', pack, 'pack_version', pack_version),
        'Map(LowCardinality(String), String)'
    ) AS details
FROM feedback;
