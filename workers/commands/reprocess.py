"""`voxpop reprocess`: its dates, its progress, and its report."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from workers.analyze.judge import Judge
from workers.analyze.routed import RoutedJudge
from workers.errors import UsageError, VoxpopError
from workers.reprocess import Reprocess, Tally
from workers.settings import Settings
from workers.store.connect import connect
from workers.store.pages import Pages
from workers.store.query import Reader
from workers.store.selection import PackVersion, RoutedTo, SelectedRows, Selection
from workers.store.server_clock import ServerClock
from workers.store.windows import check_windows, deduplication_windows
from workers.store.write import Writer
from workers.stream.blocks import now_s
from workers.stream.finished import FinishedBlocks
from workers.worker import build_judge


@dataclass(frozen=True, slots=True)
class ReprocessRequest:
    """What the command line asked for. Moments have a zone; None takes everything."""

    since: datetime
    until: datetime | None
    product: str | None
    source: str | None
    version_not: str | None
    dry_run: bool

    @classmethod
    def parse(
        cls,
        since: str,
        until: str | None,
        product: str | None,
        source: str | None,
        version_not: str | None,
        *,
        dry_run: bool,
    ) -> Self:
        """Raises `UsageError` when a date is none, or the days lie the wrong way round."""
        begin = moment_of("--since", since)
        end = None if until is None else moment_of("--until", until)
        if end is not None and end <= begin:
            raise UsageError(
                f"--until {until} is not after --since {since}, so no event lies between; give a later one"
            )
        return cls(begin, end, product, source, version_not, dry_run)

    def selection(self, judge: RoutedJudge) -> Selection:
        """The rows to judge again when this is the judge."""
        routes = [RoutedTo(product, source, PackVersion(*served)) for product, source, served in judge.routes]
        served = PackVersion(*judge.served)
        topical = [PackVersion(*pack) for pack in judge.with_topics]
        return Selection(served, self.since, self.until, self.product, self.source, self.version_not, routes, topical)


def moment_of(option: str, text: str) -> datetime:
    """An ISO date (its first moment) or date and time; in UTC where no zone is given. Raises `UsageError`."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(
            f"{option} {text!r} is not a date; write it like 2026-06-01 or 2026-06-01T12:00:00Z"
        ) from error
    if not 1970 <= moment.year < 2200:
        raise UsageError(f"{option} {text!r} lies outside the years 1970 to 2199, in which ClickHouse keeps times")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def show_reprocess(settings: Settings, request: ReprocessRequest, out: Console, err: Console, *, as_json: bool) -> None:
    """Judges the rows again, showing progress on `err`, and prints the counts.

    Raises `VoxpopError` when rows could not be judged or stayed in other hands; all others are done then.
    """
    with closing(build_judge(settings)) as judge:
        selection = request.selection(judge)
        if request.dry_run:
            with connect(settings.clickhouse) as client:
                selected = SelectedRows(Reader(client, settings.clickhouse), selection)
                _show_plan(selected.by_pack(), selection.served, out, as_json=as_json)
            return
        started = time.monotonic()
        with _reprocess(settings, selection, judge) as run, _bar(err, selection.served) as show:
            tally = run.run(show)
    _show_tally(tally, selection.served, time.monotonic() - started, out, as_json=as_json)
    if tally.left:
        raise VoxpopError(
            f"{tally.left} rows are in the hands of workers (their blocks are not finished) or of another reprocess;"
            " see that workers run with this pack, then run this again"
        )
    if tally.unjudged:
        raise VoxpopError(f"{tally.unjudged} texts could not be judged; their rows stay as they were")


@contextmanager
def _reprocess(settings: Settings, selection: Selection, judge: Judge) -> Iterator[Reprocess]:
    """A run with connections of its own."""
    store = settings.clickhouse
    with ExitStack() as stack:
        client = stack.enter_context(connect(store))
        check_windows(deduplication_windows(client, store), store)
        finished = stack.enter_context(closing(FinishedBlocks(settings.kafka)))
        reader = Reader(client, store)
        pages = Pages(reader, Writer(client, store), ServerClock(client, store, now_s), store)
        yield Reprocess(SelectedRows(reader, selection), pages, judge, finished.among)


@contextmanager
def _bar(err: Console, served: PackVersion) -> Iterator[Any]:
    """Rows done of all, how many a second, and how long it will take."""
    shown = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"))
    with Progress(*shown, TimeRemainingColumn(), console=err) as bar:
        task, started = bar.add_task(f"judging again with {served.pack}", total=None, rate=""), time.monotonic()

        def show(tally: Tally) -> None:
            rate = f"{tally.done / max(time.monotonic() - started, 1e-3):.0f} rows/s"
            bar.update(task, total=tally.total, completed=tally.done, rate=rate)

        yield show


def _show_plan(rows: dict[PackVersion, int], served: PackVersion, out: Console, *, as_json: bool) -> None:
    total = sum(rows.values())
    if as_json:
        by_pack = [{"pack": by.pack, "pack_version": by.version, "rows": count} for by, count in rows.items()]
        counts = {"dry_run": True, "pack": served.pack, "pack_version": served.version, "total": total}
        out.file.write(json.dumps({**counts, "by_pack": by_pack}) + "\n")
        return
    caption = f"{total:,} rows would be judged again by {served.pack} {served.version}"
    table = Table("Judged by", "Version", "Rows", caption=caption, caption_justify="left")
    for by, count in rows.items():
        table.add_row(by.pack, by.version, f"{count:,}")
    out.print(table, markup=False)


def _show_tally(tally: Tally, served: PackVersion, seconds: float, out: Console, *, as_json: bool) -> None:
    if as_json:
        counts = {"dry_run": False, "pack": served.pack, "pack_version": served.version, **asdict(tally)}
        out.file.write(json.dumps({**counts, "seconds": round(seconds, 3)}) + "\n")
        return
    found = f" · {tally.completed:,} were staged before" if tally.completed else ""
    line = f"{tally.rejudged:,} of {tally.total:,} rows judged again by {served.pack} {served.version}{found}"
    out.print(f"{line} · {seconds:.1f} s", highlight=False, markup=False, soft_wrap=True)
