"""An unmodified clickhouse-connect works against the embedded ClickHouse as against a server."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import clickhouse_connect
import numpy as np
import pandas as pd
import pyarrow as pa  # type: ignore[import-untyped]
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError, StreamFailureError
from clickhouse_connect.driver.external import ExternalData

from workers.embedded.clickhouse import EmbeddedClickHouse, embedded_clickhouse

PASSWORD = "correct horse 🐎 battery"
MILLION = 1_000_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedClickHouse]:
    with embedded_clickhouse(tmp_path_factory.mktemp("clickhouse"), password=PASSWORD) as running:
        yield running


def connect(server: EmbeddedClickHouse, **options: Any) -> Client:
    arguments: dict[str, Any] = {"username": server.username, "password": server.password, **options}
    return clickhouse_connect.get_client(host=server.host, port=server.port, **arguments)


@pytest.fixture
def client(server: EmbeddedClickHouse) -> Iterator[Client]:
    with connect(server) as connected:
        yield connected


def peak_memory_bytes(pid: int) -> int:
    """The most memory the process has ever held."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def test_types_survive_the_way_in_and_out(client: Client) -> None:
    client.command(
        "CREATE OR REPLACE TABLE kinds (n UInt8, s String, l LowCardinality(String), d DateTime64(3, 'UTC'),"
        " a Array(String), o Nullable(Float64), t Tuple(x Int32, y String),"
        " m Map(String, UInt64), u UUID, e Enum8('no' = 0, 'yes' = 1))"
        " ENGINE = MergeTree ORDER BY n"
    )
    moment = datetime(2026, 3, 1, 12, 30, 15, 123000, tzinfo=UTC)
    uuid = "7a3f1c1e-0000-4000-8000-00000000abcd"
    row = (1, "tab\t'quote' \\ 😀 \x00", "low", moment, ["a", "b,'"], None, (7, "y"), {"k": 2}, uuid, "yes")
    client.insert("kinds", [row])
    read = client.query("SELECT * FROM kinds", tz_mode="aware").result_rows[0]
    assert read[:3] == row[:3]
    assert read[3] == moment
    assert read[4:6] == (row[4], None)
    assert (tuple(read[6].values()), read[7], str(read[8]), read[9]) == ((7, "y"), {"k": 2}, uuid, "yes")


def test_a_million_rows_go_in_and_come_out_in_streams(server: EmbeddedClickHouse, client: Client) -> None:
    client.command("CREATE OR REPLACE TABLE million (a UInt64, s String, f Float64) ENGINE = MergeTree ORDER BY a")
    numbers = np.arange(MILLION, dtype="uint64")
    frame = pd.DataFrame({"a": numbers, "s": [f"row {n}" for n in range(MILLION)], "f": numbers / 7})
    assert client.insert_df("million", frame).written_rows == MILLION
    with client.query_row_block_stream("SELECT a, s FROM million ORDER BY a") as blocks:
        last, rows = None, 0
        for block in blocks:
            rows, last = rows + len(block), block[-1]
    assert (rows, last) == (MILLION, (MILLION - 1, f"row {MILLION - 1}"))
    with client.query_df_stream("SELECT a, f FROM million") as frames:
        assert sum(len(part) for part in frames) == MILLION
    with client.query_arrow_stream("SELECT a FROM million") as batches:
        assert sum(batch.num_rows for batch in batches) == MILLION
    read = client.query_df("SELECT * FROM million ORDER BY a")
    pd.testing.assert_frame_equal(read.astype(frame.dtypes.to_dict()), frame)


def test_the_servers_memory_does_not_grow_with_the_result(server: EmbeddedClickHouse, client: Client) -> None:
    client.query("SELECT number FROM numbers(100000)")
    before = peak_memory_bytes(server.pid)
    stream: Any = client.raw_stream("SELECT number, toString(number) FROM numbers(8000000)", fmt="JSONCompact")
    size = sum(len(chunk) for chunk in iter(lambda: stream.read(1 << 20), b""))
    assert size > 150_000_000
    assert peak_memory_bytes(server.pid) - before < 100_000_000


@pytest.mark.parametrize("compress", [False, "lz4", "zstd", "gzip"])
def test_every_compression_the_client_negotiates(server: EmbeddedClickHouse, compress: str | bool) -> None:
    with connect(server, compress=compress) as client:
        client.command("CREATE OR REPLACE TABLE packed (a UInt32, s String) ENGINE = MergeTree ORDER BY a")
        rows = [(n, f"value {n % 17}" * 5) for n in range(50_000)]
        client.insert("packed", rows)
        assert client.query("SELECT * FROM packed ORDER BY a").result_rows == rows
        with client.query_row_block_stream("SELECT number FROM numbers(500000)") as blocks:
            assert sum(len(block) for block in blocks) == 500_000


