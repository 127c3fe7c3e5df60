"""Each fault is what it says: what the client sees, and whether the server heard of the request."""

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError

from workers.chaos.proxy import Fault, FaultKind, FaultProxy
from workers.embedded.clickhouse import embedded_clickhouse
from workers.embedded.process import free_port, wait_until

INSERT = "/?query=INSERT+INTO+t+FORMAT+Native"
SELECT = "/?query=SELECT+1"


class Server(ThreadingHTTPServer):
    """Remembers the bodies that reached it; answers with their lengths."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.heard: list[bytes] = []


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.heard.append(body)
        answer = str(len(body)).encode()
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(answer), answer))

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()  # no length: the end of the connection is the end of the body
        self.wfile.write(b"until the end")
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def proxy(server: Server) -> Iterator[FaultProxy]:
    with FaultProxy("127.0.0.1", server.server_port) as running:
        yield running


def ask(
    proxy: FaultProxy, target: str = INSERT, body: bytes | Iterator[bytes] = b"data", timeout_s: float = 10
) -> tuple[int, bytes, str | None]:
    """Status, body and exception code of one request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=timeout_s)
    try:
        connection.request("POST", target, body)
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.getheader("X-ClickHouse-Exception-Code")
    finally:
        connection.close()


def test_without_a_fault_bytes_pass_unchanged_whatever_their_framing(proxy: FaultProxy, server: Server) -> None:
    big = bytes(range(256)) * 4_000
    assert ask(proxy, body=big) == (200, b"1024000", None)
    assert ask(proxy, body=iter([b"INSERT ", b"x" * 70_000])) == (200, b"70007", None)
    assert server.heard == [big, b"INSERT " + b"x" * 70_000]
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=10)
    for _ in range(3):
        connection.request("POST", SELECT, b"kept alive")
        assert connection.getresponse().read() == b"10"
    connection.request("GET", SELECT)
    assert connection.getresponse().read() == b"until the end"
    connection.close()
    assert not proxy.counts


def test_a_client_that_waits_for_100_continue_gets_it(proxy: FaultProxy, server: Server) -> None:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as client, client.makefile("rb") as reading:
        client.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        assert reading.readline() == b"HTTP/1.1 100 Continue\r\n"
        assert reading.readline() == b"\r\n"
        client.sendall(b"abc")
        assert reading.readline().startswith(b"HTTP/1.1 200")
    assert server.heard == [b"abc"]


@pytest.mark.parametrize(("kind", "heard"), [(FaultKind.CUT_BEFORE, 0), (FaultKind.CUT_AFTER, 1)])
def test_a_cut_shows_the_client_nothing(proxy: FaultProxy, server: Server, kind: FaultKind, heard: int) -> None:
    proxy.once(Fault(kind))
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        ask(proxy)
    assert len(server.heard) == heard
    assert ask(proxy)[0] == 200
    assert proxy.counts == {kind: 1}


@pytest.mark.parametrize(
    ("kind", "heard", "code"),
    [
        (FaultKind.ERROR, 0, "241"),
        (FaultKind.TOO_MANY_PARTS, 0, "252"),
        (FaultKind.TOO_MANY_PARTS_AFTER, 1, "252"),
    ],
)
def test_an_error_is_worded_as_clickhouse_words_it(
    proxy: FaultProxy, server: Server, kind: FaultKind, heard: int, code: str
) -> None:
    proxy.set(Fault(kind))
    for round_number in (1, 2):
        status, body, told = ask(proxy)
        assert (status, told) == (500, code)
        assert body.startswith(f"Code: {code}. DB::Exception: ".encode())
        assert len(server.heard) == heard * round_number
    proxy.set(None)
    assert ask(proxy)[0] == 200
    assert proxy.counts == {kind: 2}


def test_refusing_is_a_closed_port_that_opens_again_and_cuts_open_connections(proxy: FaultProxy) -> None:
    kept = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=10)
    kept.request("POST", SELECT, b"")
    kept.getresponse().read()
    port = proxy.port
    for _ in range(3):
        proxy.set(Fault(FaultKind.REFUSE))
        with pytest.raises(ConnectionRefusedError):
            ask(proxy)
        proxy.set(None)
        assert ask(proxy)[0] == 200
    assert proxy.port == port
    assert kept.sock.recv(1) == b"", "an open connection is cut"
    kept.close()
    assert proxy.counts == {FaultKind.REFUSE: 3}


def test_a_delayed_request_arrives_later(proxy: FaultProxy, server: Server) -> None:
    proxy.once(Fault(FaultKind.DELAY, seconds=0.4))
    started = time.monotonic()
    assert ask(proxy)[0] == 200
    assert 0.4 <= time.monotonic() - started < 5
    assert len(server.heard) == 1


def test_a_hang_answers_nothing_and_ends_when_the_client_the_time_or_the_proxy_does(
    proxy: FaultProxy, server: Server
) -> None:
    proxy.once(Fault(FaultKind.HANG, seconds=60))
    with pytest.raises(TimeoutError):
        ask(proxy, timeout_s=0.3)
    proxy.once(Fault(FaultKind.HANG, seconds=0.3))
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        ask(proxy)
    proxy.once(Fault(FaultKind.HANG, seconds=600))
    ended: list[BaseException] = []

    def wait_for_an_answer() -> None:
        try:
            ask(proxy, timeout_s=60)
        except (http.client.RemoteDisconnected, ConnectionResetError) as error:
            ended.append(error)

    waiting = threading.Thread(target=wait_for_an_answer)
    waiting.start()
    wait_until(lambda: proxy.counts[FaultKind.HANG] == 3, 10, "the request to be held")
    proxy.stop()
    waiting.join(10)
    assert len(ended) == 1
    assert server.heard == []


