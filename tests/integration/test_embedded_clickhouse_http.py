"""The embedded ClickHouse speaks ClickHouse's HTTP interface to anything that speaks HTTP: here to curl and to sockets."""

import gzip
import json
import shutil
import socket
import subprocess
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import lz4.block  # type: ignore[import-untyped]
import lz4.frame  # type: ignore[import-untyped]
import pytest

from workers.embedded.clickhouse import EmbeddedClickHouse, embedded_clickhouse
from workers.embedded.process import wait_until

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


@dataclass(frozen=True)
class Answer:
    """What curl saw. `exit_code` is curl's own: 18 for an answer that was cut off."""

    status: int
    headers: dict[str, str]
    body: bytes
    exit_code: int

    @property
    def text(self) -> str:
        return self.body.decode()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedClickHouse]:
    with embedded_clickhouse(tmp_path_factory.mktemp("clickhouse")) as running:
        yield running


def curl(
    server: EmbeddedClickHouse, *arguments: str, data: bytes | None = None, path: str = "/", **parameters: str
) -> Answer:
    """One request; a POST of `data` when there is some. `parameters` go into the URL."""
    command = ["curl", "-sS", "-i", "--max-time", "30", f"{server.url}{path}?{urlencode(parameters)}", *arguments]
    if data is not None:
        command += ["-X", "POST", "-H", "Expect:", "--data-binary", "@-"]
    done = subprocess.run(command, input=data, capture_output=True, check=False)
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1)[:1] + line.split(": ", 1)[1:] for line in lines[1:])
    return Answer(int(lines[0].split()[1]), headers, body, done.returncode)


def sql(server: EmbeddedClickHouse, statement: str, **parameters: str) -> str:
    """The answer's text to a POST that must succeed."""
    answer = curl(server, data=statement.encode(), **parameters)
    assert answer.status == 200, answer.text
    return answer.text


def test_health_checks(server: EmbeddedClickHouse) -> None:
    for path in ("/ping", "/replicas_status", "/"):
        assert curl(server, path=path).text == "Ok.\n"
    assert curl(server, path="/nowhere").status == 404


def test_the_query_is_in_the_url_or_the_body_or_both(server: EmbeddedClickHouse) -> None:
    assert curl(server, query="SELECT 1 AS x FORMAT CSV").text == "1\n"
    assert curl(server, data=b"SELECT 2;\n").text == "2\n"
    assert curl(server, data=b"3, 4", query="SELECT").text == "3\t4\n"
    sql(server, "CREATE OR REPLACE TABLE both (a UInt8, s String) ENGINE = Memory")
    assert curl(server, data=b"1\tone\n2\ttwo\n", query="INSERT INTO both FORMAT TSV").status == 200
    assert curl(server, data=b'INSERT INTO both FORMAT JSONEachRow\n{"a":3,"s":"three"}\n').status == 200
    assert (
        curl(server, data=b"(4, upper('four')), (2 + 3, 'five; -- no comment')", query="INSERT INTO both VALUES").status
        == 200
    )
    sql(server, "INSERT INTO both SELECT a + 100, s FROM both WHERE a = 1")
    expected = ["1\tone", "2\ttwo", "3\tthree", "4\tFOUR", "5\tfive; -- no comment", "101\tone"]
    assert sql(server, "SELECT * FROM both ORDER BY a").splitlines() == expected


def test_an_insert_through_input_reads_the_body(server: EmbeddedClickHouse) -> None:
    sql(server, "CREATE OR REPLACE TABLE computed (a UInt64, s String) ENGINE = Memory")
    lines = "".join(f"{n}\tx{n}\n" for n in range(300_000)).encode()
    query = "INSERT INTO computed SELECT a * 2, upper(s) FROM input('a UInt64, s String') WHERE a < 299999 FORMAT TSV"
    answer = curl(server, data=lines, query=query)
    assert (answer.status, json.loads(answer.headers["x-clickhouse-summary"])["written_rows"]) == (200, "299999")
    assert sql(server, "SELECT count(), max(a), max(s) FROM computed") == "299999\t599996\tX99999\n"
    broken = curl(server, data=b"1\tx\nnot a number\tx\n" + lines, query=query)
    assert (broken.status, broken.headers["x-clickhouse-exception-code"]) == (400, "27")


