"""A service's sockets behind a real server on a free port, and a client that speaks the contract's messages."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from nija_common.runtime.server import serving
from nija_common.testing.running import TestPlatform

PATIENCE_S = 15.0
SMALL_BUFFER = 16_384


async def eventually(condition: Callable[[], bool], what: str) -> None:
    """Waits until the condition holds; fails after fifteen seconds, saying what never came."""
    deadline = asyncio.get_running_loop().time() + PATIENCE_S
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, f"never: {what}"
        await asyncio.sleep(0.002)


class SocketClient:
    """One connection to `/ws/v1`."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def say(self, **message: Any) -> None:
        await self.connection.send(orjson.dumps(message).decode())

    async def hear(self) -> dict[str, Any]:
        """The next message."""
        async with asyncio.timeout(PATIENCE_S):
            message: dict[str, Any] = orjson.loads(await self.connection.recv())
        return message

    async def until(self, kind: str) -> dict[str, Any]:
        """The next message of that type; others are passed over."""
        while True:
            message = await self.hear()
            if message["type"] == kind:
                return message

    async def hear_or_close(self) -> dict[str, Any] | None:
        """The next message; None once the connection is closed."""
        try:
            return await self.hear()
        except ConnectionClosed:
            return None

    async def closed(self) -> int:
        """The code that the server closes with; messages before it are passed over."""
        while await self.hear_or_close() is not None:
            continue
        assert self.connection.close_code is not None
        return self.connection.close_code

    async def silent(self) -> bool:
        """Whether nothing waits: the answer to a ping is the next message."""
        await self.say(type="ping")
        return await self.hear() == {"type": "pong"}

    async def sign_in(self, token: str) -> dict[str, Any]:
        """The answer to `auth`."""
        await self.say(type="auth", token=f"Bearer {token}")
        return await self.hear()

    async def follow(self, *channels: str) -> None:
        """Subscribes; every answer must be the next message."""
        for channel in channels:
            await self.say(type="subscribe", channel=channel)
            assert await self.hear() == {"type": "subscribed", "channel": channel}


class SocketServer:
    """A service of a running platform, reachable over TCP."""

    def __init__(self, platform: TestPlatform, port: int, clients: AsyncExitStack) -> None:
        self.platform = platform
        self.port = port
        self._clients = clients

    async def connect(self, path: str = "/ws/v1", **options: Any) -> SocketClient:
        """A connection that has not signed in; `options` as `websockets` has them."""
        opening = connect(f"ws://127.0.0.1:{self.port}{path}", close_timeout=0.2, **options)
        return SocketClient(await self._clients.enter_async_context(opening))

    async def signed_in(self, user_id: str, *channels: str, session_id: str = "ses_test") -> SocketClient:
        """A connection of that user that follows the channels."""
        client = await self.connect()
        answer = await client.sign_in(self.platform.token(user_id, session_id=session_id))
        assert answer["type"] == "auth_success", answer
        await client.follow(*channels)
        return client

    async def lazy(self) -> SocketClient:
        """A connection whose client takes nothing from its socket buffer until it is asked for a message."""
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self.port))
        return await self.connect(sock=sock, max_queue=1, compression=None)


@asynccontextmanager
async def socket_server(platform: TestPlatform, service: str) -> AsyncIterator[SocketServer]:
    """Serves the service's app. Kernel buffers are small: a client that stops reading is felt after kilobytes."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BUFFER)
    sock.bind(("127.0.0.1", 0))
    sock.listen(128)
    sock.setblocking(False)
    async with serving(platform.app(service), sock), AsyncExitStack() as clients:
        yield SocketServer(platform, sock.getsockname()[1], clients)
