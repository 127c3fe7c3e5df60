"""Reads. Every figure that a person sees comes from here or from the views it reads."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NamedTuple

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from clickhouse_connect.driver.query import QueryResult

from schemas.insights import Position
from workers.settings import ClickHouseSettings
from workers.store.connect import explain

_ALL = 2**63 - 1


class EventKey(NamedTuple):
    """What makes an event the same event when a producer sends it again."""

    source: str
    event_id: str


class ProductRow(NamedTuple):
    """One line of the results table. `aspects`: (aspect, mentions, negative, positive), most mentioned first."""

    product: str
    volume: int
    negative: int
    neutral: int
    positive: int
    mean_score: float
    aspects: list[tuple[str, int, int, int]]


class Reader:
    """Queries through one client. Every method raises `StoreUnavailable` or `StoreRefused`."""

    def __init__(self, client: Client, settings: ClickHouseSettings) -> None:
        self._client = client
        self._settings = settings

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except ClickHouseError as error:
            raise explain(error, self._settings) from error

    def stored_positions(self, keys: Collection[EventKey], window_days: int) -> dict[EventKey, list[Position]]:
        """Where the events of these keys that were stored in the last `window_days` days lie; absent when not stored."""
        if not keys or not window_days:
            return {}
        with self._explained():
            rows = self._client.query(
                "SELECT source, event_id, topic, topic_id, partition, offset FROM event_keys"
                " WHERE (source, event_id) IN {keys:Array(Tuple(String, String))}"
                " AND ingested_at > now() - toIntervalDay({days:UInt32})",
                parameters={"keys": [tuple(key) for key in keys], "days": window_days},
            ).result_rows
        found: dict[EventKey, list[Position]] = {}
        for source, event_id, topic, topic_id, partition, offset in rows:
            position = Position(topic=topic, topic_id=topic_id, partition=partition, offset=offset)
            found.setdefault(EventKey(source, event_id), []).append(position)
        return found

    def count(self, table: str) -> int:
        """How many rows a table of ours holds."""
        with self._explained():
            return int(str(self._client.command("SELECT count() FROM {t:Identifier}", parameters={"t": table})))

    def products(self, *, aspects: int = 4) -> list[ProductRow]:
        """Per product: volume, sentiment mix and its `aspects` most mentioned aspects, from the aggregates."""
        with self._explained():
            rows = self._client.query(
                "SELECT p.product, p.volume, p.negative, p.neutral, p.positive, p.mean_score, a.aspects FROM"
                " (SELECT product, sum(volume) AS volume, sum(v.negative) AS negative, sum(v.neutral) AS neutral,"
                "  sum(v.positive) AS positive, sum(v.mean_score * v.volume) / sum(v.volume) AS mean_score"
                "  FROM v_product_daily AS v GROUP BY product) AS p"
                " LEFT JOIN (SELECT product, arraySlice(arrayReverseSort(t -> (t.2, t.1), groupArray((aspect, mentions,"
                "  negative, positive))), 1, {aspects:UInt32}) AS aspects FROM (SELECT product, aspect,"
                "  sum(t.mentions) AS mentions, sum(t.negative) AS negative, sum(t.positive) AS positive"
                "  FROM v_aspect_trends AS t GROUP BY product, aspect) GROUP BY product) AS a ON p.product = a.product"
                " ORDER BY p.volume DESC, p.product",
                parameters={"aspects": aspects},
            ).result_rows
        return [ProductRow(*row) for row in rows]

    def select(self, sql: str, *, settings: dict[str, Any] | None = None) -> QueryResult:
        """Any SELECT, read-only: the server itself refuses a statement that would write."""
        with self._explained():
            return self._client.query(sql, settings={"readonly": 1} | (settings or {}))

    def dead_letters(self, *, reason: str = "", limit: int | None = 50) -> list["StoredLetter"]:
        """The latest dead letters, newest first; all of them when `limit` is None."""
        with self._explained():
            rows = self._client.query(
                "SELECT topic, topic_id, partition, offset, reason, sentence, key, value, headers, failed_at"
                " FROM dead_letters WHERE {reason:String} IN ('', reason) ORDER BY failed_at DESC, partition, offset"
                " LIMIT {limit:UInt64}",
                parameters={"reason": reason, "limit": _ALL if limit is None else limit},
                query_formats={"String": "bytes"},
            ).result_rows
        return [_stored_letter(row) for row in rows]


class StoredLetter(NamedTuple):
    """A row of `dead_letters`. Key, value and header values are the original bytes; `failed_at` is in UTC."""

    topic: str
    topic_id: str
    partition: int
    offset: int
    reason: str
    sentence: str
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]
    failed_at: datetime

    @property
    def where(self) -> str:
        """The position, as one word."""
        return f"{self.topic}:{self.topic_id}:{self.partition}:{self.offset}"


def _stored_letter(row: Sequence[Any]) -> StoredLetter:
    topic, topic_id, partition, offset, reason, sentence, key, value, headers, failed_at = row
    texts = [_text(part) for part in (topic, topic_id, reason, sentence)]
    pairs = [(_text(header["name"]), bytes(header["value"])) for header in headers]
    return StoredLetter(texts[0], texts[1], partition, offset, texts[2], texts[3], key, value, pairs, failed_at)


def _text(value: str | bytes) -> str:
    """Strings come as bytes where the query asked for bytes."""
    return value.decode() if isinstance(value, bytes) else value
