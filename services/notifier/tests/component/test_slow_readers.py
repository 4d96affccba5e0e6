"""Slow readers hurt nobody (promise 11): conflated, bounded, then closed; the others notice nothing."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median

import pytest

from nija_common.events.trading import MarketMarked, PositionOpened, TradeOpened
from nija_common.testing import TestPlatform, start_platform
from nija_common.testing.events import example_of
from nija_common.testing.sockets import SocketClient, SocketServer, eventually, socket_server
from nija_common.values.clock import ManualClock
from nija_notifier.domain.outbox import Outbox
from nija_notifier.service import SERVICE

BUFFER_BYTES = 32_768


@asynccontextmanager
async def serving(tmp_path: Path, clock: ManualClock, stall_seconds: float) -> AsyncIterator[SocketServer]:
    env = {"NIJA_SOCKETS__BUFFER_BYTES": str(BUFFER_BYTES), "NIJA_SOCKETS__STALL_SECONDS": str(stall_seconds)}
    async with (
        start_platform(tmp_path, [SERVICE], clock=clock, env=env) as platform,
        socket_server(platform, "notifier") as started,
    ):
        yield started


@pytest.fixture
async def server(tmp_path: Path, clock: ManualClock) -> AsyncIterator[SocketServer]:
    async with serving(tmp_path, clock, 60.0) as started:
        yield started


@pytest.fixture
async def impatient(tmp_path: Path, clock: ManualClock) -> AsyncIterator[SocketServer]:
    """Closes a reader that takes nothing for half a second."""
    async with serving(tmp_path, clock, 0.5) as started:
        yield started


def outboxes(platform: TestPlatform, user_id: str) -> list[Outbox]:
    """The outboxes of a user's connections."""
    return [connection.outbox for connection in platform.deps("notifier").hub.connections_of(user_id)]


async def lazy(server: SocketServer, user_id: str, *channels: str) -> SocketClient:
    """A signed-in client that takes nothing from its socket from here on."""
    client = await server.lazy()
    assert (await client.sign_in(server.platform.token(user_id)))["type"] == "auth_success"
    await client.follow(*channels)
    client.connection.transport.pause_reading()
    return client


async def trades(server: SocketServer, user_id: str, start: int) -> None:
    """Twenty trades, numbered from `start`."""
    numbers = range(start, start + 20)
    await server.platform.given_events(
        *(example_of(TradeOpened, user_id=user_id, trade_id=f"trd_{n}") for n in numbers)
    )


async def test_a_reader_too_slow_for_its_trades_is_closed_with_4408_and_every_trade_before_was_told(
    server: SocketServer,
) -> None:
    client = await lazy(server, "usr_slow", "trades")
    (outbox,) = outboxes(server.platform, "usr_slow")
    for start in range(0, 2_000, 20):
        await trades(server, "usr_slow", start)
        assert outbox.waiting_bytes <= BUFFER_BYTES
        if outbox.closing is not None:
            break
    assert outbox.closing is not None
    assert outbox.closing.code == 4408
    client.connection.transport.resume_reading()
    told = []
    while (message := await client.hear_or_close()) is not None:
        told.append(message["data"]["trade_id"])
    assert len(told) > 100
    assert told == [f"trd_{n}" for n in range(len(told))]
    assert client.connection.close_code == 4408


async def test_a_reader_that_only_follows_positions_is_conflated_and_catches_up_with_the_newest_price(
    server: SocketServer,
) -> None:
    opened = [example_of(PositionOpened, user_id="usr_slow", position_id=f"pos_{n}") for n in range(40)]
    await server.platform.given_events(*opened)
    client = await lazy(server, "usr_slow", "positions")
    (outbox,) = outboxes(server.platform, "usr_slow")
    at_ms = opened[0].at_ms
    for n in range(60):
        at_ms += 1
        await server.platform.given_events(example_of(MarketMarked, price=40_000.0 + n, at_ms=at_ms))
        assert outbox.waiting_positions <= len(opened)
    assert outbox.waiting_positions > 0
    client.connection.transport.resume_reading()
    newest: dict[str, float] = {}
    async with asyncio.timeout(5):
        while len(newest) < len(opened) or set(newest.values()) != {40_059.0}:
            data = (await client.hear())["data"]
            newest[data["position_id"]] = data["current_price"]
    assert outbox.closing is None


async def test_a_reader_that_takes_nothing_at_all_is_closed_and_forgotten(impatient: SocketServer) -> None:
    server = impatient
    hub = server.platform.deps("notifier").hub
    opened = [example_of(PositionOpened, user_id="usr_slow", position_id=f"pos_{n}") for n in range(100)]
    await server.platform.given_events(*opened)
    await lazy(server, "usr_slow", "positions")
    (outbox,) = outboxes(server.platform, "usr_slow")
    for n in range(20):
        await server.platform.given_events(example_of(MarketMarked, at_ms=opened[0].at_ms + n))
    await eventually(lambda: outbox.closing is not None, "the stalled reader is closed")
    assert outbox.closing is not None
    assert outbox.closing.code == 4408
    await eventually(lambda: not hub.watches_positions("usr_slow"), "its book is dropped")


async def test_the_end_of_a_session_ends_a_stalled_reader_too(server: SocketServer) -> None:
    hub = server.platform.deps("notifier").hub
    await lazy(server, "usr_slow", "trades")
    (outbox,) = outboxes(server.platform, "usr_slow")
    while outbox.waiting_bytes == 0:
        await trades(server, "usr_slow", 0)
    hub.drain()
    await eventually(lambda: bool(hub.open_connections == 0), "the stalled connection is forgotten")


async def test_stalled_readers_do_not_delay_the_others(server: SocketServer) -> None:
    quick = await server.signed_in("usr_quick", "trades")
    opened = [
        example_of(PositionOpened, user_id=f"usr_stalled_{n // 40}", position_id=f"pos_{n}") for n in range(10 * 40)
    ]
    await server.platform.given_events(*opened)
    moments = itertools.count(opened[0].at_ms)

    async def latency() -> float:
        spent = []
        for _ in range(60):
            mark = example_of(MarketMarked, at_ms=next(moments))
            started = time.perf_counter()
            await server.platform.given_events(mark, example_of(TradeOpened, user_id="usr_quick"))
            await quick.hear()
            spent.append(time.perf_counter() - started)
        return median(spent)

    alone = await latency()
    clients = [await lazy(server, f"usr_stalled_{n}", "positions") for n in range(10)]
    await latency()
    beside = await latency()
    stalled = [outbox for n in range(10) for outbox in outboxes(server.platform, f"usr_stalled_{n}")]
    assert len(stalled) == len(clients) == 10
    assert all(outbox.waiting_positions > 0 and outbox.closing is None for outbox in stalled)
    assert beside < 3 * alone + 0.05
