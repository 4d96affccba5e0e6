"""Told to stop, a server with many sockets closes every one of them with 1001, not with its own code (promise 23)."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

from nija_common.runtime.server import listen, serving
from nija_common.testing import start_platform
from nija_common.testing.sockets import SocketServer
from nija_common.values.clock import ManualClock
from nija_notifier.service import SERVICE


async def test_a_server_that_stops_closes_all_its_sockets_with_1001(tmp_path: Path, clock: ManualClock) -> None:
    sock = listen("127.0.0.1", 0)
    async with start_platform(tmp_path, [SERVICE], clock=clock) as platform, AsyncExitStack() as connections:
        async with serving(platform.app("notifier"), sock):
            server = SocketServer(platform, sock.getsockname()[1], connections)
            clients = [await server.signed_in(f"usr_{n // 4}", "trades", "positions") for n in range(40)]
            platform.node.drain()
        codes = [await client.closed() for client in clients]
    assert set(codes) == {1001}
