"""Makes deleted rows leave the disk: merges what they are hidden in, then waits until no old part is there.

A deleted row is only hidden, by a patch part, until its part is merged; the parts that a merge has replaced stay for
`old_parts_lifetime` seconds, and a patch part until no part needs it. So every part that something hides is merged, and the
parts that are over are not kept any longer. What is hidden is read off the server, so nothing need be remembered.
"""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

from workers.store.connect import StoreUnavailable
from workers.store.query import Reader
from workers.store.write import Writer

LIMIT_S = 300.0
PAUSE_S = 0.2
_QUICK = {
    "old_parts_lifetime": 0,
    "merge_tree_clear_old_parts_interval_seconds": 1,
    "cleanup_delay_period": 1,
    "cleanup_delay_period_random_add": 0,
    "max_cleanup_delay_period": 1,
}
_PATCH = re.compile(r"^patch-[0-9a-f]+-(.*)$")
_OF_TABLE = "FROM system.parts WHERE database = currentDatabase() AND table = {table:String}"
_PATCHES = "startsWith(partition_id, 'patch-')"
# A patch part of a partition that is gone (truncated, dropped) hides nothing.
_HIDES = (
    f"{_PATCHES} AND replaceRegexpOne(partition_id, '^patch-[0-9a-f]+-', '') IN"
    f" (SELECT partition_id {_OF_TABLE} AND active)"
)
_HIDING = (
    f"SELECT DISTINCT partition_id {_OF_TABLE} AND active AND ({_HIDES} OR (has_lightweight_delete AND NOT {_PATCHES}))"
)
_OVER = f"SELECT name {_OF_TABLE} AND (NOT active OR ({_HIDES}))"
_TABLES = "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree' ORDER BY name"


class Purge:
    """Of one ClickHouse. Raises `StoreRefused`, or `StoreUnavailable` when parts stay for longer than `LIMIT_S`."""

    def __init__(self, reader: Reader, writer: Writer) -> None:
        self._reader, self._writer = reader, writer

    def run(self) -> int:
        """How many parts are gone from the disk. What workers write meanwhile is left alone."""
        tables = [str(table) for (table,) in self._reader.rows(_TABLES, {})]
        with self._quickly(tables):
            deadline = time.monotonic() + LIMIT_S
            for table in tables:
                self._merge(table, deadline)
            over = {table: self._parts(table) for table in tables}
            while any(over[table] & self._parts(table) for table in tables):
                if time.monotonic() > deadline:
                    raise StoreUnavailable(
                        f"ClickHouse still keeps old parts after {LIMIT_S:.0f} s: something reads them, or merges are"
                        " stopped; run this again"
                    )
                time.sleep(PAUSE_S)
        return sum(len(parts) for parts in over.values())

    def _merge(self, table: str, deadline: float) -> None:
        """Rewrites every partition in which something is hidden."""
        hiding = [str(partition) for (partition,) in self._reader.rows(_HIDING, {"table": table})]
        for partition in sorted({patch[1] if (patch := _PATCH.match(name)) else name for name in hiding}):
            while True:
                try:
                    sql = f"OPTIMIZE TABLE {table} PARTITION ID '{partition}' FINAL"
                    self._writer.command(sql, {}, {"optimize_throw_if_noop": 1})
                except StoreUnavailable:  # the server merges there by itself
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(PAUSE_S)
                else:
                    break

    def _parts(self, table: str) -> set[str]:
        return {str(name) for (name,) in self._reader.rows(_OVER, {"table": table})}

    @contextmanager
    def _quickly(self, tables: list[str]) -> Iterator[None]:
        """Old parts go at once. A run that dies here leaves it so, which costs a look a second; the next one ends it."""
        told = ", ".join(f"{name} = {value}" for name, value in _QUICK.items())
        for table in tables:
            self._writer.command(f"ALTER TABLE {table} MODIFY SETTING {told}", {})
        try:
            yield
        finally:
            for table in tables:
                self._writer.command(f"ALTER TABLE {table} RESET SETTING {', '.join(_QUICK)}", {})