def test_arrow_and_raw_formats_go_both_ways(client: Client) -> None:
    client.command("CREATE OR REPLACE TABLE rawly (a UInt32, s String) ENGINE = MergeTree ORDER BY a")
    client.insert_arrow("rawly", pa.table({"a": pa.array([1, 2], pa.uint32()), "s": ["one", "two"]}))
    client.raw_insert("rawly", ["a", "s"], insert_block="3,three\n4,four\n", fmt="CSV")
    client.raw_insert("rawly", insert_block=(part for part in (b'{"a":5,"s":"fi', b've"}\n')), fmt="JSONEachRow")
    assert client.query_arrow("SELECT * FROM rawly ORDER BY a").to_pydict()["s"] == [
        "one",
        "two",
        "three",
        "four",
        "five",
    ]
    assert client.raw_query("SELECT a, s FROM rawly ORDER BY a LIMIT 1", fmt="CSVWithNames") == b'"a","s"\n1,"one"\n'


def test_commands_and_typed_parameters(client: Client) -> None:
    assert client.command("SELECT 1 + 1") == 2
    assert (
        client.command("SELECT {word:String}", parameters={"word": "it's\ta \\ 'test' 😀"})
        == "it\\'s\\ta \\\\ \\'test\\' 😀"
    )
    asked = {"list": ["a'b", "c"], "when": datetime(2026, 1, 2, 3, 4, 5), "none": None, "table": "numbers"}
    sql = "SELECT {list:Array(String)}, {when:DateTime}, {none:Nullable(Int32)} FROM system.{table:Identifier} LIMIT 1"
    assert client.query(sql, parameters=asked).result_rows == [(asked["list"], asked["when"], None)]
    many = client.query("SELECT length({long:Array(String)})", parameters={"long": [f"item {n}" for n in range(5000)]})
    assert many.result_rows == [(5000,)], "parameters too long for a URL are sent as a form"


def test_a_table_sent_along_is_joined_and_forgotten(client: Client) -> None:
    sent = ExternalData(file_name="names", data=b"1\tone\n2\ttwo\n", fmt="TSV", structure="a UInt32, s String")
    sql = "SELECT s FROM numbers(3) AS n JOIN names ON n.number = names.a ORDER BY s"
    assert client.query(sql, external_data=sent).result_rows == [("one",), ("two",)]
    with pytest.raises(DatabaseError, match="UNKNOWN_TABLE"):
        client.query("SELECT * FROM names")


def test_errors_carry_the_code_and_the_words_of_clickhouse(client: Client) -> None:
    with pytest.raises(
        DatabaseError, match=r"Code: 60\. DB::Exception: .*nosuch.* \(UNKNOWN_TABLE\) \(version 26\."
    ) as raised:
        client.query("SELECT * FROM nosuch")
    assert raised.value.code == 60
    client.command("CREATE OR REPLACE TABLE narrow (a UInt8) ENGINE = Memory")
    with pytest.raises(DatabaseError, match="nosuch"):
        client.raw_insert("narrow", ["nosuch"], insert_block=b"1\n", fmt="TSV")
    with pytest.raises(DatabaseError, match="Cannot parse input"):
        client.raw_insert("narrow", ["a"], insert_block=b"1\nx\n" * 400_000, fmt="TSV")
    assert client.command("SELECT count() FROM narrow") == 0, "a block with a bad row is not inserted"


@pytest.mark.parametrize("compress", [False, "lz4"])
def test_an_error_in_mid_stream_is_not_a_complete_result(server: EmbeddedClickHouse, compress: str | bool) -> None:
    sql = "SELECT number, throwIf(number = 2000000, 'too far') FROM numbers(3000000)"
    with connect(server, compress=compress) as client:
        with (
            pytest.raises((StreamFailureError, OperationalError), match="too far"),
            client.query_row_block_stream(sql) as blocks,
        ):
            for _block in blocks:
                pass
        with pytest.raises(DatabaseError, match="too far"):
            client.query(sql)


