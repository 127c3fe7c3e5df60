"""Reads. Every figure that a person sees comes from here or from the views it reads."""

import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from itertools import islice
from typing import IO, Any, BinaryIO, NamedTuple, TypeVar, cast

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from clickhouse_connect.driver.query import QueryResult

from schemas.insights import Position
from workers.settings import ClickHouseSettings
from workers.store.connect import explain
from workers.store.rows import RETRACTION_COLUMNS

TOKENS_TRUSTED = 0.9  # of the deduplication window: parts that are being written meanwhile count too
REJUDGED = "rejudged"  # why figures were taken off, when not for an update: the same version was judged again
ERASED = "erased"  # or its row is to go; its line has the page's name for an event id
COPIED_BYTES = 1 << 20
_ALL = 2**63 - 1
# Reads alone, with settings of one's own, as the roles of deploy/clickhouse/roles.sql have it: they may not say 1.
_READS = {"readonly": 2}
T = TypeVar("T")


class EventKey(NamedTuple):
    """What makes an event the same event when a producer sends it again."""

    source: str
    event_id: str


class StoredVersion(NamedTuple):
    """One version of an event, and where its row lies or lay. `content_hash` is empty when it is not known."""

    source: str
    event_id: str
    position: Position
    content_hash: str
    product: str
    event_time: datetime


# Rows of `insights` or `aspect_mentions`, told by position; product and time only narrow what has to be read.
AT_POSITIONS = (
    "product IN {products:Array(String)} AND toUnixTimestamp64Milli(event_time) IN {times_ms:Array(Int64)}"
    " AND (topic, topic_id, partition, offset) IN {positions:Array(Tuple(String, String, UInt32, UInt64))}"
)


def at_positions(versions: Collection[StoredVersion]) -> dict[str, Any]:
    """The parameters of `AT_POSITIONS`."""
    positions = [v.position for v in versions]
    return {
        "products": sorted({v.product for v in versions}),
        "times_ms": sorted({round(v.event_time.timestamp() * 1000) for v in versions}),
        "positions": [(p.topic, p.topic_id, p.partition, p.offset) for p in positions],
    }


class ProductRow(NamedTuple):
    """One line of the results table. `aspects`: (aspect, mentions, negative, positive), most mentioned first."""

    product: str
    volume: int
    negative: int
    neutral: int
    positive: int
    mean_score: float
    aspects: list[tuple[str, int, int, int]]


