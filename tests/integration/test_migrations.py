"""Migrations: once each, by any number of processes at once, never a changed one."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from workers.embedded.clickhouse import embedded_clickhouse
from workers.settings import ClickHouseSettings, Settings
from workers.store.connect import StoreRefused, connect
from workers.store.migrate import migrate, shipped_migrations


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    with embedded_clickhouse(tmp_path) as server:
        yield Settings(clickhouse=ClickHouseSettings(port=server.port))


def test_four_processes_at_once_apply_each_migration_once_and_in_order(settings: Settings) -> None:
    with ThreadPoolExecutor(4) as pool:
        applied = list(pool.map(lambda _: migrate(settings), range(4)))
    assert [m.number for part in applied for m in part] == [m.number for m in shipped_migrations()]
    with connect(settings.clickhouse) as client:
        numbers = client.query("SELECT number FROM schema_migrations ORDER BY number").result_rows
        locks = client.query("SELECT name FROM system.tables WHERE name LIKE 'schema_migrations_lock%'").result_rows
    assert [number for (number,) in numbers] == [m.number for m in shipped_migrations()]
    assert list(locks) == []


def test_an_applied_migration_that_has_changed_is_refused(settings: Settings) -> None:
    migrate(settings)
    first, *others = shipped_migrations()
    with pytest.raises(StoreRefused, match="has changed since it was applied"):
        migrate(settings, [replace(first, sql=first.sql + "\n-- changed"), *others])
