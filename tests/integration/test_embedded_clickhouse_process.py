"""The embedded ClickHouse as a process: what it keeps when it dies, whom it dies with, what it refuses."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.request import Request, urlopen

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client

from workers.embedded.clickhouse import EmbeddedClickHouse, embedded_clickhouse
from workers.embedded.process import ChildProcess, EmbeddedError, wait_until


def connect(server: EmbeddedClickHouse) -> Client:
    return clickhouse_connect.get_client(host=server.host, port=server.port, password=server.password)


def alive(pid: int) -> bool:
    """Whether `pid` runs (a zombie that nobody has reaped yet does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_data_survives_a_kill_and_the_port_stays(tmp_path: Path) -> None:
    server = EmbeddedClickHouse(tmp_path / "data").start()
    try:
        with connect(server) as client:
            client.command("CREATE TABLE kept (a UInt32) ENGINE = MergeTree ORDER BY a")
            client.insert("kept", [[n] for n in range(1000)], ["a"])
        port, pid = server.port, server.pid
        server.kill()
        assert not server.running
        server.start()
        assert (server.port, server.pid != pid) == (port, True)
        with connect(server) as client:
            assert client.command("SELECT count(), sum(a) FROM kept") == ["1000", "499500"]
    finally:
        server.stop()


def test_a_repeated_insert_is_dropped_in_the_table_and_its_view_also_after_a_crash(tmp_path: Path) -> None:
    settings = {
        "insert_deduplication_token": "voxpop.reviews:0:0:1999",
        "deduplicate_blocks_in_dependent_materialized_views": 1,
    }
    rows = [(n % 5, n) for n in range(2000)]
    server = EmbeddedClickHouse(tmp_path / "data").start()
    try:
        with connect(server) as client:
            window = "SETTINGS non_replicated_deduplication_window = 100"
            client.command(f"CREATE TABLE rows (k UInt8, n UInt32) ENGINE = MergeTree ORDER BY n {window}")
            client.command(f"CREATE TABLE sums (k UInt8, c UInt64) ENGINE = SummingMergeTree ORDER BY k {window}")
            client.command("CREATE MATERIALIZED VIEW v TO sums AS SELECT k, count() AS c FROM rows GROUP BY k")
            client.insert("rows", rows, ["k", "n"], settings=settings)
            client.insert("rows", rows, ["k", "n"], settings=settings)
            assert client.command("SELECT (SELECT count() FROM rows), (SELECT sum(c) FROM sums)") == ["2000", "2000"]
        server.kill()
        server.start()
        with connect(server) as client:
            client.insert("rows", rows, ["k", "n"], settings=settings)
            assert client.command("SELECT (SELECT count() FROM rows), (SELECT sum(c) FROM sums)") == ["2000", "2000"]
            other = {**settings, "insert_deduplication_token": "voxpop.reviews:0:2000:3999"}
            client.insert("rows", rows, ["k", "n"], settings=other)
            assert client.command("SELECT (SELECT count() FROM rows), (SELECT sum(c) FROM sums)") == ["4000", "4000"]
    finally:
        server.stop()


def test_a_live_directory_is_refused_to_a_second_server_in_one_line(tmp_path: Path) -> None:
    with embedded_clickhouse(tmp_path / "data") as first:
        second = EmbeddedClickHouse(tmp_path / "data", log_file=tmp_path / "second.log")
        with pytest.raises(
            EmbeddedError, match=rf"in use by another embedded ClickHouse \(pid {first.pid}\): stop it or"
        ):
            second.start()
        assert len((tmp_path / "second.log").read_text().splitlines()) == 1
        with connect(first) as client:
            assert client.command("SELECT 1") == 1


def test_an_open_address_without_a_password_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedError, match=r"0\.0\.0\.0 is open to other machines: set a password"):
        EmbeddedClickHouse(tmp_path, host="0.0.0.0").start()


def test_a_taken_port_is_an_error_that_names_it(tmp_path: Path) -> None:
    with embedded_clickhouse(tmp_path / "one") as first:
        second = EmbeddedClickHouse(tmp_path / "two", port=first.port)
        with pytest.raises(EmbeddedError, match=rf"cannot listen on 127\.0\.0\.1:{first.port} "):
            second.start()


def test_only_loopback_is_bound(tmp_path: Path) -> None:
    with embedded_clickhouse(tmp_path) as server:
        table = Path(f"/proc/{server.pid}/net/tcp").read_text() + Path(f"/proc/{server.pid}/net/tcp6").read_text()
        bound = re.findall(rf"^ *\d+: (\w+):{server.port:04X} \S+ 0A ", table, re.MULTILINE)
        assert bound == ["0100007F"]


def test_the_server_dies_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    program = (
        "import pathlib, signal\n"
        "from workers.embedded.clickhouse import EmbeddedClickHouse\n"
        f"server = EmbeddedClickHouse(pathlib.Path({str(tmp_path / 'data')!r})).start()\n"
        "print(server.pid, flush=True)\n"
        "signal.pause()\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert alive(pid)
    assert os.getsid(pid) != os.getsid(0), "a Ctrl-C in our terminal must not reach it"
    parent.kill()
    parent.communicate()
    wait_until(lambda: not alive(pid), 20, "the server to die with its parent")
    with embedded_clickhouse(tmp_path / "data") as again:
        assert again.running


def test_a_stop_ends_it_cleanly_also_while_queries_run(tmp_path: Path) -> None:
    server = EmbeddedClickHouse(tmp_path).start()
    request = Request(f"{server.url}/?query=SELECT+number+FROM+system.numbers")
    with urlopen(request) as endless:
        assert endless.read(10)
        server.stop()
    assert not server.running
    process = server._process
    assert isinstance(process, ChildProcess)
    assert process.exit_code == 0


def test_the_address_is_announced_for_this_process(tmp_path: Path) -> None:
    (tmp_path / "server.json").write_text(json.dumps({"pid": 1, "port": 1}))
    with embedded_clickhouse(tmp_path) as server:
        assert server.port != 1
        assert json.loads((tmp_path / "server.json").read_text()) == {"pid": server.pid, "port": server.port}
        assert (tmp_path / "server.log").read_text().count("serves") == 1
