"""What tables say of an event besides its row: keys, retractions, claims, feedback, quotations, digests, briefs, sums of
topics.

Removing it again changes nothing. All by patch parts: a mutation's file would keep the ids.
"""

from collections.abc import Collection
from datetime import UTC
from typing import Any, Final

from workers.store.erased_row import ErasedRow
from workers.store.query import ERASED, REJUDGED, EventKey, Reader, batched
from workers.store.write import Writer

_OF_EVENTS = "(source, event_id) IN {keys:Array(Tuple(String, String))}"
_CITING = "hasAny(arrayFlatten(citations), {ids:Array(String)})"
_QUOTED = "tuple(s, e) IN {keys:Array(Tuple(String, String))}"
_QUOTING = f"arrayExists((s, e) -> {_QUOTED}, sources, event_ids)"
_ROWS: Final = ("insights", "aspect_mentions", "pages")  # which pages write, in their order
# Sums of days that lost texts are made anew; a mutation's file names the days alone.
_FORGET_DAYS: Final = "ALTER TABLE topics_daily DELETE WHERE day IN {days:Array(Date)}"
_COUNT_DAYS: Final = (
    "INSERT INTO topics_daily SELECT toDate(event_time) AS day, pack, count() AS texts,"
    " sumForEachState(arrayMap(x -> toInt64(x), topic_vector)) AS vectors FROM insights"
    " WHERE notEmpty(topic_vector) AND toDate(event_time) IN {days:Array(Date)} GROUP BY day, pack"
)
CONDITIONS: Final = {"digests": _CITING, "briefs": _CITING, "alerts": _QUOTING}  # of tables that name events in arrays


class Traces:
    """Those in one ClickHouse. Methods raise `StoreUnavailable` or `StoreRefused`."""

    def __init__(self, reader: Reader, writer: Writer) -> None:
        self._reader, self._writer = reader, writer

    def tables(self) -> list[str]:
        """Every table that names events by source and id in columns, those to come too."""
        sql = (
            "SELECT table FROM system.columns WHERE database = currentDatabase() AND name IN ('source', 'event_id')"
            " AND table IN (SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree')"
            " GROUP BY table HAVING count() = 2 ORDER BY table"
        )
        return [str(table) for (table,) in self._reader.rows(sql, {})]

    def counts(self, keys: Collection[EventKey]) -> dict[str, int]:
        """How many rows of each table name one of these events."""
        conditions = dict.fromkeys(self.tables(), _OF_EVENTS) | CONDITIONS
        found = dict.fromkeys(conditions, 0)
        for some in batched(sorted(keys), 200):
            for table, condition in conditions.items():
                sql = f"SELECT count() FROM {table} WHERE {condition}"  # noqa: S608
                found[table] += int(self._reader.rows(sql, _named(some))[0][0])
        return found

    def remove(self, keys: Collection[EventKey], receipt: str) -> None:
        """Removes what names these events but their rows. `receipt` takes down how many inserts will have no line left."""
        for some in batched(sorted(keys), 200):
            named = _named(some)
            if parts := self._parts(named):
                self._writer.insert_receipts([receipt], parts)
            for table in self.tables():
                if table not in (*_ROWS, "claims"):
                    self._writer.delete(f"DELETE FROM {table} WHERE {_OF_EVENTS}", named)  # noqa: S608
            # A claim that still holds is another program's, which is about to look for us.
            over = "(until < now64(3) OR page IN (SELECT page FROM claims WHERE released))"
            self._writer.delete(f"DELETE FROM claims WHERE {_OF_EVENTS} AND {over}", named)  # noqa: S608
            for table in ("digests", "briefs"):
                self._writer.delete(f"DELETE FROM {table} WHERE {_CITING}", named)  # noqa: S608
            kept = {
                array: f"arrayFilter(({letter}, s, e) -> NOT ({_QUOTED}), {array}, sources, event_ids)"
                for array, letter in (("quotes", "q"), ("sources", "a"), ("event_ids", "b"))
            }
            changes = ", ".join(f"{array} = {value}" for array, value in kept.items())
            self._writer.command(f"UPDATE alerts SET {changes} WHERE {_QUOTING}", named)  # noqa: S608

    def remove_of_page(self, page: str, rows: Collection[ErasedRow]) -> None:
        """What names the events of a page's rows, digests and briefs of the windows that they lie in, and its own lines.

        `pages` is what must be dropped last: until then whoever comes does all of it again.
        """
        self.remove({EventKey(row.source, row.event_id) for row in rows}, page)
        self._writer.delete("DELETE FROM claims WHERE page = {page:String} AND event_id != ''", {"page": page})
        own = "DELETE FROM retractions WHERE event_id = {page:String} AND reason = {erased:String}"
        self._writer.delete(own, {"page": page, "erased": ERASED})
        days = {"days": sorted({row.event_time.astimezone(UTC).date() for row in rows})}
        self._writer.command(_FORGET_DAYS, days, {"mutations_sync": 2})
        self._writer.command(_COUNT_DAYS, days, {"insert_deduplicate": 0})
        for some in batched(rows, 200):
            moments = [(row.product, round(row.event_time.timestamp())) for row in some]
            for table, about in (("digests", "m.1 = product"), ("briefs", "has(products, m.1)")):
                within = (
                    f"DELETE FROM {table} WHERE arrayExists(m -> {about} AND m.2 >= toUnixTimestamp(window_start)"  # noqa: S608
                    " AND m.2 < toUnixTimestamp(window_end), {moments:Array(Tuple(String, Int64))})"
                )
                self._writer.delete(within, {"moments": moments})

    def _parts(self, named: dict[str, Any]) -> int:
        """As `Reader.parts_since` counts the lines of these events; too many rather than too few."""
        sql = (
            f"SELECT (SELECT uniqExact(topic, topic_id, partition, ingested_at) FROM event_keys WHERE {_OF_EVENTS})"  # noqa: S608
            f" + (SELECT count() + countIf(reason = '{REJUDGED}') FROM retractions WHERE {_OF_EVENTS})"
        )
        return int(self._reader.rows(sql, named)[0][0])


def _named(keys: Collection[EventKey]) -> dict[str, Any]:
    return {"keys": [tuple(key) for key in keys], "ids": [key.event_id for key in keys]}
