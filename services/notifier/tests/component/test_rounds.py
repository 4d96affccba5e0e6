"""How frames leave: one message order whatever the server offers, together where it can, and none lost at the end."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from nija_common.events.trading import KillSwitchSnapshot, MarketMarked, PositionOpened, TradeOpened
from nija_common.http.socket_frames import EXTENSION, FramesProtocol
from nija_common.runtime.server import listen, serving
from nija_common.testing import start_platform
from nija_common.testing.events import example_of
from nija_common.testing.measured import measured
from nija_common.testing.sockets import SMALL_BUFFER, SocketServer, eventually
from nija_common.values.clock import ManualClock
from nija_notifier.service import SERVICE

ENV = {"NIJA_SOCKETS__STALL_SECONDS": "0.3"}


@asynccontextmanager
async def started(folder: Path, clock: ManualClock, *, frames: bool) -> AsyncIterator[SocketServer]:
    """The notifier; `frames`: behind a server that takes whole frames."""
    sock = listen("127.0.0.1", 0)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BUFFER)
    async with start_platform(folder, [SERVICE], clock=clock, env=ENV) as platform, AsyncExitStack() as clients:
        app = platform.app("notifier")

        async def without(scope: Any, receive: Any, send: Any) -> None:
            extensions = {name: value for name, value in scope["extensions"].items() if name != EXTENSION}
            await app({**scope, "extensions": extensions}, receive, send)

        async with serving(app if frames else without, sock):
            yield SocketServer(platform, sock.getsockname()[1], clients)


@pytest.mark.parametrize("frames", [True, False], ids=["frames", "messages"])
async def test_every_channel_is_told_alike_and_in_order_with_and_without_the_extension(
    tmp_path: Path, clock: ManualClock, frames: bool
) -> None:
    async with started(tmp_path, clock, frames=frames) as server:
        client = await server.signed_in("usr_a", "trades", "alerts", "positions")
        opened = example_of(PositionOpened, user_id="usr_a", position_id="pos_1")
        await server.platform.given_events(opened)
        assert (await client.hear())["data"]["position_id"] == "pos_1"
        events: list[Any] = [example_of(TradeOpened, user_id="usr_a", trade_id=f"trd_{n}") for n in range(60)]
        before = measured("nija_socket_messages_total", channel="trades")
        await server.platform.given_events(*events)
        told = [(await client.hear())["data"]["trade_id"] for _ in range(60)]
        assert told == [f"trd_{n}" for n in range(60)]
        assert measured("nija_socket_messages_total", channel="trades") == before + 60
        long = "ü" * 40_000
        await server.platform.given_events(example_of(KillSwitchSnapshot, scope="usr_a", reason=long))
        assert (await client.hear())["data"]["reason"] == long
        await server.platform.given_events(example_of(MarketMarked, price=50_000.0, at_ms=opened.at_ms + 1))
        assert (await client.hear())["data"]["current_price"] == 50_000.0
        assert await client.silent()


async def test_what_comes_within_the_pause_leaves_in_one_write(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes: list[bytes] = []
    write_frames = FramesProtocol.write_frames

    def noted(self: FramesProtocol, frames: bytes) -> None:
        writes.append(frames)
        write_frames(self, frames)

    monkeypatch.setattr(FramesProtocol, "write_frames", noted)
    async with started(tmp_path, clock, frames=True) as server:
        tabs = [await server.signed_in("usr_a", "alerts") for _ in range(3)]
        hub = server.platform.deps("notifier").hub
        await asyncio.sleep(0.05)
        writes.clear()
        for number in range(10):
            hub.alert(hub.alarms.switch_changed(example_of(KillSwitchSnapshot, active=number % 2 == 0)))
        for tab in tabs:
            assert [(await tab.hear())["type"] for _ in range(10)] == ["alert"] * 10
        assert len(writes) == len(tabs)
        assert len(set(writes)) == 1


async def test_alerts_that_wait_when_the_server_stops_are_told_before_its_1001(
    tmp_path: Path, clock: ManualClock
) -> None:
    async with started(tmp_path, clock, frames=True) as server:
        clients = [await server.signed_in(f"usr_{n}", "alerts") for n in range(8)]
        hub = server.platform.deps("notifier").hub
        for number in range(100):
            hub.alert(hub.alarms.switch_changed(example_of(KillSwitchSnapshot, active=number % 2 == 0)))
        server.platform.node.drain()
        for client in clients:
            told = 0
            while (message := await client.hear_or_close()) is not None:
                assert message["type"] == "alert"
                told += 1
            assert told == 100
            assert client.connection.close_code == 1001


async def test_a_client_that_stops_reading_in_the_midst_is_closed_counted_and_its_connection_ended(
    tmp_path: Path, clock: ManualClock
) -> None:
    async with started(tmp_path, clock, frames=True) as server:
        hub = server.platform.deps("notifier").hub
        client = await server.lazy()
        await client.sign_in(server.platform.token("usr_a"))
        await client.follow("alerts")
        (connection,) = hub.connections_of("usr_a")
        other = await server.signed_in("usr_b", "alerts")
        client.connection.transport.pause_reading()
        closes = measured("nija_socket_closes_total", code="4408")
        number = 0
        while connection.outbox.waiting_bytes == 0:
            switch = example_of(KillSwitchSnapshot, active=number % 2 == 0, reason="x" * 8_000)
            hub.alert(hub.alarms.switch_changed(switch))
            number += 1
            assert (await other.hear())["type"] == "alert"
        await eventually(lambda: connection.outbox.closing is not None, "it is closed")
        assert connection.outbox.closing.code == 4408
        await eventually(lambda: not hub.connections_of("usr_a"), "it is forgotten")
        assert measured("nija_socket_closes_total", code="4408") == closes + 1
        # Not left to the kernel, which would keep what it has not taken for ever.
        client.connection.transport.resume_reading()
        while await client.hear_or_close() is not None:
            continue
        assert client.connection.close_code == 1006
        assert await other.silent()
