"""The embedded broker's group gets a new leader when the old one leaves while another member is joining."""

import socket
from pathlib import Path
from typing import NamedTuple

from workers.embedded.broker import EmbeddedBroker

GROUP, SESSION_MS = "g", 6_000
JOIN, HEARTBEAT, LEAVE, SYNC = 11, 12, 13, 14


class Joined(NamedTuple):
    generation: int
    leader: str
    member: str


class Member:
    """Speaks the consumer group's protocol, in its last versions without tagged fields, with no loop of its own."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self._asked = 0

    def join(self, member: str = "", metadata: bytes = b"1") -> Joined:
        sizes = SESSION_MS.to_bytes(4, "big") * 2  # session and rebalance timeout
        protocols = (1).to_bytes(4, "big") + _text("p") + len(metadata).to_bytes(4, "big") + metadata
        answer = self._ask(JOIN, 5, _text(GROUP) + sizes + _text(member) + b"\xff\xff" + _text("consumer") + protocols)
        generation = int.from_bytes(answer[6:10], "big", signed=True)
        _, at = _read_text(answer, 10)
        leader, at = _read_text(answer, at)
        return Joined(generation, leader, _read_text(answer, at)[0])

    def sync(self, joined: Joined) -> int:
        """The error code. The leader gives itself everything."""
        leads = joined.leader == joined.member
        given = _text(joined.member) + (1).to_bytes(4, "big") + b"a" if leads else b""
        body = _text(GROUP) + joined.generation.to_bytes(4, "big") + _text(joined.member) + b"\xff\xff"
        return int.from_bytes(self._ask(SYNC, 3, body + int(leads).to_bytes(4, "big") + given)[4:6], "big")

    def leave(self, member: str) -> int:
        """The error code."""
        return int.from_bytes(self._ask(LEAVE, 0, _text(GROUP) + _text(member)), "big")

    def heartbeat(self, joined: Joined) -> None:
        self._ask(HEARTBEAT, 0, _text(GROUP) + joined.generation.to_bytes(4, "big") + _text(joined.member))

    def close(self) -> None:
        self._socket.close()

    def _ask(self, key: int, version: int, body: bytes) -> bytes:
        self._asked += 1
        head = key.to_bytes(2, "big") + version.to_bytes(2, "big") + self._asked.to_bytes(4, "big") + _text("test")
        self._socket.sendall(len(head + body).to_bytes(4, "big") + head + body)
        size = int.from_bytes(self._socket.recv(4, socket.MSG_WAITALL), "big")
        answer = self._socket.recv(size, socket.MSG_WAITALL)
        assert int.from_bytes(answer[:4], "big") == self._asked
        return answer[4:]


def _text(text: str) -> bytes:
    return len(text).to_bytes(2, "big") + text.encode()


def _read_text(answer: bytes, at: int) -> tuple[str, int]:
    size = int.from_bytes(answer[at : at + 2], "big")
    return answer[at + 2 : at + 2 + size].decode(), at + 2 + size


def test_a_leader_that_leaves_while_another_joins_is_followed_by_that_one(tmp_path: Path) -> None:
    with EmbeddedBroker.start(tmp_path / "broker.log") as broker:
        leader, other = Member(broker.port), Member(broker.port)
        leads = leader.join(leader.join().member)
        assert leads.leader == leads.member
        assert leader.sync(leads) == 0
        waits = other.join(other.join().member, b"2")
        assert waits.leader == leads.member
        assert leader.leave(leads.member) == 0
        for _ in range(4):
            waits = other.join(waits.member, b"2")
            if other.sync(waits) == 0:
                break
            other.heartbeat(waits)
        assert waits.leader == waits.member, "it waits for a leader that is gone"
        leader.close()
        other.close()
