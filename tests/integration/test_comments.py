"""An analyst who types DESCRIBE TABLE reads what each column holds."""

from collections.abc import Iterator

import pytest
from clickhouse_connect.driver.client import Client

from workers.embedded.clickhouse import EmbeddedClickHouse
from workers.settings import ClickHouseSettings, Settings
from workers.store.comments import shipped_comments, write_comments
from workers.store.connect import connect
from workers.store.migrate import migrate


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with EmbeddedClickHouse(tmp_path_factory.mktemp("clickhouse")) as server:
        settings = Settings(clickhouse=ClickHouseSettings(port=server.port))
        migrate(settings)
        with connect(settings.clickhouse) as opened:
            yield opened


def test_every_table_view_and_column_is_described(client: Client) -> None:
    read = "database = currentDatabase() AND table NOT LIKE 'mv\\\\_%'"
    bare = client.query(f"SELECT table, name FROM system.columns WHERE {read} AND comment = ''").result_rows
    assert list(bare) == []
    tables = client.query(f"SELECT name FROM system.tables WHERE {read.replace('table', 'name')} AND comment = ''")
    assert list(tables.result_rows) == []


def test_every_description_is_of_something_that_exists(client: Client) -> None:
    columns = client.query("SELECT table, name FROM system.columns WHERE database = currentDatabase()").result_rows
    comments = shipped_comments()
    assert comments.tables.keys() <= {table for table, _ in columns}
    assert comments.shared.keys() <= {name for _, name in columns}
    assert {(table, name) for table, own in comments.own.items() for name in own} <= set(columns)


def test_what_is_described_is_left_alone_and_what_was_changed_is_mended(client: Client) -> None:
    assert write_comments(client, shipped_comments()) == 0
    client.command("ALTER TABLE insights COMMENT COLUMN text 'it''s nothing \\\\ at all'")
    assert write_comments(client, shipped_comments()) == 1
    assert write_comments(client, shipped_comments()) == 0
