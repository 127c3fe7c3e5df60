"""What of a source is older than it may be, table by table, and its removal. `workers/retention.py` says why so.

All by patch parts, as everywhere; the statements name a source and a moment, never an event.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from schemas.insights import Position
from workers.failpoints import failpoint
from workers.store.query import EventKey, Reader
from workers.store.write import Writer

SLICE_ROWS = 1_000_000
FEW_TEXTS = 20  # the sum of fewer topic vectors tells too much of each
_UNTIL = "fromUnixTimestamp64Milli({until_ms:Int64}, 'UTC')"
_KEYS_UNTIL = "fromUnixTimestamp64Milli({keys_until_ms:Int64}, 'UTC')"
_PARTITION = "tuple(toString(topic), toString(topic_id), partition)"
_EVENT = "tuple(toString(source), event_id)"
_SOURCE = "source = {source:String}"
_DUE = (
    f"{_SOURCE} AND ingested_at < {_UNTIL} AND {_PARTITION} NOT IN {{held:Array(Tuple(String, String, UInt32))}}"
    f" AND {_EVENT} NOT IN {{busy:Array(Tuple(String, String))}}"
)
_EVENTS = f"SELECT source, event_id FROM insights WHERE {_DUE}"  # noqa: S608
_POSITIONS = f"SELECT topic, topic_id, partition, offset FROM insights WHERE {_DUE}"  # noqa: S608


def _own(moment: str) -> str:
    """Lines of their own about an event: with its row, and those that came when the row was gone already."""
    return f"{_SOURCE} AND ({moment} < {_UNTIL} OR (source, event_id) IN ({_EVENTS}))"


def _cited(table: str) -> str:
    """The ids of those events which rows of a table cite, as one array."""
    cited = f"SELECT arrayJoin(arrayFlatten(citations)) FROM {table}"  # noqa: S608
    return f"(SELECT groupUniqArray(event_id) FROM insights WHERE {_DUE} AND event_id IN ({cited}))"  # noqa: S608


def _citing(table: str) -> str:
    sources = "arrayFlatten(cited_sources)"
    of_source = f"(empty({sources}) OR has({sources}, {{source:String}}))"
    old = f"created_at < {_UNTIL} AND has({sources}, {{source:String}})"
    return f"({old}) OR ({of_source} AND hasAny(arrayFlatten(citations), {_cited(table)}))"


_QUOTED: Final = (
    "SELECT groupUniqArray(event_id) FROM insights WHERE"  # noqa: S608
    f" {_DUE} AND event_id IN (SELECT arrayJoin(event_ids) FROM alerts)"
)
# Of an alert's texts, told by source and id: those that are to go.
_GONE_FROM_ALERT: Final = f"s = {{source:String}} AND (raised_at < {_UNTIL} OR has(({_QUOTED}), e))"
# What names an event of the source, in the order of its removal; the row itself goes last.
CONDITIONS: Final[Mapping[str, str]] = {
    "feedback": _own("corrected_at"),
    "escalations": _own("asked_at"),
    "headlines": _own("written_at"),
    "digests": _citing("digests"),
    "briefs": _citing("briefs"),
    "alerts": f"arrayExists((s, e) -> {_GONE_FROM_ALERT}, sources, event_ids)",
    "aspect_mentions": f"{_SOURCE} AND (topic, topic_id, partition, offset) IN ({_POSITIONS})",
    "insights": _DUE,
}
# By which a text that is sent again is known: they stay until no worker asks for them any more.
KEYS: Final[Mapping[str, str]] = {
    "event_keys": f"{_SOURCE} AND ingested_at < {_KEYS_UNTIL}",
    "retractions": f"{_SOURCE} AND retracted_at < {_KEYS_UNTIL}",
    "claims": f"{_SOURCE} AND made_at < {_KEYS_UNTIL}",
}
_LETTERS: Final = (
    f"failed_at < {_UNTIL} AND if({{source:String}} = '', JSONExtractString(ifNull(value, ''), 'source') NOT IN"
    " {others:Array(String)}, JSONExtractString(ifNull(value, ''), 'source') = {source:String})"
)
AGGREGATES: Final = {
    "sentiment_hourly": "hour",
    "aspects_daily": "day",
    "judgements_daily": "day",
    "topics_daily": "day",
}
_OF_CALLS: Final = (
    "call, revision, asked_at, model, calls, prompt_tokens, answer_tokens, cost, latency_ms, old_label, answer, outcome"
)
_FORGOTTEN_CALLS: Final = (
    f"INSERT INTO escalations ({_OF_CALLS}) SELECT {_OF_CALLS} FROM escalations"  # noqa: S608
    f" WHERE {CONDITIONS['escalations']}"
)
_FEW: Final = (
    f"SELECT DISTINCT toDate(event_time) AS day FROM insights WHERE {_DUE} AND day NOT IN"  # noqa: S608
    " (SELECT day FROM (SELECT day, sum(texts) AS n FROM topics_daily GROUP BY day, pack) GROUP BY day"
    f" HAVING min(n) >= {FEW_TEXTS})"
)
_FORGET_DAYS: Final = "ALTER TABLE topics_daily DELETE WHERE day IN {days:Array(Date)}"
_COUNT_DAYS: Final = (
    "INSERT INTO topics_daily SELECT toDate(event_time) AS day, pack, count() AS texts,"  # noqa: S608
    " sumForEachState(arrayMap(x -> toInt64(x), topic_vector)) AS vectors FROM insights"
    f" WHERE notEmpty(topic_vector) AND toDate(event_time) IN {{days:Array(Date)}} AND NOT ({_DUE})"
    " GROUP BY day, pack"
)


class Expiry:
    """Of one ClickHouse. Methods raise `StoreUnavailable` or `StoreRefused`."""

    def __init__(self, reader: Reader, writer: Writer) -> None:
        self._reader, self._writer = reader, writer

    def sources(self) -> list[str]:
        """Every source that a table names, without the empty one."""
        tables = ("insights", "event_keys", "retractions", "feedback", "escalations", "headlines")
        named = " UNION DISTINCT ".join(f"SELECT DISTINCT toString(source) AS s FROM {table}" for table in tables)  # noqa: S608
        return [str(s) for (s,) in self._reader.rows(f"SELECT s FROM ({named}) WHERE s != '' ORDER BY s", {})]  # noqa: S608

    def counts(self, source: str, until: datetime, keys_until: datetime) -> dict[str, int]:
        """Table -> how many of its rows are of texts of this source that were taken in before `until`."""
        asked = _asked(source, until) | {"keys_until_ms": _ms(keys_until)}
        return {table: self._count(table, condition, asked) for table, condition in {**CONDITIONS, **KEYS}.items()}

    def note(self, moments: Mapping[str, datetime]) -> None:
        """From now on nobody judges texts again that are older, nor takes what is changed in them."""
        self._writer.insert_removed_until(moments)

    def last_positions(self, source: str, until: datetime) -> list[Position]:
        """Of each partition that such texts came from the last one's."""
        sql = (
            f"SELECT topic, topic_id, partition, max(offset) FROM insights WHERE {_DUE}"  # noqa: S608
            " GROUP BY topic, topic_id, partition ORDER BY 1, 2, 3"
        )
        return [
            Position(topic=topic, topic_id=topic_id, partition=partition, offset=offset)
            for topic, topic_id, partition, offset in self._reader.rows(sql, _asked(source, until))
        ]

    def left(self, source: str, until: datetime) -> int:
        """How many such texts there are."""
        return self._count("insights", CONDITIONS["insights"], _asked(source, until))

    def slice_until(self, source: str, until: datetime, held: Sequence[Position]) -> datetime:
        """Before which moment the oldest `SLICE_ROWS` of them were taken in; `until` when there are no more."""
        sql = (
            "SELECT count(), max(ingested_at) FROM (SELECT ingested_at FROM insights"  # noqa: S608
            f" WHERE {_DUE} ORDER BY ingested_at LIMIT {{most:UInt64}})"
        )
        ((count, newest),) = self._reader.rows(sql, _asked(source, until, held) | {"most": SLICE_ROWS})
        return until if count < SLICE_ROWS else min(newest + timedelta(milliseconds=1), until)

    def updates(self, source: str, until: datetime, held: Sequence[Position]) -> list[tuple[EventKey, Position]]:
        """Updates of such texts' events that workers have claimed, finished or not."""
        sql = (
            "SELECT source, event_id, topic, topic_id, partition, offset FROM claims"  # noqa: S608
            f" WHERE {_SOURCE} AND page = '' AND (source, event_id) IN ({_EVENTS})"
        )
        return [
            (EventKey(source, event_id), Position(topic=topic, topic_id=topic_id, partition=partition, offset=offset))
            for source, event_id, topic, topic_id, partition, offset in self._reader.rows(
                sql, _asked(source, until, held)
            )
        ]

    def remove(
        self, source: str, until: datetime, held: Sequence[Position], busy: Collection[EventKey]
    ) -> dict[str, int]:
        """Removes a slice, its rows last, but what is held or busy. How many rows of each table that were."""
        asked = _asked(source, until, held, busy)
        found = {table: self._count(table, condition, asked) for table, condition in CONDITIONS.items()}
        if found["escalations"]:  # what a call took counts in budgets, and in what was spent
            self._writer.command(_FORGOTTEN_CALLS, asked, {"insert_deduplicate": 0})
        if days := [day for (day,) in self._reader.rows(_FEW, asked)]:
            self._writer.command(_FORGET_DAYS, {"days": days}, {"mutations_sync": 2})
            self._writer.command(_COUNT_DAYS, asked | {"days": days}, {"insert_deduplicate": 0})
        for table, condition in CONDITIONS.items():
            if table == "insights":
                failpoint("retention-emptied")
            if not found[table]:
                continue
            if table == "alerts":
                self._unquote(asked)
            else:
                self._writer.delete(f"DELETE FROM {table} WHERE {condition}", asked)  # noqa: S608
        return found

    def remove_keys(self, source: str, keys_until: datetime) -> dict[str, int]:
        """Removes what names texts that no worker asks for any more."""
        asked = {"source": source, "keys_until_ms": _ms(keys_until)}
        return {table: self._delete(table, condition, asked) for table, condition in KEYS.items()}

    def letters(self, source: str, others: Collection[str], until: datetime, *, remove: bool) -> int:
        """How many dead letters of a source are older than `until`; without a source those that name none of `others`."""
        asked = {"source": source, "others": sorted(others), "until_ms": _ms(until)}
        return self._delete("dead_letters", _LETTERS, asked) if remove else self._count("dead_letters", _LETTERS, asked)

    def sums(self, until: datetime, *, remove: bool) -> dict[str, int]:
        """How many lines of aggregates are of days before `until` of which no text is left."""
        found = {}
        asked = {"until_ms": _ms(until)}
        for table, moment in AGGREGATES.items():
            days = f"SELECT DISTINCT toDate(event_time) FROM insights WHERE event_time < {_UNTIL}"  # noqa: S608
            condition = f"toDate({moment}) < toDate({_UNTIL}) AND toDate({moment}) NOT IN ({days})"
            found[table] = self._count(table, condition, asked)
            if remove and found[table]:
                self._writer.command(f"ALTER TABLE {table} DELETE WHERE {condition}", asked, {"mutations_sync": 2})
        return found

    def _unquote(self, asked: dict[str, Any]) -> None:
        kept = ", ".join(
            f"{array} = arrayFilter(({letter}, s, e) -> NOT ({_GONE_FROM_ALERT}), {array}, sources, event_ids)"
            for array, letter in (("quotes", "q"), ("sources", "a"), ("event_ids", "b"))
        )
        self._writer.command(f"UPDATE alerts SET {kept} WHERE {CONDITIONS['alerts']}", asked)  # noqa: S608

    def _delete(self, table: str, condition: str, asked: dict[str, Any]) -> int:
        count = self._count(table, condition, asked)
        if count:
            self._writer.delete(f"DELETE FROM {table} WHERE {condition}", asked)  # noqa: S608
        return count

    def _count(self, table: str, condition: str, asked: dict[str, Any]) -> int:
        return int(self._reader.rows(f"SELECT count() FROM {table} WHERE {condition}", asked)[0][0])  # noqa: S608


def _asked(
    source: str, until: datetime, held: Sequence[Position] = (), busy: Collection[EventKey] = ()
) -> dict[str, Any]:
    return {
        "source": source,
        "until_ms": _ms(until),
        "held": [(p.topic, p.topic_id, p.partition) for p in held],
        "busy": [tuple(key) for key in sorted(busy)],
    }


def _ms(moment: datetime) -> int:
    return round(moment.astimezone(UTC).timestamp() * 1000)
