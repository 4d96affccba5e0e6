"""Whole frames past ASGI, behind the real server: in order with everything else, whole, and only while the socket is open."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from uvicorn.protocols.utils import ClientDisconnected
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedOK

from nija_common.http.socket_frames import FrameWriter, writer_of
from nija_common.runtime.server import serving
from nija_common.values.frames import text_frame

SMALL_BUFFER = 16_384
SIZES = (0, 1, 125, 126, 65_535, 65_536, 150_000)

Story = Callable[[Any, FrameWriter, Any, Any], Awaitable[None]]
"""What the application does with a socket: its scope, writer, receive and send."""


class App:
    """Runs one story, and keeps how it ended."""

    def __init__(self, story: Story) -> None:
        self._story = story
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        writer = writer_of(scope)
        assert writer is not None
        telling = asyncio.ensure_future(self._story(scope, writer, receive, send))
        await asyncio.wait([telling])
        error = telling.exception()
        if error is None:
            self.ended.set_result(None)
        else:
            self.ended.set_exception(error)


@asynccontextmanager
async def served(story: Story, *, lazy: bool = False) -> AsyncIterator[tuple[App, ClientConnection]]:
    """A client of the story; kernel buffers are small. `lazy`: it reads what it is asked for only."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BUFFER)
    sock.bind(("127.0.0.1", 0))
    sock.listen()
    sock.setblocking(False)
    app = App(story)
    async with serving(app, sock):
        ours = socket.socket()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        ours.setblocking(False)
        await asyncio.get_running_loop().sock_connect(ours, sock.getsockname())
        uri = f"ws://127.0.0.1:{sock.getsockname()[1]}/"
        options: dict[str, Any] = {"max_queue": 1} if lazy else {}
        async with (
            asyncio.timeout(10),
            connect(uri, sock=ours, close_timeout=0.2, ping_interval=None, max_size=None, **options) as client,
        ):
            yield app, client


async def test_frames_of_every_length_arrive_in_order_with_asgi_messages_and_pings() -> None:
    async def story(scope: Any, writer: FrameWriter, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        for size in SIZES:
            await send({"type": "websocket.send", "text": f"next {size}"})
            await writer.room()
            writer.write_frames(text_frame(b"x" * size))
        await writer.room()
        writer.write_frames(b"".join(text_frame(b"y" * size) for size in SIZES))
        await receive()
        await send({"type": "websocket.close", "code": 1000})

    async with served(story) as (app, client):
        for size in SIZES:
            assert await client.recv() == f"next {size}"
            assert await client.recv() == "x" * size
        await (await client.ping())
        for size in SIZES:
            assert await client.recv() == "y" * size
        await client.send("enough")
        with pytest.raises(ConnectionClosedOK):
            await client.recv()
        await app.ended


async def test_a_client_that_stops_reading_is_felt_and_gets_everything_once_it_goes_on() -> None:
    stopped, count = asyncio.Event(), 0

    async def story(scope: Any, writer: FrameWriter, receive: Any, send: Any) -> None:
        nonlocal count
        await send({"type": "websocket.accept"})
        assert writer.has_room
        while writer.has_room:
            writer.write_frames(text_frame(b"%06d" % count * 100))
            count += 1
            await asyncio.sleep(0)
        stopped.set()
        await writer.room()
        assert writer.has_room
        writer.write_frames(text_frame(b"last"))
        await receive()

    async with served(story, lazy=True) as (app, client):
        client.transport.pause_reading()
        await stopped.wait()
        assert 64 * 1024 / 600 < count < 1024 * 1024 / 600
        client.transport.resume_reading()
        for number in range(count):
            assert await client.recv() == f"{number:06}" * 100
        assert await client.recv() == "last"
        await client.close()
        await app.ended


async def test_frames_that_wait_are_sent_before_the_close() -> None:
    async def story(scope: Any, writer: FrameWriter, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        for number in range(50):
            writer.write_frames(text_frame(b"%04d" % number * 500))
        await send({"type": "websocket.close", "code": 4408, "reason": "slow"})
        with pytest.raises(RuntimeError):
            writer.write_frames(text_frame(b"too late"))

    async with served(story, lazy=True) as (app, client):
        for number in range(50):
            assert await client.recv() == f"{number:04}" * 500
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert client.close_code == 4408
        await app.ended


async def test_nothing_can_be_written_before_the_socket_is_accepted_nor_after_the_client_has_left() -> None:
    async def story(scope: Any, writer: FrameWriter, receive: Any, send: Any) -> None:
        with pytest.raises(RuntimeError):
            writer.write_frames(text_frame(b"too early"))
        await send({"type": "websocket.accept"})
        assert (await receive())["type"] == "websocket.disconnect"
        with pytest.raises(ClientDisconnected):
            writer.write_frames(text_frame(b"too late"))
        # Whoever waits for room is not left waiting.
        await writer.room()

    async with served(story) as (app, client):
        await client.close()
        await app.ended


async def taking_nothing_until_the_end(app: Any, client: Any) -> None:
    """Reads only once the application has ended: then the connection is over."""
    client.transport.pause_reading()
    await app.ended
    client.transport.resume_reading()
    with pytest.raises(ConnectionClosed):
        while True:
            await client.recv()


async def test_a_close_that_the_client_does_not_take_ends_the_connection_nevertheless() -> None:
    async def story(scope: Any, writer: Any, receive: Any, send: Any) -> None:
        writer.close_timeout = 0.05
        await send({"type": "websocket.accept"})
        while writer.transport.get_write_buffer_size() < 20_000:
            writer.write_frames(text_frame(b"z" * 10_000))
            await asyncio.sleep(0)
        assert writer.has_room
        await send({"type": "websocket.close", "code": 1000})
        while not writer.disconnected:
            await receive()

    async with served(story, lazy=True) as (app, client):
        await taking_nothing_until_the_end(app, client)


async def test_what_was_not_taken_is_dropped_by_an_abort() -> None:
    async def story(scope: Any, writer: FrameWriter, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        while writer.has_room:
            writer.write_frames(text_frame(b"z" * 10_000))
            await asyncio.sleep(0)
        writer.abort()
        await receive()
        with pytest.raises(ClientDisconnected):
            writer.write_frames(text_frame(b"z"))

    async with served(story, lazy=True) as (app, client):
        await taking_nothing_until_the_end(app, client)
