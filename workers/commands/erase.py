"""`voxpop erase`: whose texts, the steps as they go, and the counts that prove it."""

import json
import re
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Self

from rich.console import Console
from rich.table import Table

from workers.analyze.redact import author_pseudonym, redact_identifier
from workers.commands.audit import operator
from workers.erase import Erase, Erased, Subject
from workers.errors import UsageError, VoxpopError
from workers.salt import author_salt
from workers.settings import Settings
from workers.store import audit
from workers.store.connect import connect
from workers.store.pages import Pages
from workers.store.purge import Purge
from workers.store.query import EventKey, Reader
from workers.store.recount import differing
from workers.store.server_clock import ServerClock
from workers.store.windows import check_windows, deduplication_windows
from workers.store.write import Writer
from workers.stream.blocks import now_s
from workers.stream.finished import FinishedBlocks

COUNTED_AGAIN = 5  # times at most: while workers write, a block's figures follow its rows by milliseconds
_PSEUDONYM = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class EraseRequest:
    """What the command line asked for. `author_ids` are raw, as producers send them; "-" stands for lines of stdin."""

    authors: Sequence[str]
    author_ids: Sequence[str]
    events: Sequence[str]
    source: str

    @classmethod
    def parse(cls, authors: Sequence[str], author_ids: Sequence[str], events: Sequence[str], source: str) -> Self:
        """Raises `UsageError` when nothing is named, or what is named is none. Without a source, events are of every one."""
        if not (authors or author_ids or events):
            raise UsageError("name whom or what: --author HASH, --author-id ID, or --event ID")
        if any(not _PSEUDONYM.fullmatch(author) for author in authors):
            raise UsageError(
                "--author takes 32 hex digits as in insights.author; --author-id takes the producer's own id"
            )
        if "" in events or "" in author_ids:
            raise UsageError("an event's or an author's id is empty")
        if source and not events:
            raise UsageError("--source says whose --event is meant; name one")
        return cls(authors, author_ids, events, source)

    def subject(self, salt: bytes, reader: Reader) -> Subject:
        """As it is stored: authors by pseudonym, ids redacted. Raises `UsageError` for an event of no source known."""
        raw = [name for name in self.author_ids if name != "-"]
        if "-" in self.author_ids:
            raw += [line for line in sys.stdin.read().splitlines() if line]
        authors = frozenset({*self.authors, *(author_pseudonym(name, salt) for name in raw)})
        return Subject(authors, frozenset(key for event in self.events for key in self._keys(event, reader)))

    def _keys(self, event: str, reader: Reader) -> list[EventKey]:
        event_id = redact_identifier(event)
        if self.source:
            return [EventKey(redact_identifier(self.source), event_id)]
        stored = "SELECT source FROM event_keys WHERE event_id = {id:String} UNION DISTINCT"
        sql = f"{stored} SELECT source FROM insights WHERE event_id = {{id:String}}"  # noqa: S608
        found = [EventKey(str(source), event_id) for (source,) in reader.rows(sql, {"id": event_id})]
        if not found:
            raise UsageError(f"no source has an event {event!r} here; name its --source to keep it out all the same")
        return found


def show_erase(settings: Settings, request: EraseRequest, out: Console, err: Console, *, as_json: bool) -> None:
    """Erases, merges, counts again and prints the counts. Raises `VoxpopError` when rows are left or figures differ."""
    started, salt, store = time.monotonic(), author_salt(settings), settings.clickhouse
    if store.cluster:
        raise UsageError(
            "voxpop erase cannot see that every node of a cluster has let go of the bytes;"
            " deploy/clickhouse/CLUSTER.md says what is left to do by hand"
        )
    with ExitStack() as stack:
        client = stack.enter_context(connect(store))
        check_windows(deduplication_windows(client, store), store)
        finished = stack.enter_context(closing(FinishedBlocks(settings.kafka)))
        reader, writer = Reader(client, store), Writer(client, store)
        subject = request.subject(salt, reader)
        clock = ServerClock(client, store, now_s)
        pages = Pages(reader, writer, clock, store)
        run = Erase(reader, writer, pages, clock, finished.among, salt, settings.worker.lease_s)
        with err.status("erasing") as status:
            erased = run.run(subject, lambda step: status.update(f"erasing: {step}"))
            status.update("erasing: merging, until the bytes are gone")
            parts = Purge(reader, writer).run()
            status.update("erasing: counting again")
            mismatches = _mismatches(reader)
        details = {name: str(count - erased.after[name]) for name, count in erased.before.items()}
        named = {"authors": str(len(subject.authors)), "events": str(len(subject.events))}
        audit.note(client, store, operator(), audit.ERASED, named | details | {"left": str(erased.left)})
    _show(erased, parts, mismatches, time.monotonic() - started, out, as_json=as_json)
    if erased.left:
        raise VoxpopError(
            f"{erased.left} rows are in the hands of workers (their blocks are not finished) or of reprocess;"
            " see that workers run, then run this again"
        )
    if mismatches:
        raise VoxpopError(f"{mismatches} lines of aggregates differ from a recount; run this again, then voxpop doctor")


def _mismatches(reader: Reader) -> int:
    """Lines of aggregates that differ from a recount, however often one looks."""
    count = 0
    for _ in range(COUNTED_AGAIN):
        count = sum(len(lines) for lines in differing(reader).values())
        if not count:
            break
        time.sleep(1.0)
    return count


def _show(erased: Erased, parts: int, mismatches: int, seconds: float, out: Console, *, as_json: bool) -> None:
    if as_json:
        tables = {name: {"before": count, "after": erased.after[name]} for name, count in erased.before.items()}
        told = {"tables": tables, "left": erased.left, "parts_gone": parts, "aggregate_mismatches": mismatches}
        out.file.write(json.dumps(told | {"seconds": round(seconds, 3)}) + "\n")
        return
    caption = f"{parts} old parts are gone from the disk · {mismatches} lines of aggregates differ from a recount"
    table = Table("Table", "Before", "After", caption=f"{caption} · {seconds:.0f} s", caption_justify="left")
    for name, count in erased.before.items():
        table.add_row(name, f"{count:,}", f"{erased.after[name]:,}")
    out.print(table, markup=False)