def test_a_throttle_takes_the_time_that_its_rate_says(proxy: FaultProxy, server: Server) -> None:
    proxy.set(Fault(FaultKind.THROTTLE, bytes_a_s=20_000))
    started = time.monotonic()
    assert ask(proxy, body=b"x" * 10_000)[1] == b"10000"
    assert 0.5 <= time.monotonic() - started < 5
    assert server.heard == [b"x" * 10_000]


def test_a_fault_for_inserts_leaves_other_requests_alone(proxy: FaultProxy) -> None:
    proxy.set(Fault(FaultKind.ERROR, inserts_only=True))
    inserts: list[tuple[str, bytes | Iterator[bytes]]] = [
        (INSERT, b"\x00\xff"),
        ("/?query=+%0A+insert+into+t", b""),
        ("/?query=%2F*+why+*%2F+INSERT+INTO+t", b""),
        ("/?database=voxpop", b"INSERT INTO t FORMAT Native\n\x00\xff"),
        ("/?database=voxpop", iter([b"-- a comment\n", b"INSERT", b" INTO t FORMAT Native\n"])),
    ]
    others: list[tuple[str, bytes]] = [(SELECT, b""), ("/", b"SELECT 'INSERT'"), ("/", b"INSERTS"), ("/", b"")]
    for target, body in inserts:
        assert ask(proxy, target, body)[0] == 500, (target, body)
    for target, data in others:
        assert ask(proxy, target, data)[0] == 200, (target, data)
    assert proxy.counts == {FaultKind.ERROR: len(inserts)}


def test_single_faults_queue_up_before_the_one_that_is_set(proxy: FaultProxy) -> None:
    proxy.set(Fault(FaultKind.ERROR))
    proxy.once(Fault(FaultKind.TOO_MANY_PARTS, inserts_only=True))
    proxy.once(Fault(FaultKind.CUT_AFTER, inserts_only=True))
    assert ask(proxy, SELECT)[2] == "241"
    assert ask(proxy)[2] == "252"
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        ask(proxy)
    assert ask(proxy)[2] == "241"


def test_a_server_that_is_gone_is_a_cut_and_one_that_comes_back_is_found(proxy: FaultProxy, server: Server) -> None:
    gone = FaultProxy("127.0.0.1", free_port()).start()
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        ask(gone)
    gone.stop()
    gone.stop()
    assert ask(proxy)[0] == 200


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": FaultKind.DELAY},
        {"kind": FaultKind.HANG},
        {"kind": FaultKind.THROTTLE},
        {"kind": FaultKind.REFUSE, "inserts_only": True},
    ],
)
def test_a_fault_without_its_measure_is_refused(wrong: dict[str, FaultKind]) -> None:
    with pytest.raises(ValueError, match=r"set|inserts only"):
        Fault(**wrong)  # type: ignore[arg-type]


def test_many_requests_at_once_each_meet_their_fault_and_no_thread_is_left(server: Server) -> None:
    before = threading.active_count()
    answers: list[int] = []
    with FaultProxy("127.0.0.1", server.server_port) as proxy:
        for _ in range(20):
            proxy.once(Fault(FaultKind.ERROR))
        askers = [threading.Thread(target=lambda: answers.append(ask(proxy)[0])) for _ in range(40)]
        for asker in askers:
            asker.start()
        for asker in askers:
            asker.join()
        assert proxy.counts == {FaultKind.ERROR: 20}
    assert sorted(answers) == [200] * 20 + [500] * 20
    wait_until(lambda: threading.active_count() <= before, 10, "the server's own threads to end")


@pytest.mark.parametrize("compress", ["lz4", "zstd", "gzip", False])
def test_an_insert_cut_after_it_was_applied_and_repeated_is_stored_once(tmp_path: Path, compress: str | bool) -> None:
    token = {"insert_deduplication_token": "voxpop.reviews:0:0:100"}
    cut = Fault(FaultKind.CUT_AFTER, inserts_only=True)
    with embedded_clickhouse(tmp_path) as store, FaultProxy(store.host, store.port) as proxy:
        direct = clickhouse_connect.get_client(host=store.host, port=store.port)
        client = clickhouse_connect.get_client(host="127.0.0.1", port=proxy.port, compress=compress)
        window = "SETTINGS non_replicated_deduplication_window = 100"
        client.command(f"CREATE TABLE t (a UInt32) ENGINE = MergeTree ORDER BY a {window}")
        rows = [[number] for number in range(100)]
        proxy.set(cut)
        with pytest.raises(ClickHouseError):
            client.insert("t", rows, ["a"], settings=token)
        assert count(direct) == 100, "the server had applied it"
        assert count(client) == 100, "reads pass meanwhile"
        proxy.set(None)
        client.insert("t", rows, ["a"], settings=token)
        assert count(direct) == 100
        proxy.once(Fault(FaultKind.TOO_MANY_PARTS_AFTER, inserts_only=True))
        second = {"insert_deduplication_token": "voxpop.reviews:0:100:200"}
        with pytest.raises(DatabaseError) as told:
            client.insert("t", rows, ["a"], settings=second)
        assert told.value.code == 252
        assert count(direct) == 200, "the server had applied it"
        client.insert("t", rows, ["a"], settings=second)
        assert count(direct) == 200
        assert proxy.counts[FaultKind.CUT_AFTER] >= 1
        client.close()
        direct.close()


def count(client: Client) -> int:
    return int(client.query("SELECT count() FROM t").result_rows[0][0])
