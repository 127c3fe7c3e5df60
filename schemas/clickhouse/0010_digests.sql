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
    support,
    quoted,
    texts,
    method,
    revision,
    pack,
    pack_version,
    created_at
FROM
(
    SELECT
        product,
        window_start,
        window_end,
        argMax(tuple(texts, sentences, citations, cited_sources, digests.support, digests.quoted, digests.method, digests.revision, digests.pack, digests.pack_version), tuple(digests.created_at, digests.revision)) AS newest,
        max(digests.created_at) AS created_at,
        newest.1 AS texts,
        newest.7 AS method,
        newest.8 AS revision,
        newest.9 AS pack,
        newest.10 AS pack_version
    FROM digests
    GROUP BY product, window_start, window_end
)
ARRAY JOIN
    newest.2 AS sentence,
    newest.3 AS event_ids,
    newest.4 AS sources,
    newest.5 AS support,
    newest.6 AS quoted,
    arrayEnumerate(newest.2) AS place;
