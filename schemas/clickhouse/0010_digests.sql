-- Safe while workers run. A digest says of which versions of which events it was made, and cites by source and id.
ALTER TABLE digests ADD COLUMN IF NOT EXISTS cited_sources Array(Array(String)) AFTER citations;
ALTER TABLE digests ADD COLUMN IF NOT EXISTS quoted Array(Bool) AFTER support;
ALTER TABLE digests ADD COLUMN IF NOT EXISTS fingerprint UInt64 AFTER texts;

-- A sentence of a window's newest digest. Stable: columns are added, never renamed.
CREATE VIEW IF NOT EXISTS v_digests AS
SELECT
    product,
    window_start,
    window_end,
    place,
    sentence,
    event_ids,
    sources,
    length(event_ids) AS citations,
    supported AS support,
    verbatim AS quoted,
    newest.6 AS texts,
    newest.7 AS method,
    newest.8 AS revision,
    newest.9 AS pack,
    newest.10 AS pack_version,
    newest.11 AS created_at
FROM
(
    SELECT
        product,
        window_start,
        window_end,
        argMax(
            (sentences, citations, cited_sources, support, quoted, texts, method, revision, pack, pack_version, created_at),
            (created_at, revision)
        ) AS newest
    FROM digests
    GROUP BY product, window_start, window_end
)
ARRAY JOIN
    newest.1 AS sentence,
    newest.2 AS event_ids,
    newest.3 AS sources,
    newest.4 AS supported,
    newest.5 AS verbatim,
    arrayEnumerate(newest.1) AS place;