def test_the_headers_of_an_answer(server: EmbeddedClickHouse) -> None:
    answer = curl(server, query="SELECT number FROM numbers(5)", default_format="JSON", query_id="mine-1")
    assert answer.headers["x-clickhouse-query-id"] == "mine-1"
    assert answer.headers["x-clickhouse-format"] == "JSON"
    assert answer.headers["content-type"] == "application/json; charset=UTF-8"
    assert answer.headers["x-clickhouse-timezone"] == sql(server, "SELECT timezone()").strip()
    assert answer.headers["x-clickhouse-server-display-name"]
    summary = json.loads(answer.headers["x-clickhouse-summary"])
    assert (summary["read_rows"], summary["result_rows"]) == ("5", "5")
    assert json.loads(answer.body)["rows"] == 5
    first, second = (
        curl(server, query="SELECT 1"),
        curl(server, "-H", "X-ClickHouse-Format: CSVWithNames", query="SELECT 1 AS x"),
    )
    assert first.headers["x-clickhouse-query-id"] != second.headers["x-clickhouse-query-id"]
    assert second.text == '"x"\n1\n'
    assert (
        "x-clickhouse-format"
        not in curl(server, data=b"CREATE TABLE IF NOT EXISTS nothing (a Int8) ENGINE = Memory").headers
    )


@pytest.mark.parametrize(
    "name", ["TabSeparatedWithNames", "CSV", "JSON", "JSONCompact", "XML", "Markdown", "Parquet", "ArrowStream"]
)
def test_a_large_result_is_one_document_in_every_format(server: EmbeddedClickHouse, name: str) -> None:
    rows = "SELECT number, toString(number) AS s FROM numbers(200000)"
    document = curl(server, data=f"{rows} FORMAT {name}".encode())
    assert document.status == 200
    sql(server, "CREATE OR REPLACE TABLE back (number UInt64, s String) ENGINE = Memory")
    if name in ("XML", "Markdown"):
        assert document.body.count(b"199999") >= 2
        return
    answer = curl(server, data=document.body, query=f"INSERT INTO back FORMAT {name}")
    assert answer.status == 200, answer.text
    assert sql(server, "SELECT count(), sum(number), uniqExact(s) FROM back") == "200000\t19999900000\t200000\n"


@pytest.mark.parametrize(
    ("statement", "status", "code"),
    [
        ("SELECT * FROM nosuch", 404, 60),
        ("SELEC 1", 400, 62),
        ("SELECT nosuch", 404, 47),
        ("SELECT 1; SELECT 2", 400, 62),
        ("SELECT 1 FORMAT Nosuch", 404, 73),
        ("SELECT throwIf(1)", 500, 395),
        ("SELECT * FROM nosuch.t", 404, 81),
        ("INSERT INTO nosuch FORMAT TSV\n1\n", 404, 60),
        ("SELECT 1 INTO OUTFILE '/tmp/x'", 500, 358),
        ("INSERT INTO t FROM INFILE '/etc/passwd' FORMAT LineAsString", 404, 78),
    ],
)
def test_errors_have_clickhouses_status_code_and_text(
    server: EmbeddedClickHouse, statement: str, status: int, code: int
) -> None:
    answer = curl(server, data=statement.encode())
    assert (answer.status, answer.headers["x-clickhouse-exception-code"]) == (status, str(code))
    assert answer.text.startswith(f"Code: {code}. DB::Exception: ")
    assert "(version 26." in answer.text


