"""WebSockets through the gateway, as a client sees them: in process, and relayed to a service at an address."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from nija_common.runtime.server import listen, serving


@asynccontextmanager
async def served(gateway: Any) -> AsyncIterator[str]:
    sock = listen("127.0.0.1", 0)
    async with serving(gateway.app, sock):
        yield f"ws://127.0.0.1:{sock.getsockname()[1]}"


@pytest.fixture(params=[False, True], ids=["in-process", "over-http"])
async def behind(request: Any, start: Any) -> AsyncIterator[tuple[Any, str]]:
    async with start(over_http=request.param) as gateway, served(gateway) as origin:
        yield gateway, origin


def dial(url: str, **options: Any) -> connect:
    return connect(url, proxy=None, open_timeout=5, close_timeout=5, **options)


async def code_of(socket: ClientConnection) -> int | None:
    with pytest.raises(ConnectionClosed):
        async with asyncio.timeout(5):
            while True:
                await socket.recv()
    return socket.close_code


async def eventually(probe: Any) -> None:
    async with asyncio.timeout(5):
        while not probe():
            await asyncio.sleep(0.005)


async def test_messages_go_both_ways(behind: Any) -> None:
    gateway, origin = behind
    async with dial(f"{origin}/ws/v1?x=1") as socket:
        for text in ("one", "two", "ü" * 20_000):
            await socket.send(text)
            assert await socket.recv() == text.upper()
    assert gateway.toy.seen[0].path == "/ws/v1"
    assert gateway.toy.seen[0].query == b"x=1"


async def test_what_only_the_gateway_may_say_is_said_by_it(behind: Any) -> None:
    gateway, origin = behind
    forged = {"X-Nija-Client-Address": "6.6.6.6", "X-Forwarded-For": "6.6.6.6", "X-Request-ID": "socket-0815"}
    async with dial(f"{origin}/ws/v1", additional_headers=forged):
        await eventually(lambda: gateway.toy.seen)
    seen = gateway.toy.seen[0]
    assert seen.header("x-nija-client-address") == "127.0.0.1"
    assert seen.header("x-request-id") == "socket-0815"
    assert seen.header("x-forwarded-for") is None


@pytest.mark.parametrize("code", [1000, 1001, 4401, 4408])
async def test_the_services_close_code_is_the_clients(behind: Any, code: int) -> None:
    _, origin = behind
    async with dial(f"{origin}/ws/v1") as socket:
        await socket.send(f"close {code}")
        assert await code_of(socket) == code
        assert socket.close_reason == "as asked"


async def test_the_service_sees_the_client_leave(behind: Any) -> None:
    gateway, origin = behind
    async with dial(f"{origin}/ws/v1") as socket:
        await socket.close(4000, "enough")
    await eventually(lambda: any(seen.method == "CLOSED" and seen.path == "4000" for seen in gateway.toy.seen))


async def test_a_message_above_64_kib_closes_with_1009(behind: Any) -> None:
    _, origin = behind
    async with dial(f"{origin}/ws/v1") as socket:
        await socket.send("x" * 65_537)
        assert await code_of(socket) == 1009


async def test_another_path_is_no_socket(behind: Any) -> None:
    gateway, origin = behind
    with pytest.raises(InvalidStatus) as refusal:
        async with dial(f"{origin}/ws/v2"):
            pass
    assert refusal.value.response.status_code == 404
    assert b"NOT_FOUND" in (refusal.value.response.body or b"")
    assert not gateway.toy.calls


async def test_a_service_that_is_away_means_try_again_later(start: Any) -> None:
    async with (
        start({"NIJA_UPSTREAMS__NOTIFIER": "http://127.0.0.1:1"}) as gateway,
        served(gateway) as origin,
        dial(f"{origin}/ws/v1") as socket,
    ):
        assert await code_of(socket) == 1013


async def test_a_service_that_breaks_off_is_an_internal_error(start: Any) -> None:
    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        key = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key")).split()[-1]
        accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
        writer.write(b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n")
        writer.write(b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")
        await reader.readexactly(1)
        writer.transport.abort()

    server = await asyncio.start_server(cut, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with (
        start({"NIJA_UPSTREAMS__NOTIFIER": address}) as gateway,
        served(gateway) as origin,
        dial(f"{origin}/ws/v1") as socket,
    ):
        await socket.send("x")
        assert await code_of(socket) == 1011
    server.close()


async def test_draining_closes_relayed_sockets_with_1001(start: Any) -> None:
    async with start(over_http=True) as gateway, served(gateway) as origin:
        async with dial(f"{origin}/ws/v1") as socket:
            await socket.send("x")
            await socket.recv()
            gateway.platform.node.drain()
            assert await code_of(socket) == 1001
        await eventually(lambda: any(s.method == "CLOSED" and s.path == "1001" for s in gateway.toy.seen))