class DigestLine(NamedTuple):
    """A digest as the results show it: its sentences, and how many texts each cites."""

    product: str
    window_start: datetime
    texts: int
    sentences: list[tuple[str, int]]


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

    def rows(self, sql: str, parameters: dict[str, Any]) -> list[Sequence[Any]]:
        """The rows of a SELECT of ours."""
        with self._explained():
            return list(self._client.query(sql, parameters=parameters).result_rows)

    def stored_versions(self, keys: Collection[EventKey], window_days: int) -> dict[EventKey, list["StoredVersion"]]:
        """Every version of these events that came in the last `window_days` days; absent when none did."""
        found: dict[EventKey, list[StoredVersion]] = {}
        if not window_days:
            return found
        for some in batched(sorted(keys), 500):
            with self._explained():
                rows = self._client.query(
                    "SELECT DISTINCT source, event_id, topic, topic_id, partition, offset, content_hash, product, event_time"
                    " FROM event_keys WHERE (source, event_id) IN {keys:Array(Tuple(String, String))}"
                    " AND ingested_at > now() - toIntervalDay({days:UInt32})",
                    parameters={"keys": [tuple(key) for key in some], "days": window_days},
                ).result_rows
            for source, event_id, topic, topic_id, partition, offset, content_hash, product, event_time in rows:
                position = Position(topic=topic, topic_id=topic_id, partition=partition, offset=offset)
                version = StoredVersion(source, event_id, position, content_hash, product, event_time)
                found.setdefault(EventKey(source, event_id), []).append(version)
        return found

    def rows_to_retract(self, versions: Collection["StoredVersion"]) -> list[Sequence[Any]]:
        """What `insights` still holds of these versions, as values of RETRACTION_COLUMNS, in the order of positions."""
        names = ", ".join(f"`{name}`" for name, _ in RETRACTION_COLUMNS)
        found: list[Sequence[Any]] = []
        for some in batched(sorted(versions, key=lambda v: (v.position.partition, v.position.offset)), 200):
            with self._explained():
                found += self._client.query(
                    f"SELECT {names} FROM insights WHERE {AT_POSITIONS} ORDER BY topic, partition, offset",  # noqa: S608
                    parameters=at_positions(some),
                ).result_rows
        return found

    def retracted(self, keys: Collection[EventKey]) -> set[Position]:
        """Where the rows of these events lay that updates have taken off the aggregates."""
        found: set[Position] = set()
        for some in batched(sorted(keys), 500):
            with self._explained():
                rows = self._client.query(
                    "SELECT topic, topic_id, partition, offset FROM retractions"
                    " WHERE (source, event_id) IN {keys:Array(Tuple(String, String))}"
                    " AND reason NOT IN {others:Array(String)}",
                    parameters={"keys": [tuple(key) for key in some], "others": [REJUDGED, ERASED]},
                ).result_rows
            found |= {Position(topic=t, topic_id=i, partition=p, offset=o) for t, i, p, o in rows}
        return found

    def stored_offsets(self, table: str, first: Position, end: int) -> set[int]:
        """Which offsets in [`first.offset`, `end`) of a partition have a row in `table`, insights or dead_letters."""
        with self._explained():
            rows = self._client.query(
                "SELECT offset FROM {table:Identifier} WHERE topic = {topic:String} AND topic_id = {topic_id:String}"
                " AND partition = {partition:UInt32} AND offset >= {first:UInt64} AND offset < {end:UInt64}",
                parameters={
                    "table": table,
                    "topic": first.topic,
                    "topic_id": first.topic_id,
                    "partition": first.partition,
                    "first": first.offset,
                    "end": end,
                },
            ).result_rows
        return {int(row[0]) for row in rows}

    def rejudged_offsets(self, first: Position, end: int) -> set[int]:
        """Which offsets in [`first.offset`, `end`) of a partition have a row that was judged again."""
        rows = self.rows(
            "SELECT offset FROM insights WHERE topic = {topic:String} AND topic_id = {topic_id:String} AND judged > 0"
            " AND partition = {partition:UInt32} AND offset >= {offset:UInt64} AND offset < {end:UInt64}",
            {**dict(first), "end": end},
        )
        return {int(row[0]) for row in rows}

    def parts_inserted_since(self, first: Position, end: int) -> int:
        """How many parts the tables have been given since the rows of [`first.offset`, `end`) of a partition came in."""
        return self.parts_since(
            "SELECT min(ingested_at) FROM insights WHERE topic = {topic:String} AND topic_id = {topic_id:String}"
            " AND partition = {partition:UInt32} AND offset >= {first:UInt64} AND offset < {end:UInt64}",
            {
                "topic": first.topic,
                "topic_id": first.topic_id,
                "partition": first.partition,
                "first": first.offset,
                "end": end,
            },
        )

    def parts_retracted_since(self, versions: Collection["StoredVersion"]) -> int:
        """How many parts the tables have been given since the first of these versions was taken off the aggregates."""
        updates = f"reason NOT IN ('{REJUDGED}', '{ERASED}')"
        moment = f"SELECT min(retracted_at) FROM retractions WHERE {updates} AND {AT_POSITIONS}"  # noqa: S608
        return max(self.parts_since(moment, at_positions(some)) for some in batched(versions, 200))

    def parts_since(self, moment: str, parameters: dict[str, Any]) -> int:
        """A block gives a part for each month its rows fall into, and so do its retractions: the aggregates, which both
        feed, remember the tokens of both. Inserts are told by partition and time, from the keys and the retractions,
        which stay when an update removes a row. Rows that were judged again keep their time of ingestion, so that their
        insert is told by its retractions, which are then counted twice. Of lines that were erased the number is kept."""
        with self._explained():
            rows = self._client.query(
                f"WITH ({moment}) AS moment SELECT"  # noqa: S608
                " (SELECT uniqExact(topic, topic_id, partition, ingested_at, toYYYYMM(event_time)) FROM event_keys"
                " WHERE ingested_at >= moment)"
                " + (SELECT uniqExact(topic, topic_id, partition, lease_until, toYYYYMM(event_time))"
                f" + uniqExactIf(topic, topic_id, partition, lease_until, toYYYYMM(event_time), reason = '{REJUDGED}')"
                " FROM retractions WHERE retracted_at >= moment)"
                " + (SELECT sum(parts) FROM erasures WHERE erased_at >= moment)",
                parameters=parameters,
            ).result_rows
        return int(rows[0][0])

    def count(self, table: str) -> int:
        """How many rows a table of ours holds."""
        with self._explained():
            return int(str(self._client.command("SELECT count() FROM {t:Identifier}", parameters={"t": table})))

    def alerts(self) -> int:
        """How many alerts there are, open and closed."""
        return int(self.rows("SELECT count() FROM v_alerts", {})[0][0])

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

    def digests(self, most: int) -> list[DigestLine]:
        """Of each product the day's digest of the most texts, the newest of equals; at most so many, the most texts
        first."""
        sql = (
            "SELECT product, window_start, any(d.texts) AS texts, groupArray((sentence, d.citations)) AS sentences FROM"
            " (SELECT * FROM v_digests ORDER BY place) AS d WHERE window_end - window_start = 86400"
            " GROUP BY product, window_start ORDER BY texts DESC, window_start DESC LIMIT 1 BY product LIMIT {most:UInt32}"
        )
        return [DigestLine(*row) for row in self.rows(sql, {"most": most})]

    def select(
        self, sql: str, *, parameters: Mapping[str, Any] | None = None, settings: Mapping[str, Any] | None = None
    ) -> QueryResult:
        """Any SELECT, read-only: the server itself refuses a statement that would write."""
        with self._explained():
            return self._client.query(sql, parameters=dict(parameters or {}), settings=_READS | dict(settings or {}))

    def select_into(
        self,
        file: IO[bytes],
        sql: str,
        format_name: str,
        *,
        parameters: Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        """Writes the result of a SELECT into `file` as one of ClickHouse's formats, in constant memory. Read-only.

        The server holds the answer back until its query has ended, so that what fails is an error, never half a file.
        """
        whole = _READS | {"wait_end_of_query": 1} | dict(settings or {})
        with self._explained():
            found = self._client.raw_stream(sql, parameters=dict(parameters or {}), settings=whole, fmt=format_name)
            with closing(cast(BinaryIO, found)) as answer:
                shutil.copyfileobj(answer, file, COPIED_BYTES)

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


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """`items` in lists of at most `size`: a query's parameters travel in its address, which has a limit."""
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some