def test_settings_and_database_are_for_one_query_only(server: EmbeddedClickHouse, client: Client) -> None:
    client.command("CREATE DATABASE IF NOT EXISTS other")
    asked = client.query("SELECT currentDatabase(), getSetting('max_block_size')", settings={"max_block_size": 7})
    assert asked.result_rows[0][1] == 7
    with connect(server, database="other") as elsewhere:
        assert elsewhere.command("SELECT currentDatabase()") == "other"
    again = client.query("SELECT currentDatabase(), getSetting('max_block_size') = 7")
    assert again.result_rows == [("default", False)]
    with pytest.raises(DatabaseError, match="UNKNOWN_SETTING"):
        client.raw_query("SELECT 1", settings={"http_nosuch_setting": 1})


def test_temporary_tables_live_in_their_session(server: EmbeddedClickHouse) -> None:
    with connect(server, session_id="mine") as mine, connect(server, session_id="yours") as yours:
        mine.command("CREATE TEMPORARY TABLE scratch (a UInt8)")
        mine.insert("scratch", [[1], [2]], column_names=["a"], column_type_names=["UInt8"])
        mine.command("SET max_block_size = 11")
        assert mine.command("SELECT count() FROM scratch") == 2
        assert mine.query("SELECT 1", settings={"max_block_size": 5}).result_rows == [(1,)]
        assert mine.command("SELECT getSetting('max_block_size')") == 11
        with pytest.raises(DatabaseError, match="UNKNOWN_TABLE"):
            yours.command("SELECT count() FROM scratch")


def test_many_clients_write_and_read_at_once(server: EmbeddedClickHouse, client: Client) -> None:
    client.command("CREATE OR REPLACE TABLE crowd (who UInt8, n UInt32) ENGINE = MergeTree ORDER BY (who, n)")
    wrong: list[str] = []

    def work(who: int) -> None:
        with connect(server) as own:
            for turn in range(5):
                own.insert("crowd", [(who, turn * 100 + n) for n in range(100)], ["who", "n"])
                seen = own.query("SELECT count() FROM crowd WHERE who = {who:UInt8}", {"who": who}).result_rows[0][0]
                if seen != (turn + 1) * 100:
                    wrong.append(f"client {who} saw {seen} rows after turn {turn}")

    threads = [threading.Thread(target=work, args=(who,)) for who in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert client.command("SELECT count(), uniqExact(who) FROM crowd") == ["4000", "8"]


def test_a_slow_query_blocks_nobody(server: EmbeddedClickHouse, client: Client) -> None:
    done = threading.Event()

    def be_slow() -> None:
        with connect(server) as slow:
            slow.query("SELECT sleepEachRow(0.1) FROM numbers(20) SETTINGS max_block_size = 1")
        done.set()

    thread = threading.Thread(target=be_slow)
    thread.start()
    running = "SELECT count() FROM system.processes WHERE query LIKE '%sleepEach%' AND query NOT LIKE '%processes%'"
    while client.command(running) != 1:
        assert not done.is_set()
    assert client.ping()
    assert client.command("SELECT 1") == 1
    assert not done.is_set()
    thread.join()


def test_wrong_credentials_are_refused(server: EmbeddedClickHouse) -> None:
    for wrong in ({"password": "guess"}, {"password": ""}, {"username": "admin"}):
        with pytest.raises(DatabaseError, match="AUTHENTICATION_FAILED") as raised:
            connect(server, **wrong)
        assert raised.value.code == 516


@pytest.mark.parametrize("why", ["constraint", "view"])
def test_an_insert_that_fails_behind_the_parser_is_an_error(client: Client, why: str) -> None:
    """When all data has been read and a constraint is violated or a materialized view throws, the client must hear of it."""
    constraint = ", CONSTRAINT small CHECK a < 5" if why == "constraint" else ""
    client.command("DROP TABLE IF EXISTS failing_view SYNC")
    client.command(f"CREATE OR REPLACE TABLE failing (a UInt32 {constraint}) ENGINE = MergeTree ORDER BY a")
    if why == "view":
        select = "SELECT throwIf(a >= 5) AS x FROM failing"
        client.command(f"CREATE MATERIALIZED VIEW failing_view ENGINE = MergeTree ORDER BY x AS {select}")
    with pytest.raises(DatabaseError) as refused:
        client.insert("failing", [[7]], column_names=["a"])
    assert refused.value.code == {"constraint": 469, "view": 395}[why]
    client.insert("failing", [[3]], column_names=["a"])
    assert client.query("SELECT a FROM failing WHERE a < 5").result_rows == [(3,)]