def test_get_reads_only(server: EmbeddedClickHouse) -> None:
    sessions: list[dict[str, Any]] = [{}, {"session_id": "reading"}]
    for session in sessions:
        answer = curl(server, query="CREATE TABLE written (a Int8) ENGINE = Memory", **session)
        assert (answer.status, answer.headers["x-clickhouse-exception-code"]) == (500, "164")
        assert "use method POST" in answer.text
        assert curl(server, query="SELECT 1", **session).text == "1\n"
        sql(server, "CREATE TABLE IF NOT EXISTS kept (a Int8) ENGINE = Memory", **session)
        for statement in (b"DROP TABLE kept", b"INSERT INTO kept VALUES (1)"):
            assert curl(server, data=statement, readonly="1", **session).headers["x-clickhouse-exception-code"] == "164"


def test_settings_parameters_and_database_in_the_url(server: EmbeddedClickHouse) -> None:
    sql(server, "CREATE DATABASE IF NOT EXISTS elsewhere")
    sql(server, "CREATE OR REPLACE TABLE there (a UInt8) ENGINE = Memory", database="elsewhere")
    assert sql(server, "EXISTS TABLE there", database="elsewhere") == "1\n"
    assert sql(server, "EXISTS TABLE there") == "0\n"
    assert sql(server, "SELECT getSetting('max_threads')", max_threads="3") == "3\n"
    assert sql(server, "SELECT {a:String}, {b:Int32}", param_a="x\\ty", param_b="-7") == "x\\ty\t-7\n"
    unset = curl(server, data=b"SELECT {a:String}")
    assert (unset.status, unset.headers["x-clickhouse-exception-code"]) == (500, "456")
    unknown = curl(server, data=b"SELECT 1", nosuch_setting="1")
    assert (unknown.status, unknown.headers["x-clickhouse-exception-code"]) == (404, "115")
    assert curl(server, data=b"SELECT 1", database="nosuch").headers["x-clickhouse-exception-code"] == "81"


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "lz4"])
def test_compressed_bodies_with_the_statement_inside(server: EmbeddedClickHouse, encoding: str) -> None:
    compress = {"gzip": gzip.compress, "deflate": zlib.compress, "lz4": lz4.frame.compress}[encoding]
    sql(server, "CREATE OR REPLACE TABLE squeezed (a UInt64) ENGINE = Memory")
    body = b"INSERT INTO squeezed FORMAT TSV\n" + b"".join(b"%d\n" % n for n in range(100_000))
    header = ["-H", f"Content-Encoding: {encoding}"]
    assert curl(server, *header, data=compress(body[:1000]) + compress(body[1000:])).status == 200
    assert sql(server, "SELECT count(), sum(a) FROM squeezed") == "100000\t4999950000\n"
    cut_off = curl(server, *header, data=compress(body)[:-20])
    assert (cut_off.status, cut_off.headers["x-clickhouse-exception-code"]) == (500, "246")
    assert sql(server, "SELECT count() FROM squeezed") == "100000\n"


def test_clickhouses_own_blocks_come_in(server: EmbeddedClickHouse) -> None:
    def block(data: bytes) -> bytes:
        packed: bytes = lz4.block.compress(data, store_size=False)
        return bytes(16) + b"\x82" + (len(packed) + 9).to_bytes(4, "little") + len(data).to_bytes(4, "little") + packed

    sql(server, "CREATE OR REPLACE TABLE blocks (a UInt64) ENGINE = Memory")
    body = block(b"1\n2\n") + block(b"3\n")
    assert curl(server, data=body, query="INSERT INTO blocks FORMAT TSV", decompress="1").status == 200
    assert sql(server, "SELECT sum(a) FROM blocks") == "6\n"


def test_answers_are_compressed_when_both_sides_want_it(server: EmbeddedClickHouse) -> None:
    query = "SELECT number FROM numbers(300000)"
    plain = curl(server, "-H", "Accept-Encoding: gzip", query=query)
    packed = curl(server, "-H", "Accept-Encoding: gzip", query=query, enable_http_compression="1")
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.body) == plain.body


