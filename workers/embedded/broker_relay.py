"""Stands in front of the embedded broker and mends two of its faults. A script, on the standard library alone.

    python -I -S broker_relay.py HOST PORT BROKER_PORT

Tansu answers ApiVersions (KIP-482, flexible since version 3) with four tagged fields of default value. That is lawful, but
librdkafka before 2.1 (Debian's kcat is built on it) skips a tagged field one byte too short and then finds its buffer at
an end ("Read underflow"). So the tagged fields of the first answer on a connection are left out, which the protocol allows:
every one of them is optional.

Tansu 0.6 forgets a member that leaves, but not that it led the group: when the leader leaves while another member is
joining, everybody who joins from then on is told to wait for a leader that is gone, for minutes or for ever. A member whose
session times out is forgotten rightly. So a member that leaves while another is in its group is told that it has left, and
the broker is asked something harmless in its place: the session of who left ends by itself. In the group is who has joined
by a connection that is open, and who went without the broker's hearing of it, until the session is over.

All other bytes pass as they are.
"""

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Callable

JOIN_GROUP, LEAVE_GROUP, API_VERSIONS = 11, 13, 18
FIRST_FLEXIBLE = {API_VERSIONS: 3, JOIN_GROUP: 6, LEAVE_GROUP: 4}
CHUNK_BYTES = 1 << 18
LARGEST_FRAME_READ = 1 << 20  # what claims to be larger is passed on unread


class Malformed(ValueError):
    """Bytes that are no answer to ApiVersions."""


def without_tagged_fields(answer: bytes) -> bytes:
    """An ApiVersions answer of a flexible version (correlation id first, no length) without its closing tagged fields.

    Raises `Malformed`.
    """
    try:
        at = 4 + 2  # correlation id, error code
        count, at = _unsigned_varint(answer, at)
        for _ in range(count - 1):
            at = _after_tagged_fields(answer, at + 6)  # key, lowest and highest version
        at += 4  # throttle time
        if _after_tagged_fields(answer, at) != len(answer):
            raise Malformed("bytes behind the last field")
    except IndexError as error:
        raise Malformed("it ends too early") from error
    return answer[:at] + b"\0"


def _unsigned_varint(data: bytes, at: int) -> tuple[int, int]:
    """The number at `at` and where it ends."""
    value = shift = 0
    while data[at] & 0x80:
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
    return value | data[at] << shift, at + 1


def _after_tagged_fields(data: bytes, at: int) -> int:
    count, at = _unsigned_varint(data, at)
    for _ in range(count):
        _, at = _unsigned_varint(data, at)
        size, at = _unsigned_varint(data, at)
        at += size
    return at


def group_of(request: bytes) -> tuple[bytes, int]:
    """The group that a JoinGroup or LeaveGroup request names, and where its name ends. Raises `Malformed`."""
    if _key(request) not in (JOIN_GROUP, LEAVE_GROUP):
        raise Malformed("another kind of request, or none")
    try:
        at = 8  # key, version, correlation id
        client = int.from_bytes(request[at : at + 2], "big", signed=True)
        at += 2 + max(0, client)
        if not _is_flexible(request):
            size, at = int.from_bytes(request[at : at + 2], "big"), at + 2
        else:
            size, at = _unsigned_varint(request, _after_tagged_fields(request, at))
            size -= 1
    except IndexError as error:
        raise Malformed("it ends too early") from error
    if size < 0 or at + size > len(request):
        raise Malformed("it ends too early")
    return request[at : at + size], at + size


def session_s_of(request: bytes, at: int) -> float:
    """The time in seconds after which a member that is silent is gone, of a JoinGroup request whose group's name ends at
    `at`."""
    return max(0, int.from_bytes(request[at : at + 4], "big", signed=True)) / 1000


def has_left(request: bytes) -> bytes:
    """The answer to a LeaveGroup request that it was done."""
    version, correlation = int.from_bytes(request[2:4], "big"), request[4:8]
    done = b"\0\0" if version == 0 else bytes(4 + 2)  # from 1 on with a throttle time
    if version >= FIRST_FLEXIBLE[LEAVE_GROUP]:
        return correlation + b"\0" + done + b"\1" + b"\0"
    return correlation + done + (bytes(4) if version == 3 else b"")  # no member is named


def _nothing_asked(request: bytes) -> bytes:
    """ApiVersions, version 0, under the same correlation id, so that answers come in their order."""
    return API_VERSIONS.to_bytes(2, "big") + b"\0\0" + request[4:8] + b"\xff\xff"


def _key(request: bytes) -> int:
    return int.from_bytes(request[:2], "big") if len(request) >= 8 else -1


def _is_flexible(request: bytes) -> bool:
    return int.from_bytes(request[2:4], "big") >= FIRST_FLEXIBLE[_key(request)]


