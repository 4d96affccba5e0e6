"""Coming back to `trades` on Kafka: another replica, which has nothing in memory, reads what was missed from the brokers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import cast

import orjson
import pytest

from nija_common.bus.broadcast import BroadcastReader
from nija_common.bus.kafka import KafkaBus
from nija_common.bus.port import Bus
from nija_common.events.catalogue import codec
from nija_common.events.topics import TRADING
from nija_common.events.trading import PositionOpened, TradeOpened
from nija_common.runtime.manifest import broadcast
from nija_common.security.tokens import Claims
from nija_common.storage.unit_of_work import emission_of, message_of
from nija_common.testing.events import example_of
from nija_common.values.clock import SystemClock
from nija_common.values.frames import text_in
from nija_common.values.shards import shard_of
from nija_notifier.adapters.history import BusHistory
from nija_notifier.deps import Deps
from nija_notifier.domain.hub import Connection, Hub
from nija_notifier.domain.outbox import Outbox
from nija_notifier.handlers import live
from nija_notifier.handlers.catching_up import catch_up
from nija_notifier.ports import Lost

pytestmark = pytest.mark.kafka

CLOCK = SystemClock()
MINE = "usr_a"
NEIGHBOUR = next(f"usr_{n}" for n in range(1_000) if shard_of(f"usr_{n}") == shard_of(MINE))


@pytest.fixture
async def bus(kafka_bootstrap: str, namespace: str) -> AsyncIterator[Bus]:
    async with KafkaBus.open(kafka_bootstrap, namespace=namespace) as bus:
        await bus.ensure([TRADING])
        yield bus


async def happen(bus: Bus, *numbers: int) -> None:
    """For each number a trade of mine, one of my neighbour, and something that is no trade."""
    for n in numbers:
        events = (
            example_of(TradeOpened, user_id=NEIGHBOUR, trade_id=f"other_{n}"),
            example_of(PositionOpened, user_id=MINE),
            example_of(TradeOpened, user_id=MINE, trade_id=f"trd_{n}"),
        )
        await bus.send([message_of(emission_of(event, "trading-engine", CLOCK)) for event in events])


@asynccontextmanager
async def replica(bus: Bus) -> AsyncIterator[Deps]:
    """What of a process this is about: a hub that follows the bus from now on, and its history."""
    deps = cast(Deps, SimpleNamespace(hub=Hub(), history=BusHistory(bus, codec(), CLOCK), clock=CLOCK))
    following = (broadcast(TRADING, {TradeOpened: live.trade_happened}),)
    reader = BroadcastReader(name="replica", subscriptions=following, deps=deps, bus=bus, codec=codec(), clock=CLOCK)
    running = asyncio.create_task(reader.run())
    try:
        async with asyncio.timeout(30):
            await reader.caught_up.wait()
        yield deps
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def connect(deps: Deps) -> Connection:
    connection = Connection(Outbox(1_000_000, lambda: None), 0.0)
    deps.hub.connected(connection)
    assert deps.hub.signed_in(connection, Claims(MINE, "ses_1", "user", 0, 4_000_000_000, 1, 1)) is None
    deps.hub.follow(connection, "trades")
    return connection


async def told(connection: Connection, until: str) -> list[tuple[int, str]]:
    """What is told, up to that trade."""
    found: list[tuple[int, str]] = []
    async with asyncio.timeout(30):
        while not found or found[-1][1] != until:
            waiting = connection.outbox.next()
            if waiting is None:
                await asyncio.sleep(0.01)
                continue
            message = orjson.loads(text_in(waiting.frame))
            found.append((message["id"], message["data"]["trade_id"]))
    return found


async def _room() -> None:
    await asyncio.sleep(0)


async def test_a_client_that_moves_to_a_replica_without_memory_misses_nothing_and_gets_nothing_twice(bus: Bus) -> None:
    async with replica(bus) as first:
        before = connect(first)
        await happen(bus, 0, 1)
        had = await told(before, "trd_1")
    await happen(bus, *range(2, 10))
    async with replica(bus) as second:
        assert second.hub.recent.span(shard_of(MINE)) is None
        after = connect(second)
        after.trades_after = None
        arriving = asyncio.create_task(happen(bus, *range(10, 20)))
        await catch_up(second, after, had[-1][0], _room)
        await arriving
        had += await told(after, "trd_19")
    assert [trade for _, trade in had] == [f"trd_{n}" for n in range(20)]
    ids = [offset for offset, _ in had]
    assert ids == sorted(set(ids))


async def test_the_brokers_know_an_id_that_was_never_given_and_one_after_which_nothing_came(bus: Bus) -> None:
    await happen(bus, 0)
    history = BusHistory(bus, codec(), CLOCK)
    end = (await history.after(MINE, 0)).end
    assert end == 3
    assert (await history.after(MINE, end - 1)).updates == ()
    with pytest.raises(Lost, match="unknown"):
        await history.after(MINE, end)
