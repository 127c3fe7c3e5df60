"""Pages: how rows that were judged again take their old ones' place, each figure once, while workers go on.

A page is some rows of one month. As a block is declared before it is inserted, a page is *staged* before it is written:
one insert into `pages` holds every new row, and from then on the page will be written by whoever comes next, be it the
program that staged it, its successor, or a worker. Writing (`complete`) takes four steps: take the old figures off the
aggregates (`retractions`), insert the new rows, delete the old ones, drop the page. The first two are inserts under tokens
made of the page's name, the last two change nothing when they are done again, and everybody takes them in this order. So a
page may be written any number of times, by any number of programs at once, from any step on, and counts once. Nothing is
judged a second time for it: the rows lie in the page.

Old and new row share position and content hash. `judged` tells them apart: how often the version has been judged again. A
delete names position and count, so one that comes late, after a later page, finds nothing. The new row keeps the time of
ingestion, and so the line that the views add to `event_keys` once more says what the first one says: a resend is a resend,
an update is an update of this position, the window runs from when the event came.

What must not meet is a page and an update of the same event, for both would take the same figures off. Each says what it is
about to do before it looks at what the other does, so at least one of the two sees the other:

- A worker *claims* the events that its blocks update before it reads their old rows. Then it waits while a page that may
  hold one of them is being chosen, and writes those that are staged. The old rows that it reads then are the last ones.
- A page claims its events, for `CLAIM_S` by ClickHouse's clock, before it is staged. Then events that a worker has claimed
  in a block that is not finished are left out, and so are rows whose figures an update has taken off; then the rows are
  looked at again, and those that are no longer what was judged are left out. The rest is staged while the claim lasts (as
  with a block's lease, a constraint of the table refuses it later), and the claim is released.
- Two pages of two programs that see each other's claims both step back, and try again after a while.

So a worker waits for a program that died while it chose for CLAIM_S + GRACE_S at most; a staged page it writes itself.

Which blocks are finished the broker knows (`workers/stream/finished.py`), and it matters for the rows, too: a block in doubt
may lack figures in a view, which its repetition adds. Rows of such blocks are not chosen. Should one be repeated all the
same (the group's offsets were lost or reset), the worker leaves out the offsets whose rows were judged again, whatever
ClickHouse remembers of its token.

A page may also hold rows that are to be *erased*, which nothing takes the place of: `workers/erase.py`. It is the
worklist of everything else that names their events, so that is removed before it is dropped. What is written about a day's
texts meanwhile is kept apart by claims of their own: `workers/store/written_days.py`.

Tokens are remembered for the latest so-and-so many inserts. A page that is written when they may be forgotten is compared
with the rows, and the tables refuse what arrives more than `WRITE_S` after it was sent.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from schemas.insights import Insight, Position
from workers.failpoints import failpoint
from workers.settings import ClickHouseSettings
from workers.store.erased_row import ErasedRow
from workers.store.over import removed_until
from workers.store.query import ERASED, REJUDGED, TOKENS_TRUSTED, EventKey, Reader, StoredVersion, batched
from workers.store.rejudged import AT_ROWS, Rejudged, new_rows, old_rows
from workers.store.rows import RETRACTION_COLUMNS
from workers.store.server_clock import ServerClock
from workers.store.traces import Traces
from workers.store.write import Writer

CLAIM_S = 10.0  # a page is checked and staged in a fraction of a second
GRACE_S = 2.0  # a page that passed the table's clock at the claim's last moment is to be seen by then
WRITE_S = 30.0
_NEVER = datetime.min.replace(tzinfo=UTC)
_NAMES = ", ".join(f"`{name}`" for name, _ in RETRACTION_COLUMNS)
_OF_EVENTS = "(source, event_id) IN {keys:Array(Tuple(String, String))}"


class Pages:
    """The pages and claims of a ClickHouse. Methods raise `StoreUnavailable` or `StoreRefused`."""

    def __init__(self, reader: Reader, writer: Writer, clock: ServerClock, settings: ClickHouseSettings) -> None:
        self._reader, self._writer, self._clock = reader, writer, clock
        self._traces = Traces(reader, writer)
        self._window = settings.deduplication_window

    def claim_updates(self, updates: Sequence[StoredVersion]) -> None:
        """A worker says which events it is about to update: no page is staged with them until its block is finished."""
        self._writer.insert_claims(updates)

    def claim(self, page: str, keys: Collection[EventKey]) -> datetime:
        """Says which events the page is about to hold; the moment, by ClickHouse's clock, until which it may be staged."""
        until = self._clock.now() + timedelta(seconds=CLAIM_S)
        self._writer.insert_page_claims(page, sorted(keys), until)
        failpoint("page-claimed")
        return until

    def release(self, page: str) -> None:
        """Ends the page's claim."""
        self._writer.insert_page_claims(page, [("", "")], self._clock.now(), released=True)

    def being_chosen(self, keys: Collection[EventKey], but: str = "") -> bool:
        """Whether a page other than `but` is being chosen that may hold one of these events."""
        claimed = (
            f"SELECT count() FROM claims WHERE {_OF_EVENTS} AND page NOT IN ('', {{but:String}})"  # noqa: S608
            " AND until > now64(3) - toIntervalMillisecond({grace_ms:UInt32}) AND page NOT IN"
            " (SELECT page FROM claims WHERE source = '' AND event_id = '' AND released)"
        )
        others = {"but": but, "grace_ms": int(GRACE_S * 1000)}
        return any(self._reader.rows(claimed, _of(some) | others)[0][0] for some in batched(sorted(keys), 500))

    def updates(self, keys: Collection[EventKey]) -> list[tuple[EventKey, Position]]:
        """The updates of these events that workers have claimed, finished or not, and the positions of their messages."""
        claimed = (
            f"SELECT source, event_id, topic, topic_id, partition, offset FROM claims WHERE {_OF_EVENTS} AND page = ''"  # noqa: S608
        )
        return [
            (EventKey(source, event_id), Position(topic=topic, topic_id=topic_id, partition=partition, offset=offset))
            for some in batched(sorted(keys), 500)
            for source, event_id, topic, topic_id, partition, offset in self._reader.rows(claimed, _of(some))
        ]

    def unchanged(self, rows: Sequence[Rejudged]) -> list[Rejudged]:
        """Those whose old row is there, and not about to go since its time is over (`workers/retention.py`)."""
        found = self._rows_in("insights", rows, old_rows)
        over = removed_until(self._reader) if rows else {}
        there = (row for row in rows if row.old_row in found)
        return [row for row in there if row.insight.ingested_at >= over.get(row.insight.source, _NEVER)]

    def still_there(self, rows: Sequence[ErasedRow]) -> list[ErasedRow]:
        """Those that are in `insights`."""
        found = self._rows_in("insights", rows, old_rows)
        return [row for row in rows if row.old_row in found]

    def taken_off(self, keys: Collection[EventKey]) -> set[Position]:
        """Where rows of these events lay or still lie that updates have taken off the aggregates."""
        return self._reader.retracted(keys)

    def stage(self, page: str, rows: Sequence[Rejudged], until: datetime) -> None:
        """From now on the page will be written, by whoever comes next. Raises `LeaseEnded` when `until` has passed."""
        self._writer.insert_page(page, rows, until)
        failpoint("page-staged")

    def stage_erased(self, page: str, rows: Sequence[ErasedRow], until: datetime) -> None:
        """From now on the rows of the page will be erased, by whoever comes next. Raises `LeaseEnded`."""
        self._writer.insert_erased_page(page, rows, until)
        failpoint("page-staged")

    def staged(self) -> list[str]:
        """Every page that is not written wholly, oldest first."""
        rows = self._reader.rows("SELECT page FROM pages GROUP BY page ORDER BY min(staged_at), page", {})
        return [str(page) for (page,) in rows]

    def staged_to_erase(self) -> list[str]:
        """Those of them whose rows are to be erased, oldest first."""
        rows = self._reader.rows("SELECT page FROM pages WHERE erased GROUP BY page ORDER BY min(staged_at), page", {})
        return [str(page) for (page,) in rows]

    def staged_with(self, keys: Collection[EventKey]) -> list[str]:
        """Those of them that hold one of these events."""
        holding = f"SELECT DISTINCT page FROM pages WHERE {_OF_EVENTS}"  # noqa: S608
        found = {str(row[0]) for some in batched(sorted(keys), 500) for row in self._reader.rows(holding, _of(some))}
        return sorted(found)

    def complete(self, page: str) -> int:
        """Writes what of a staged page is not written yet, and drops it. How many rows it held; 0 when it is gone."""
        rows, staged_at = self._held(page)
        if not rows:
            return 0
        counted = [row for row in rows if isinstance(row, Rejudged) or row.counted]
        old = [row for some in batched(counted, 200) for row in self._reader.rows(_OLD_FIGURES, old_rows(some))]
        new = [row for row in rows if isinstance(row, Rejudged)]
        erased = [row for row in rows if isinstance(row, ErasedRow)]
        if self._parts_since(staged_at) >= TOKENS_TRUSTED * self._window:
            taken_off = self._rows_in("retractions", rows, old_rows)
            inserted = self._rows_in("insights", new, new_rows)
            old = [row for row in old if (*row[2:6], row[-1]) not in taken_off]
            new = [row for row in new if row.row not in inserted]
        reason = ERASED if erased else REJUDGED
        if erased:  # the line says of which page it is, no longer of whom
            old = [(row[0], page, *row[2:]) for row in old]
        self._writer.insert_retractions(old, f"{page}:old", self._lease(), datetime.now(UTC), reason)
        failpoint("page-retracted")
        self._writer.insert_judged_again(new, page, self._lease())
        failpoint("page-inserted")
        self._writer.delete_judged_again(rows)
        failpoint("page-deleted")
        if erased:
            self._traces.remove_of_page(page, erased)
            failpoint("page-forgotten")
        self._writer.drop_page(page)
        return len(rows)

    def _held(self, page: str) -> tuple[list[Rejudged | ErasedRow], datetime]:
        """A page's rows in a fixed order, each once (a lost answer makes it staged twice), and when it was staged."""
        held = (
            "SELECT insight, topic_vector, judged, erased, source, event_id, staged_at FROM pages WHERE page = {page:String}"
            " ORDER BY insight"
        )
        lines = self._reader.rows(held, {"page": page})
        rows = [
            ErasedRow.from_json(source, event_id, told) if erased else Rejudged(_insight(told, vector), judged)
            for told, vector, judged, erased, source, event_id, _ in lines
        ]
        staged_at = min((moment for *_, moment in lines), default=datetime.now(UTC))
        return list({row.old_row: row for row in rows}.values()), staged_at

    def _rows_in(
        self,
        table: str,
        rows: Sequence[Any],
        named: Callable[[Collection[Any]], dict[str, Any]],
    ) -> set[tuple[Any, ...]]:
        """Which of the rows that `named` gives of these are in a table."""
        sql = f"SELECT topic, topic_id, partition, offset, judged FROM {table} WHERE {AT_ROWS}"  # noqa: S608
        return {tuple(row) for some in batched(rows, 200) for row in self._reader.rows(sql, named(some))}

    def _parts_since(self, staged_at: datetime) -> int:
        moment = "fromUnixTimestamp64Milli({staged_ms:Int64}, 'UTC')"
        return self._reader.parts_since(moment, {"staged_ms": int(staged_at.timestamp() * 1000)})

    def _lease(self) -> datetime:
        return self._clock.now() + timedelta(seconds=WRITE_S)


_OLD_FIGURES = f"SELECT {_NAMES} FROM insights WHERE {AT_ROWS} ORDER BY topic, partition, offset"  # noqa: S608


def _insight(document: str, topic_vector: Sequence[int]) -> Insight:
    """A staged row: its JSON leaves the vector out, as every message does."""
    return Insight.model_validate_json(document).model_copy(update={"topic_vector": tuple(topic_vector)})


def _of(keys: Sequence[EventKey]) -> dict[str, Any]:
    return {"keys": [tuple(key) for key in keys]}