class Groups:
    """Who the broker holds to be in which group: open connections that have joined it, and sessions that are not over of
    those that went without a farewell that it has heard."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._joined: dict[bytes, dict[object, float]] = {}  # the session's length, in seconds
        self._silent_until: dict[bytes, float] = {}

    def note(self, group: bytes, connection: object, session_s: float) -> None:
        """It has asked to join."""
        self._joined.setdefault(group, {})[connection] = session_s

    def leaves_others(self, group: bytes, connection: object) -> bool:
        """Whether another is in the group."""
        return self._silent_until.get(group, 0.0) > self._clock() or bool(
            self._joined.get(group, {}).keys() - {connection}
        )

    def left(self, group: bytes) -> None:
        """It leaves the group, which has nobody else, and the broker is told."""
        self._joined.pop(group, None)

    def closed(self, connection: object) -> None:
        """It has gone; of a group that it was in the broker has not heard that it leaves."""
        now = self._clock()
        self._silent_until = {group: until for group, until in self._silent_until.items() if until > now}
        for group in [group for group, joined in self._joined.items() if connection in joined]:
            until = now + self._joined[group].pop(connection)
            self._silent_until[group] = max(until, self._silent_until.get(group, 0.0))
            if not self._joined[group]:
                del self._joined[group]


class Connection:
    """One client's. `instead`: correlation id -> the answer that it gets in place of the broker's."""

    def __init__(self, groups: Groups) -> None:
        self._groups = groups
        self._instead: dict[bytes, bytes] = {}

    def request(self, request: bytes) -> bytes:
        """What the broker is asked."""
        try:
            group, end = group_of(request)
        except Malformed:
            return request
        if _key(request) == JOIN_GROUP:
            self._groups.note(group, self, session_s_of(request, end))
        elif self._groups.leaves_others(group, self):
            self._instead[request[4:8]] = has_left(request)
            return _nothing_asked(request)
        else:
            self._groups.left(group)
        return request

    def answer(self, answer: bytes) -> bytes:
        """What the client is told."""
        return self._instead.pop(answer[:4], answer) if self._instead else answer

    def close(self) -> None:
        """It is in no group any more."""
        self._groups.closed(self)


async def _frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """The next frame as (its size, its body). The body is empty, and still to be read, when it is too large to be of
    interest."""
    size = int.from_bytes(await reader.readexactly(4), "big")
    return size, await reader.readexactly(size) if size <= LARGEST_FRAME_READ else b""


def _framed(body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + body


async def _first_exchange(
    client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    broker: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    connection: Connection,
) -> None:
    size, request = await _frame(client[0])
    if size > LARGEST_FRAME_READ:
        await _pass_on(client[0], broker[1], size)
        return
    broker[1].write(_framed(connection.request(request)))
    if _key(request) != API_VERSIONS or not _is_flexible(request):
        return
    size, answer = await _frame(broker[0])
    if size > LARGEST_FRAME_READ:
        await _pass_on(broker[0], client[1], size)
        return
    with contextlib.suppress(Malformed):
        answer = without_tagged_fields(answer)
    client[1].write(_framed(answer))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, changed: Callable[[bytes], bytes]) -> None:
    """Frame by frame, until one side has gone."""
    with contextlib.suppress(asyncio.IncompleteReadError):
        while True:
            size, body = await _frame(reader)
            if size > LARGEST_FRAME_READ:
                await _pass_on(reader, writer, size)
            else:
                writer.write(_framed(changed(body)))
            await writer.drain()
    writer.write_eof()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, size: int) -> None:
    writer.write(size.to_bytes(4, "big"))
    while size:
        data = await reader.read(min(size, CHUNK_BYTES))
        if not data:
            raise asyncio.IncompleteReadError(b"", size)
        writer.write(data)
        await writer.drain()
        size -= len(data)


async def _serve(
    client: tuple[asyncio.StreamReader, asyncio.StreamWriter], host: str, broker_port: int, groups: Groups
) -> None:
    writers = [client[1]]
    connection = Connection(groups)
    try:
        broker = await asyncio.open_connection(host, broker_port, limit=CHUNK_BYTES)
        writers.append(broker[1])
        await _first_exchange(client, broker, connection)
        async with asyncio.TaskGroup() as both:
            both.create_task(_pump(client[0], broker[1], connection.request))
            both.create_task(_pump(broker[0], client[1], connection.answer))
    except* (OSError, asyncio.IncompleteReadError):
        pass  # either side has gone: what is left is to close the other
    finally:
        connection.close()
        for writer in writers:
            writer.close()


async def _run(host: str, port: int, broker_port: int) -> None:
    loop, stop, groups = asyncio.get_running_loop(), asyncio.Event(), Groups()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    connections: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a connection's callback runs in a task of its own
        connections.add(task)
        try:
            await _serve((reader, writer), host, broker_port, groups)
        finally:
            connections.discard(task)

    server = await asyncio.start_server(accept, host, port, limit=CHUNK_BYTES)
    await stop.wait()
    server.close()
    for task in connections:
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*connections, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(_run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
