"""Stands in front of the embedded broker so that older clients can talk to it. A script, on the standard library alone.

    python -I -S broker_relay.py HOST PORT BROKER_PORT

Tansu answers ApiVersions (KIP-482, flexible since version 3) with four tagged fields of default value. That is lawful, but
librdkafka before 2.1 (Debian's kcat is built on it) skips a tagged field one byte too short and then finds its buffer at
an end ("Read underflow"). So the tagged fields of the first answer on a connection are left out, which the protocol allows:
every one of them is optional. All other bytes pass as they are.
"""

import asyncio
import contextlib
import signal
import sys

API_VERSIONS = 18
FIRST_FLEXIBLE = 3
CHUNK_BYTES = 1 << 18
LARGEST_FIRST_FRAME = 1 << 20  # what claims to be larger is passed on unread


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


def _asks_for_flexible_versions(request: bytes) -> bool:
    key, version = int.from_bytes(request[:2], "big"), int.from_bytes(request[2:4], "big")
    return len(request) >= 8 and key == API_VERSIONS and version >= FIRST_FLEXIBLE


async def _frame(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """The next frame as (its four length bytes, its body). The body is empty when it is too large to be of interest."""
    head = await reader.readexactly(4)
    size = int.from_bytes(head, "big")
    return head, await reader.readexactly(size) if size <= LARGEST_FIRST_FRAME else b""


async def _first_exchange(
    client: tuple[asyncio.StreamReader, asyncio.StreamWriter], broker: tuple[asyncio.StreamReader, asyncio.StreamWriter]
) -> None:
    head, request = await _frame(client[0])
    broker[1].write(head + request)
    if not _asks_for_flexible_versions(request):
        return
    head, answer = await _frame(broker[0])
    try:
        short = without_tagged_fields(answer)
    except Malformed:
        client[1].write(head + answer)
        return
    client[1].write(len(short).to_bytes(4, "big") + short)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(CHUNK_BYTES):
        writer.write(data)
        await writer.drain()
    writer.write_eof()


async def _serve(client: tuple[asyncio.StreamReader, asyncio.StreamWriter], host: str, broker_port: int) -> None:
    writers = [client[1]]
    try:
        broker = await asyncio.open_connection(host, broker_port, limit=CHUNK_BYTES)
        writers.append(broker[1])
        await _first_exchange(client, broker)
        async with asyncio.TaskGroup() as both:
            both.create_task(_pump(client[0], broker[1]))
            both.create_task(_pump(broker[0], client[1]))
    except* (OSError, asyncio.IncompleteReadError):
        pass  # either side has gone: what is left is to close the other
    finally:
        for writer in writers:
            writer.close()


async def _run(host: str, port: int, broker_port: int) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    connections: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a connection's callback runs in a task of its own
        connections.add(task)
        try:
            await _serve((reader, writer), host, broker_port)
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
