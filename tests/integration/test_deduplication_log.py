"""A ClickHouse that was killed between noting an insert and having its part takes the insert when it is repeated."""

import shutil
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client

from workers.embedded.clickhouse import EmbeddedClickHouse
from workers.embedded.deduplication_log import LOGS, mend_deduplication_logs
from workers.settings import ClickHouseSettings
from workers.store.connect import connect

TABLE = (
    "CREATE TABLE t (month UInt32, n UInt32) ENGINE = MergeTree PARTITION BY month ORDER BY n"
    " SETTINGS non_replicated_deduplication_window = 100"
)


@pytest.fixture
def server(tmp_path: Path) -> EmbeddedClickHouse:
    return EmbeddedClickHouse(tmp_path)


def opened(server: EmbeddedClickHouse) -> Client:
    return connect(ClickHouseSettings(port=server.port), database="default")


def insert(client: Client, token: str, *months: int) -> None:
    rows = [[month, 1] for month in months]
    client.insert("t", rows, column_names=["month", "n"], settings={"insert_deduplication_token": token})


def counts(client: Client) -> dict[int, int]:
    return dict(client.query("SELECT month, count() FROM t GROUP BY month").result_rows)  # type: ignore[arg-type]


def table_directory(data: Path) -> Path:
    (logs,) = [logs for logs in data.glob(f"engine/**/{LOGS}") if list(logs.parent.glob("202601_*"))]
    return logs.parent


def test_a_part_that_a_crash_has_lost_is_taken_when_its_block_is_repeated(
    server: EmbeddedClickHouse, tmp_path: Path
) -> None:
    with server:
        with opened(server) as client:
            client.command(TABLE)
            insert(client, "first", 202601, 202602)
            client.command("OPTIMIZE TABLE t FINAL")  # what is merged away is not lost
            insert(client, "second", 202601, 202602)
        server.kill()
        for part in table_directory(tmp_path).glob("202602_*"):
            if "_0" in part.name[-2:]:  # the second block's, not the merged one
                shutil.rmtree(part)
        server.start()
        with opened(server) as client:
            assert counts(client) == {202601: 2, 202602: 1}
            for _ in range(2):
                insert(client, "first", 202601, 202602)
                insert(client, "second", 202601, 202602)
            assert counts(client) == {202601: 2, 202602: 2}


def test_nothing_is_taken_back_while_every_part_is_there(server: EmbeddedClickHouse, tmp_path: Path) -> None:
    with server, opened(server) as client:
        client.command(TABLE)
        for number in range(5):
            insert(client, f"block {number}", 202601, 202602)
    assert mend_deduplication_logs(tmp_path / "engine") == []


def test_a_line_that_was_cut_off_goes_and_the_lines_before_it_stay(server: EmbeddedClickHouse, tmp_path: Path) -> None:
    with server, opened(server) as client:
        client.command(TABLE)
        insert(client, "whole", 202601)
    (log,) = (table_directory(tmp_path) / LOGS).iterdir()
    whole = log.read_text()
    log.write_text(whole + "1\t20260")
    assert mend_deduplication_logs(tmp_path / "engine") == []
    assert log.read_text() == whole
