"""Digests in ClickHouse: which windows of which products need one, the texts in them, and the digests themselves.

A window needs a digest when the versions of events in it are others than those that its newest digest was made of: both
are told by a fingerprint, so nothing has to be remembered elsewhere, and whoever comes after a crash sees what is missing.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from workers.settings import ClickHouseSettings
from workers.store.connect import explain
from workers.store.rows import TIME, WORD

SECONDS: Final = {"hour": 3_600, "day": 86_400}

# Versions of events, not rows: while rows are judged again both the old and the new ones are there for a moment.
_PENDING = """
SELECT product, start, texts, now_made_of, made.revision, made.created_at
FROM
(
    SELECT product, start, count() AS texts, groupBitXor(cityHash64(source, event_id, content_hash)) AS now_made_of
    FROM
    (
        SELECT DISTINCT product, toStartOfInterval(event_time, toIntervalSecond({seconds:UInt32}), 'UTC') AS start,
            source, event_id, content_hash
        FROM insights
        WHERE event_time > (SELECT max(event_time) FROM insights) - toIntervalDay({days:UInt32})
    )
    GROUP BY product, start
) AS there
LEFT JOIN
(
    SELECT product, window_start AS start, max(digests.revision) AS revision, max(digests.created_at) AS created_at,
        argMax(fingerprint, tuple(digests.created_at, digests.revision)) AS made_of
    FROM digests
    WHERE window_end = window_start + toIntervalSecond({seconds:UInt32}) AND pack = {pack:String}
        AND pack_version = {pack_version:String}
    GROUP BY product, start
) AS made USING (product, start)
WHERE (texts >= {least:UInt32} OR made.revision > 0) AND now_made_of != made.made_of
ORDER BY start DESC, product
"""
_TEXTS = """
SELECT source, event_id, author, text
FROM insights
WHERE product = {product:String} AND event_time >= {start:DateTime64(3, 'UTC')}
    AND event_time < {start:DateTime64(3, 'UTC')} + toIntervalSecond({seconds:UInt32})
ORDER BY event_time DESC, source, event_id, ingested_at DESC
LIMIT 1 BY source, event_id
"""
_COLUMNS: Final[dict[str, str]] = {
    "product": WORD,
    "window_start": "DateTime('UTC')",
    "window_end": "DateTime('UTC')",
    "revision": "UInt32",
    "texts": "UInt64",
    "fingerprint": "UInt64",
    "sentences": "Array(String)",
    "citations": "Array(Array(String))",
    "cited_sources": "Array(Array(String))",
    "support": "Array(Float32)",
    "quoted": "Array(Bool)",
    "method": WORD,
    "pack": WORD,
    "pack_version": WORD,
    "created_at": TIME,
    "lease_until": TIME,
}


class PendingWindow(NamedTuple):
    """A product's window whose texts are others than those of its newest digest. `revision` is that digest's, 0 when
    there is none, `made_at` when it was written."""

    product: str
    start: datetime
    seconds: int
    texts: int
    fingerprint: int
    revision: int
    made_at: datetime


class WindowText(NamedTuple):
    """A stored, redacted text and whose it is. `author` is a pseudonym, or empty."""

    source: str
    event_id: str
    author: str
    text: str


class DigestRow(NamedTuple):
    """A digest as it is stored. Each sentence has citations (source, event id), its support and whether it is a
    quotation."""

    window: PendingWindow
    sentences: Sequence[str]
    citations: Sequence[Sequence[tuple[str, str]]]
    support: Sequence[float]
    quoted: Sequence[bool]
    method: str
    pack: str
    pack_version: str


class DigestStore:
    """Reads and writes through one client. Every method raises `StoreUnavailable` or `StoreRefused`."""

    def __init__(self, client: Client, settings: ClickHouseSettings) -> None:
        self._client, self._settings = client, settings

    def pending(self, seconds: int, least: int, days: int, pack: tuple[str, str]) -> list[PendingWindow]:
        """Windows of so many seconds with at least so many texts whose digest by this pack (name, version) is missing or
        out of date, newest first. Of the last `days` days before the newest event; a window that has shrunk is there,
        too."""
        parameters = {"seconds": seconds, "least": least, "days": days, "pack": pack[0], "pack_version": pack[1]}
        return [
            PendingWindow(product, start, seconds, texts, fingerprint, revision, made_at)
            for product, start, texts, fingerprint, revision, made_at in self._rows(_PENDING, parameters)
        ]

    def texts(self, product: str, start: datetime, seconds: int) -> list[WindowText]:
        """The texts of a window, the latest first, each event once."""
        parameters = {
            "product": product,
            "start": start.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S"),
            "seconds": seconds,
        }
        return [WindowText(*row) for row in self._rows(_TEXTS, parameters)]

    def insert(self, row: DigestRow, lease_until: datetime, attempt: int = 0) -> None:
        """Stores a digest; the same one again changes nothing, unless this is another `attempt`. Raises `LeaseEnded` when
        ClickHouse has it later than that."""
        window = row.window
        values = [
            window.product,
            window.start,
            datetime.fromtimestamp(window.start.timestamp() + window.seconds, UTC),
            window.revision + 1,
            window.texts,
            window.fingerprint,
            list(row.sentences),
            [[event_id for _, event_id in cited] for cited in row.citations],
            [[source for source, _ in cited] for cited in row.citations],
            list(row.support),
            list(row.quoted),
            row.method,
            row.pack,
            row.pack_version,
            datetime.now(UTC),
            lease_until,
        ]
        start_s = int(window.start.timestamp())
        made_of = f"{window.seconds}:{start_s}:{row.pack}:{row.pack_version}:{window.revision + 1}:{window.fingerprint}"
        token = f"digest:{made_of}:{window.product}" + (f":{attempt}" if attempt else "")
        settings: dict[str, Any] = {"async_insert": 0, "insert_deduplicate": 1, "insert_deduplication_token": token}
        try:
            self._client.insert(
                "digests",
                [values],
                column_names=list(_COLUMNS),
                column_type_names=list(_COLUMNS.values()),
                settings=settings,
            )
        except ClickHouseError as error:
            raise explain(error, self._settings) from error

    def _rows(self, sql: str, parameters: dict[str, Any]) -> list[Sequence[Any]]:
        try:
            return list(self._client.query(sql, parameters=parameters).result_rows)
        except ClickHouseError as error:
            raise explain(error, self._settings) from error
