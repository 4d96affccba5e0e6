"""A server's socket."""

from __future__ import annotations

import asyncio
import socket

import pytest

from nija_common.runtime.server import listen


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_an_answer_in_two_writes_does_not_wait_for_an_acknowledgement(host: str) -> None:
    sent_at_once: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def accepted(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = writer.get_extra_info("socket")
        sent_at_once.set_result(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    sock = listen(host, 0)
    async with await asyncio.start_server(accepted, sock=sock):
        _, writer = await asyncio.open_connection(*sock.getsockname()[:2])
        assert await sent_at_once == 1
        writer.close()
        await writer.wait_closed()
