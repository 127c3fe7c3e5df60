"""The relay in front of the embedded broker leaves out tagged fields of one answer, keeps a farewell from the broker while
others are in the group, and touches nothing else."""

import contextlib
import io
import socket
import socketserver
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.protocol.consumer import JoinGroupRequest, LeaveGroupRequest, LeaveGroupResponse

from workers.embedded import broker_relay
from workers.embedded.broker import _relay
from workers.embedded.broker_relay import (
    Connection,
    Groups,
    Malformed,
    group_of,
    has_left,
    session_s_of,
    without_tagged_fields,
)
from workers.embedded.process import ChildProcess, accepts_connections, free_port

HEAD = bytes.fromhex("00000001 0000")  # correlation id, error code
KEYS = bytes.fromhex("03 0000 0000 000b 00 0012 0000 0004 00")  # two keys, each without tagged fields
THROTTLE = bytes.fromhex("00000000")
TAGS = bytes.fromhex("04 000101 0108ffffffffffffffff 020101 030100")  # as Tansu 0.6 sends them
ASK = bytes.fromhex("0012 0003 00000001 0001 61 00")


def framed(body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + body


def test_only_the_closing_tagged_fields_go() -> None:
    assert without_tagged_fields(HEAD + KEYS + THROTTLE + TAGS) == HEAD + KEYS + THROTTLE + b"\0"


def test_an_answer_without_them_stays_as_it_is() -> None:
    plain = HEAD + KEYS + THROTTLE + b"\0"
    assert without_tagged_fields(plain) == plain


@given(st.binary(max_size=200))
def test_no_bytes_make_it_fail_but_for_saying_that_they_are_no_answer(noise: bytes) -> None:
    with contextlib.suppress(Malformed):
        assert len(without_tagged_fields(noise)) <= len(noise)


class _Answer(socketserver.BaseRequestHandler):
    """A broker that answers each request with the bytes that the request itself asks for."""

    def handle(self) -> None:
        while head := self.request.recv(4, socket.MSG_WAITALL):
            body = self.request.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL)
            answer = HEAD + KEYS + THROTTLE + TAGS if body.startswith(ASK[:2]) else body[::-1]
            self.request.sendall(framed(answer))


@pytest.fixture
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    port = free_port()
    log = tmp_path_factory.mktemp("relay") / "relay.log"
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Answer) as broker:
        broker.daemon_threads = True
        threading.Thread(target=broker.serve_forever, daemon=True).start()
        with ChildProcess("the relay", _relay(port, broker.server_address[1]), log_file=log) as relay:
            relay.wait_until(lambda: accepts_connections("127.0.0.1", port), 10)
            yield "127.0.0.1", port
        broker.shutdown()


def exchange(connection: socket.socket, request: bytes) -> bytes:
    connection.sendall(framed(request))
    with connection.makefile("rb", buffering=0) as answer:
        return exactly(answer, int.from_bytes(exactly(answer, 4), "big"))


def exactly(stream: io.RawIOBase, size: int) -> bytes:
    read = b""
    while len(read) < size:
        read += stream.read(size - len(read)) or pytest.fail("the connection ended early")
    return read


def test_the_first_answer_is_shortened_and_later_ones_pass_untouched(address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=10) as connection:
        assert exchange(connection, ASK) == HEAD + KEYS + THROTTLE + b"\0"
        assert exchange(connection, ASK) == HEAD + KEYS + THROTTLE + TAGS
        large = bytes(range(256)) * 8_192
        assert exchange(connection, large) == large[::-1]


def test_a_first_request_of_another_kind_or_version_passes_untouched(address: tuple[str, int]) -> None:
    for request in (b"\x00\x03metadata", bytes.fromhex("0012 0002 00000001 0001 61")):
        with socket.create_connection(address, timeout=10) as connection:
            answer = exchange(connection, request)
            assert answer in (request[::-1], HEAD + KEYS + THROTTLE + TAGS)


