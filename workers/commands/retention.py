"""`voxpop retention`: what is older than the settings allow, by source and table; with --apply it goes."""

import json
import time
from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from workers.commands.audit import operator
from workers.errors import UsageError, VoxpopError
from workers.retention import Removed, Retention, ends_at
from workers.settings import RetentionSettings, Settings
from workers.store import audit
from workers.store.connect import connect
from workers.store.expiry import Expiry
from workers.store.pages import Pages
from workers.store.purge import Purge
from workers.store.query import Reader
from workers.store.server_clock import ServerClock
from workers.store.windows import check_windows, deduplication_windows
from workers.store.write import Writer
from workers.stream.blocks import now_s
from workers.stream.finished import FinishedBlocks

Rows = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class _Shown:
    """What is told: rows by source and table, and what else was done; `parts` are None when nothing was removed."""

    rows: Rows
    left: int
    parts: int | None
    seconds: float


def show_retention(settings: Settings, out: Console, err: Console, *, apply: bool, as_json: bool) -> None:
    """Tells what is due; with `apply` removes it first. Raises `VoxpopError` when texts are left in other hands."""
    started, store = time.monotonic(), settings.clickhouse
    if store.cluster:
        raise UsageError(
            "voxpop retention has not been tried on a cluster; deploy/clickhouse/CLUSTER.md says what to do there"
        )
    with ExitStack() as stack:
        client = stack.enter_context(connect(store))
        check_windows(deduplication_windows(client, store), store)
        finished = stack.enter_context(closing(FinishedBlocks(settings.kafka))).among if apply else set
        reader, writer = Reader(client, store), Writer(client, store)
        clock = ServerClock(client, store, now_s)
        expiry = Expiry(reader, writer)
        run = Retention(expiry, Pages(reader, writer, clock, store), clock, finished, settings.worker.lease_s)
        ends = ends_at(settings, expiry.sources(), clock.now())
        if not apply:
            shown = _Shown(run.due(ends), 0, None, time.monotonic() - started)
        else:
            with err.status("retention") as status:
                removed = run.apply(ends, lambda step: status.update(f"retention: {step or 'the rest'}"))
                status.update("retention: merging, until the bytes are gone")
                parts = Purge(reader, writer).run() if any(removed.total().values()) else 0
            audit.note(client, store, operator(), audit.RETENTION, _details(settings.retention, removed))
            shown = _Shown(removed.rows, removed.left, parts, time.monotonic() - started)
    _show(settings.retention, shown, out, as_json=as_json)
    if shown.left:
        raise VoxpopError(
            f"{shown.left} texts are in the hands of workers (their blocks, or updates of them, are not finished);"
            " see that workers run, then run this again"
        )


def _details(retention: RetentionSettings, removed: Removed) -> dict[str, str]:
    counted = {table: str(count) for table, count in removed.total().items() if count}
    asked = {
        "days": _days(retention.days),
        "sources": json.dumps(retention.sources, sort_keys=True, ensure_ascii=False),
    }
    return asked | counted | {"left": str(removed.left)}


def _show(retention: RetentionSettings, shown: _Shown, out: Console, *, as_json: bool) -> None:
    applied = shown.parts is not None
    if as_json:
        told = {"applied": applied, "sources": shown.rows, "left": shown.left, "parts_gone": shown.parts or 0}
        out.file.write(json.dumps(told | {"seconds": round(shown.seconds, 3)}, ensure_ascii=False) + "\n")
        return
    what = f"removed · {shown.parts} old parts are gone from the disk" if applied else "due; --apply removes it"
    table = Table("Source", "Days", "Table", "Rows", caption=f"{what} · {shown.seconds:.0f} s", caption_justify="left")
    for source, rows in shown.rows.items():
        days = _days(retention.of_source(source)) if source else ""
        for name, count in rows.items():
            if count:
                table.add_row(source or "(every other)", days, name, f"{count:,}")
    if not any(count for rows in shown.rows.values() for count in rows.values()):
        table.add_row("nothing", "", "", "0")
    out.print(table, markup=False)


def _days(days: int | None) -> str:
    return "kept" if days is None else str(days)