def test_an_error_in_mid_stream_cuts_the_answer_off(server: EmbeddedClickHouse) -> None:
    query = "SELECT number, throwIf(number = 3000000, 'too far') FROM numbers(4000000) FORMAT CSV"
    answer = curl(server, query=query)
    assert (answer.status, answer.exit_code) == (200, 18), "curl exits with 18 for a transfer that ended early"
    tag = answer.headers["x-clickhouse-exception-tag"]
    assert f"\r\n__exception__\r\n{tag}\r\nCode: 395. DB::Exception: too far".encode() in answer.body
    assert answer.body.endswith(f" {tag}\r\n__exception__\r\n".encode())
    whole = curl(server, query=query, wait_end_of_query="1")
    assert (whole.status, whole.headers["x-clickhouse-exception-code"], whole.exit_code) == (500, "395", 0)


def test_a_query_ends_when_its_client_leaves(server: EmbeddedClickHouse) -> None:
    running = "SELECT count() FROM system.processes WHERE query LIKE '%leaving%' AND query NOT LIKE '%processes%'"
    for query in (
        "SELECT 'leaving', sleepEachRow(0.1) FROM numbers(3000) SETTINGS max_block_size = 1",
        "SELECT 'leaving', * FROM system.numbers",
    ):
        with socket.create_connection((server.host, server.port)) as leaving:
            leaving.sendall(f"GET /?{urlencode({'query': query})} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            wait_until(lambda: sql(server, running) == "1\n", 10, "the query to run")
        wait_until(lambda: sql(server, running) == "0\n", 10, "the query to end")


def test_an_insert_whose_client_leaves_is_not_committed(server: EmbeddedClickHouse) -> None:
    sql(server, "CREATE OR REPLACE TABLE torn (a UInt64) ENGINE = MergeTree ORDER BY a")
    running = "SELECT count() FROM system.processes WHERE query LIKE 'INSERT INTO torn%'"
    for query in ("INSERT INTO torn FORMAT TSV", "INSERT INTO torn SELECT a FROM input('a UInt64') FORMAT TSV"):
        with socket.create_connection((server.host, server.port)) as leaving:
            head = (
                f"POST /?{urlencode({'query': query})} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 90000000\r\n\r\n"
            )
            leaving.sendall(head.encode() + b"1\n" * 700_000)
            wait_until(lambda: sql(server, running) == "1\n", 10, "the insert to run")
        wait_until(lambda: sql(server, running) == "0\n", 10, "the insert to end")
        assert sql(server, "SELECT count() FROM torn") == "0\n"


def test_without_a_password_web_pages_may_not_ask(server: EmbeddedClickHouse) -> None:
    for header in ("Origin: https://evil.example", "Host: evil.example"):
        answer = curl(server, "-H", header, data=b"SELECT 1")
        assert (answer.status, answer.headers["x-clickhouse-exception-code"]) == (403, "497")


def test_every_way_to_give_credentials(tmp_path: Path) -> None:
    with embedded_clickhouse(tmp_path, password="pa:ss wörd") as server:
        right = [
            ["-u", "default:pa:ss wörd"],
            ["-H", "X-ClickHouse-User: default", "-H", "X-ClickHouse-Key: pa:ss wörd"],
        ]
        for arguments in right:
            assert curl(server, *arguments, query="SELECT 1").text == "1\n"
        assert curl(server, query="SELECT 1", user="default", password="pa:ss wörd").text == "1\n"
        assert curl(server, path="/ping").text == "Ok.\n"
        for arguments in (["-u", "default:guess"], ["-u", "root:pa:ss wörd"], ["-H", "X-ClickHouse-Key: guess"], []):
            answer = curl(server, *arguments, query="SELECT 1")
            assert (answer.status, answer.headers["x-clickhouse-exception-code"]) == (403, "516")
        command_line = Path(f"/proc/{server.pid}/cmdline").read_bytes()
        assert b"pa:ss" not in command_line