def test_a_first_request_too_large_to_look_into_passes(address: tuple[str, int]) -> None:
    large = b"\x00\x00" + bytes(broker_relay.LARGEST_FRAME_READ)
    with socket.create_connection(address, timeout=10) as connection:
        assert exchange(connection, large) == large[::-1]


def test_when_the_broker_closes_so_does_the_relay(address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(framed(b"\x00\x03x")[:6])
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""


def leaving(version: int, group: str = "g", correlation: int = 7) -> bytes:
    member = LeaveGroupRequest.MemberIdentity(member_id="m", group_instance_id=None, reason=None)
    request = LeaveGroupRequest(group_id=group, member_id="m", members=[member])
    request.with_header(correlation_id=correlation, client_id="a client")
    return bytes(request.encode(version=version, header=True))


def joining(version: int, group: str = "g") -> bytes:
    request = JoinGroupRequest(
        group_id=group,
        session_timeout_ms=6_000,
        rebalance_timeout_ms=6_000,
        member_id="",
        group_instance_id=None,
        protocol_type="consumer",
        protocols=[JoinGroupRequest.JoinGroupRequestProtocol(name="p", metadata=b"m")],
        reason=None,
    )
    request.with_header(correlation_id=3, client_id=None)
    return bytes(request.encode(version=version, header=True))


@pytest.mark.parametrize("version", range(6))
def test_what_a_member_that_leaves_is_told_reads_as_done(version: int) -> None:
    answer = LeaveGroupResponse.decode(has_left(leaving(version)), version=version, header=True)
    assert (answer.header.correlation_id, answer.error_code, list(answer.members or [])) == (7, 0, [])


@pytest.mark.parametrize("version", range(10))
def test_the_group_is_read_from_a_request_of_any_version(version: int) -> None:
    group, end = group_of(joining(version, "größe"))
    assert (group, session_s_of(joining(version, "größe"), end)) == ("größe".encode(), 6.0)
    if version <= 5:
        assert group_of(leaving(version, "g" * 200))[0] == b"g" * 200


@given(st.binary(max_size=60), st.sampled_from([b"\0\x0b", b"\0\x0d"]))
def test_requests_of_any_bytes_pass_or_are_understood(noise: bytes, key: bytes) -> None:
    request = key + noise
    with contextlib.suppress(Malformed):
        assert group_of(request)[0] in request
    assert Connection(Groups()).request(request) == request


def test_a_member_leaves_unheard_only_while_another_connection_is_in_its_group() -> None:
    groups = Groups()
    first, second, elsewhere = Connection(groups), Connection(groups), Connection(groups)
    for connection, group in ((first, "g"), (second, "g"), (elsewhere, "h")):
        assert connection.request(joining(5, group)) == joining(5, group)
    assert elsewhere.request(leaving(3, "h")) == leaving(3, "h")
    asked = first.request(leaving(3))
    assert asked == bytes.fromhex("0012 0000 00000007 ffff")
    assert first.answer(b"\0\0\0\6another") == b"\0\0\0\6another"
    assert first.answer(b"\0\0\0\7whatever") == has_left(leaving(3))
    assert first.answer(b"\0\0\0\7whatever") == b"\0\0\0\7whatever"


@pytest.mark.parametrize("said_so", [True, False])
def test_a_member_that_went_unheard_is_in_its_group_until_its_session_is_over(said_so: bool) -> None:
    now = 100.0
    groups = Groups(lambda: now)
    first, second = Connection(groups), Connection(groups)
    for connection in (first, second):
        connection.request(joining(5))
    if said_so:
        assert first.request(leaving(3)) != leaving(3)
    first.close()
    assert second.request(leaving(3)) != leaving(3)
    now += 6.1
    assert second.request(leaving(3)) == leaving(3)


def test_a_member_whose_farewell_was_heard_is_gone_at_once() -> None:
    groups = Groups()
    first, second = Connection(groups), Connection(groups)
    first.request(joining(5))
    assert first.request(leaving(3)) == leaving(3)
    second.request(joining(5))
    first.close()
    assert second.request(leaving(3)) == leaving(3)
