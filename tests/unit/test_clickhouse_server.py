"""The embedded ClickHouse's socket."""

import asyncio
import socket

from workers.embedded.clickhouse_server import _listening


def test_an_answer_does_not_wait_for_the_clients_acknowledgement() -> None:
    async def nagle_is_off() -> bool:
        found: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connection = writer.get_extra_info("socket")
            found.set_result(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        listener = _listening("127.0.0.1", 0)
        listener.listen()
        async with await asyncio.start_server(accept, sock=listener):
            _, writer = await asyncio.open_connection(*listener.getsockname())
            told = await asyncio.wait_for(found, 10)
            writer.close()
        return bool(told)

    assert asyncio.run(nagle_is_off())
