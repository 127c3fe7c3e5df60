"""Backed up, lost, restored: deploy/README.md's procedure, by the statements that it gives."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.by_hand import WINDOW, Rows, block, process, review, text_of
from tests.configured_clickhouse import ConfiguredClickHouse
from workers.settings import ClickHouseSettings, Settings
from workers.store.connect import connect
from workers.store.migrate import migrate

DEPLOY = Path(__file__).parents[2] / "deploy"
CHANGED = "I hate the battery of it now, number 3"
TEXTS = {f"e-{n}": text_of(n) for n in range(30)} | {"e-3": CHANGED}
DIRECTORY = "/var/lib/clickhouse/backups/"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ConfiguredClickHouse]:
    """It may write backups, as compose configures its own."""
    configuration = (DEPLOY / "clickhouse" / "backups.xml").read_text(encoding="utf-8")
    assert DIRECTORY in configuration
    with ConfiguredClickHouse(tmp_path / "clickhouse", configuration.replace(DIRECTORY, f"{tmp_path}/")) as running:
        yield running


@pytest.fixture
def settings(server: ConfiguredClickHouse) -> Settings:
    """Its tables hold thirty events, one of them updated, and a dead letter."""
    made = Settings(clickhouse=ClickHouseSettings(port=server.port, deduplication_window=WINDOW))
    migrate(made)
    process(made, block(0, 30), block(30, 32, {30: review(3, CHANGED), 31: b"no JSON"}))
    return made


PAGE = (DEPLOY / "README.md").read_text(encoding="utf-8")


def statement(word: str) -> str:
    """The one that begins so, as the page has it."""
    (found,) = re.findall(rf'--query "({word} [^"]+)"', PAGE)
    return str(found)


def patched_tables() -> list[str]:
    """Those that the page's loop goes through."""
    (found,) = re.findall(r"for table in ([a-z_ ]+); do", PAGE)
    return str(found).split()


def lose_and_restore(server: ConfiguredClickHouse, settings: Settings) -> None:
    with connect(settings.clickhouse, database="default") as client:
        client.command("DROP DATABASE voxpop SYNC")
        assert client.query("SELECT count() FROM system.tables WHERE database = 'voxpop'").result_rows == [(0,)]
        client.command(statement("RESTORE DATABASE"))
    assert "restart clickhouse" in PAGE
    server.stop()
    server.start()


def back_up(settings: Settings) -> None:
    with connect(settings.clickhouse, database="default") as client:
        for table in patched_tables():
            client.command(statement("ALTER TABLE").replace("$table", table))
        client.command(statement("BACKUP DATABASE"))


# States cannot be put in order, nor read by a client.
SUMS_OF_TOPICS = (
    "SELECT day, pack, sum(texts), sumForEachMerge(vectors) FROM topics_daily GROUP BY day, pack ORDER BY day, pack"
)


def told(rows: Rows) -> dict[str, list[tuple[object, ...]]]:
    """What every table and view says, but the order of rows and what merges have made of them meanwhile."""
    sql = "SELECT name, engine FROM system.tables WHERE database = currentDatabase() AND engine != 'MaterializedView'"
    return {
        name: rows.select(
            SUMS_OF_TOPICS
            if name == "topics_daily"
            else f"SELECT * FROM {name}{' FINAL' if engine.startswith('Summing') else ''} ORDER BY ALL"
        )
        for name, engine in rows.select(sql)
    }


def test_the_page_names_every_table_from_which_rows_are_deleted_by_patches(settings: Settings) -> None:
    sql = (
        "SELECT name FROM system.tables WHERE database = currentDatabase()"
        " AND create_table_query LIKE '%enable_block_number_column = 1%'"
    )
    assert {name for (name,) in Rows(settings).select(sql)} == set(patched_tables())


def test_every_table_and_view_says_what_it_said(server: ConfiguredClickHouse, settings: Settings) -> None:
    rows = Rows(settings)
    before = told(rows)
    assert (len(before["insights"]), len(before["dead_letters"]), len(before["v_recent"])) == (30, 1, 30)
    back_up(settings)
    lose_and_restore(server, settings)
    assert told(rows) == before
    assert migrate(settings) == []


def test_what_came_after_the_backup_is_read_again_and_counts_once(
    server: ConfiguredClickHouse, settings: Settings
) -> None:
    """With the group's offsets as they were at the backup: block 32-62 is cut anew, repeated, and resent."""
    back_up(settings)
    after = {n: review(n) for n in range(32, 62)}
    process(settings, block(32, 62, after))
    lose_and_restore(server, settings)
    rows = Rows(settings)
    rows.assert_are(TEXTS, {b"no JSON": 1})
    process(settings, block(32, 62, after), block(32, 62, after, repeated=True))
    process(settings, block(62, 92, {n + 30: value for n, value in after.items()}))
    rows.assert_are(TEXTS | {f"e-{n}": text_of(n) for n in after}, {b"no JSON": 1})


def test_resends_and_updates_of_restored_events_are_told(server: ConfiguredClickHouse, settings: Settings) -> None:
    back_up(settings)
    lose_and_restore(server, settings)
    again = {n + 32: review(n) for n in range(30) if n != 3} | {
        35: review(3, CHANGED),
        62: review(5, "I love the price of it"),
    }
    process(settings, block(32, 63, again))
    process(settings, block(63, 64, {63: review(3, "I love the sound of it")}))  # an event that was updated before, too
    Rows(settings).assert_are(
        TEXTS | {"e-5": "I love the price of it", "e-3": "I love the sound of it"}, {b"no JSON": 1}
    )
