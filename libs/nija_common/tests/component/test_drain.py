"""How a server leaves: what it has read is answered, what is on its way is waited for, and everybody is told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from nija_common.http.health import Health
from nija_common.runtime.infrastructure import open_infrastructure
from nija_common.runtime.loops import run_loop
from nija_common.runtime.manifest import Loop
from nija_common.runtime.server import listen, serving
from nija_common.runtime.settings import PlatformSettings
from nija_common.values.clock import SystemClock

GET = b"GET / HTTP/1.1\r\nHost: nija\r\n\r\n"


class App:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.go.set()
        self.asked = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked += 1
        await self.go.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


class Running:
    """A server whose end the test begins."""

    def __init__(self, app: Any, notice_s: float = 0.0) -> None:
        self._stack = AsyncExitStack()
        self._sock = listen("127.0.0.1", 0)
        self.port = self._sock.getsockname()[1]
        self._serving = serving(app, self._sock, notice_s=notice_s)

    async def __aenter__(self) -> Running:
        await self._stack.enter_async_context(self._serving)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def leave(self) -> asyncio.Task[None]:
        return asyncio.create_task(self._stack.aclose())

    async def connect(self) -> Client:
        return Client(*await asyncio.open_connection("127.0.0.1", self.port))


class Client:
    """A connection that speaks bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    def say(self, data: bytes) -> None:
        self._writer.write(data)

    async def answer(self) -> bytes:
        """The next answer, all of it."""
        async with asyncio.timeout(5):
            head = await self._reader.readuntil(b"\r\n\r\n")
            return head + await self._reader.readexactly(2)

    async def rest(self) -> bytes:
        """What comes until the server closes."""
        async with asyncio.timeout(5):
            return await self._reader.read()

    def close(self) -> None:
        self._writer.close()


@pytest.fixture
async def app() -> AsyncIterator[App]:
    yield App()


def last(answer: bytes) -> bool:
    return b"connection: close\r\n" in answer


async def refused(server: Running) -> bool:
    try:
        (await server.connect()).close()
    except ConnectionRefusedError:
        return True
    return False


async def until_refused(server: Running) -> None:
    async with asyncio.timeout(5):
        while not await refused(server):
            await asyncio.sleep(0.01)


async def test_an_idle_connection_may_still_ask_after_the_listener_is_closed(app: App) -> None:
    async with Running(app) as server:
        client = await server.connect()
        client.say(GET)
        assert not last(await client.answer())
        leaving = server.leave()
        await until_refused(server)
        client.say(GET)
        assert last(await client.answer())
        assert await client.rest() == b""
        await leaving
        client.close()


async def test_an_idle_connection_that_asks_nothing_is_closed_soon(app: App) -> None:
    async with Running(app) as server:
        silent, known = await server.connect(), await server.connect()
        known.say(GET)
        await known.answer()
        began = time.monotonic()
        await server.leave()
        assert time.monotonic() - began < 3.0
        assert await silent.rest() == await known.rest() == b""
        silent.close()
        known.close()


async def test_a_request_that_has_been_read_in_part_is_read_and_answered(app: App) -> None:
    async with Running(app) as server:
        client = await server.connect()
        client.say(GET[:20])
        await asyncio.sleep(0.05)
        leaving = server.leave()
        await until_refused(server)
        await asyncio.sleep(0.7)
        client.say(GET[20:])
        assert last(await client.answer())
        await leaving
        client.close()


async def test_a_request_under_way_is_answered_and_told_that_it_is_the_last(app: App) -> None:
    app.go.clear()
    async with Running(app) as server:
        client = await server.connect()
        client.say(GET)
        async with asyncio.timeout(5):
            while app.asked == 0:
                await asyncio.sleep(0.005)
        leaving = server.leave()
        await until_refused(server)
        app.go.set()
        assert last(await client.answer())
        await leaving
        client.close()


async def test_during_the_notice_new_connections_are_served_and_told_to_go(app: App) -> None:
    async with Running(app, notice_s=0.5) as server:
        leaving = server.leave()
        await asyncio.sleep(0.1)
        client = await server.connect()
        client.say(GET)
        assert last(await client.answer())
        client.close()
        await leaving
        assert await refused(server)


async def test_readiness_is_told_within_a_second_though_the_store_hangs() -> None:
    async def hangs() -> str | None:
        await asyncio.sleep(60)
        return None

    async def answers() -> str | None:
        return None

    health = Health(checks={"store": hangs, "bus": hangs, "mail": answers}, ready=True)
    async with asyncio.timeout(1.0):
        status, body = await health.report()
    assert status == 200
    assert body["dependencies"] == {"store": "no answer within 0.7 s", "bus": "no answer within 0.7 s", "mail": "ok"}
    health.draining = True
    assert (await health.report())[0] == 503


async def test_a_loop_ends_the_turn_in_hand_and_gives_its_lease_back(tmp_path: Path) -> None:
    clock, finishing = SystemClock(), asyncio.Event()
    begun, go, done = asyncio.Event(), asyncio.Event(), []

    async def turn(_: Any) -> None:
        begun.set()
        await go.wait()
        done.append(1)

    async with open_infrastructure(PlatformSettings(data_dir=tmp_path), clock) as infrastructure:
        storage = infrastructure.storage_of("accounts")
        await storage.migrate([])
        running = asyncio.create_task(
            run_loop(
                Loop("sweep", 60.0, turn),
                service="accounts",
                deps=None,
                storage=storage,
                clock=clock,
                holder="one",
                finishing=finishing,
            )
        )
        await begun.wait()
        assert await storage.take("loop/sweep", "other", 1000) is None
        finishing.set()
        go.set()
        async with asyncio.timeout(5):
            await running
        assert done == [1]
        assert await storage.take("loop/sweep", "other", 1000) is not None
