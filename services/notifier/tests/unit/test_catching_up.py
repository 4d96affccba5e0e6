"""Coming back to `trades`: wherever a client drops out and whatever happens meanwhile, no gap and nothing twice."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest

from nija_common.events.trading import TradeOpened
from nija_common.security.tokens import Claims
from nija_common.testing.events import example_of
from nija_common.values.frames import text_in
from nija_common.values.shards import shard_of
from nija_notifier.deps import Deps
from nija_notifier.domain.hub import Connection, Hub
from nija_notifier.domain.outbox import Outbox
from nija_notifier.domain.recent import Recent, Span
from nija_notifier.domain.trade_updates import TradeUpdate
from nija_notifier.handlers.catching_up import catch_up
from nija_notifier.ports import Lost, Past

MINE = "usr_a"
PARTITION = shard_of(MINE)
OTHER = "usr_other"
"""Of the same partition, as far as this test's world is concerned."""


def update(user_id: str, offset: int) -> TradeUpdate:
    return TradeUpdate(example_of(TradeOpened, user_id=user_id), PARTITION, offset)


@dataclass
class World:
    """One partition of the bus, one process that follows it with a small memory, and a client that comes and goes.

    The log holds trades of two users and records that are no trades. The process begins to follow somewhere in it.
    """

    chance: random.Random
    log: list[str | None] = field(default_factory=list)
    followed: int = 0
    seen: list[int] = field(default_factory=list)
    resyncs: int = 0
    history: int = 0
    """What lies before this offset the client has read itself after a resync; told as well, it knows it for the same."""

    def __post_init__(self) -> None:
        self.log = [self._record() for _ in range(self.chance.randrange(12))]
        self.followed = self.chance.randint(0, len(self.log))
        self.hub = Hub()
        self.hub.recent = Recent(kept=self.chance.randint(1, 6))

    def _record(self) -> str | None:
        return self.chance.choice((MINE, MINE, OTHER, None))

    def happen(self) -> None:
        """Something new on the bus, or something that is there reaches this process."""
        if self.chance.random() < 0.5:
            self.log.append(self._record())
        else:
            self.follow()

    def follow(self) -> None:
        """One more record reaches this process."""
        if self.followed < len(self.log):
            user_id, offset = self.log[self.followed], self.followed
            self.followed += 1
            if user_id is not None:
                self.hub.trade(update(user_id, offset), 0.0)

    async def meanwhile(self) -> None:
        """A pause of the client's catching up, in which the world goes on."""
        for _ in range(self.chance.randrange(5)):
            self.happen()
        await asyncio.sleep(0)

    async def after(self, user_id: str, offset: int) -> Past:
        """The bus, as the port has it: what is there when it is asked, while more arrives."""
        end = len(self.log)
        if offset >= end:
            raise Lost("unknown")
        await self.meanwhile()
        if self.chance.random() < 0.05:
            raise Lost("unavailable")
        mine = [n for n in range(offset + 1, end) if self.log[n] == user_id]
        return Past(tuple(update(user_id, n) for n in mine), end)

    def connect(self) -> Connection:
        connection = Connection(Outbox(1_000_000, lambda: None), 0.0)
        self.hub.connected(connection)
        assert self.hub.signed_in(connection, Claims(MINE, "ses_1", "user", 0, 2_000_000_000, 1, 1)) is None
        self.hub.follow(connection, "trades")
        return connection

    def read(self, connection: Connection) -> None:
        while (waiting := connection.outbox.next()) is not None:
            message = orjson.loads(text_in(waiting.frame))
            if message["type"] == "resync":
                # The client reads the history: it has everything that had happened by then.
                self.resyncs += 1
                self.seen = [n for n in range(self.followed) if self.log[n] == MINE]
                self.history = self.followed
            elif message["id"] >= self.history:
                self.seen.append(message["id"])

    async def session(self) -> None:
        """The client comes back with what it has, stays a while, and is gone in the middle of anything."""
        connection = self.connect()
        deps = cast(Deps, SimpleNamespace(hub=self.hub, history=self))
        connection.trades_after = None
        resuming = asyncio.create_task(catch_up(deps, connection, self.seen[-1] if self.seen else 0, self.meanwhile))
        for _ in range(self.chance.randrange(30)):
            await self.meanwhile()
            if self.chance.random() < 0.3:
                self.read(connection)
        if self.chance.random() < 0.5:
            await resuming
        resuming.cancel()
        await asyncio.gather(resuming, return_exceptions=True)
        self.read(connection)
        self.hub.disconnected(connection)


@pytest.mark.parametrize("seed", range(20))
async def test_wherever_a_client_drops_out_it_has_every_trade_once_and_in_order(seed: int) -> None:
    chance = random.Random(seed)
    resumed = 0
    for _ in range(25):
        world = World(chance)
        world.log.insert(0, MINE)
        world.seen = [0]
        for _ in range(4):
            await world.session()
            assert world.seen == [n for n in range(world.seen[-1] + 1) if world.log[n] == MINE]
        resumed += 4 - min(4, world.resyncs)
        # In the end, with the world at rest, the client has everything.
        for _ in range(len(world.log)):
            world.follow()
        connection = world.connect()
        connection.trades_after = None
        deps = cast(Deps, SimpleNamespace(hub=world.hub, history=Resting(world)))
        await catch_up(deps, connection, world.seen[-1], _no_wait)
        world.read(connection)
        assert world.seen == [n for n, user_id in enumerate(world.log) if user_id == MINE]
    assert resumed > 50, resumed


@dataclass
class Resting:
    """The bus while nothing happens."""

    world: World

    async def after(self, user_id: str, offset: int) -> Past:
        end = len(self.world.log)
        mine = [n for n in range(offset + 1, end) if self.world.log[n] == user_id]
        return Past(tuple(update(user_id, n) for n in mine), end)


async def _no_wait() -> None:
    return


def test_memory_says_from_where_on_it_has_everything_and_stays_bounded() -> None:
    recent = Recent(kept_s=600, kept=3)
    assert recent.span(PARTITION) is None
    for offset in (5, 7, 9):
        assert recent.add(update(MINE, offset), 0.0)
    assert recent.span(PARTITION) == Span(first=5, newest=9)
    assert recent.add(update(OTHER, 11), 1.0)
    assert recent.span(PARTITION) == Span(first=6, newest=11)
    assert [u.offset for u in recent.after(PARTITION, MINE, 7)] == [9]
    assert recent.add(update(MINE, 20), 600.5)
    assert recent.span(PARTITION) == Span(first=10, newest=20)
    assert [u.offset for u in recent.after(PARTITION, MINE, 9)] == [20]


def test_a_record_that_comes_again_is_told_once() -> None:
    world = World(random.Random(0))
    connection = world.connect()
    for offset in (3, 4, 3, 4, 5):
        world.hub.trade(update(MINE, offset), 0.0)
    told: list[Any] = []
    while (waiting := connection.outbox.next()) is not None:
        told.append(orjson.loads(text_in(waiting.frame))["id"])
    assert told == [3, 4, 5]


async def test_an_id_that_was_never_given_ends_in_a_resync_and_not_in_silence() -> None:
    world = World(random.Random(0), log=[])
    for offset in range(3):
        world.log.append(MINE)
        world.hub.trade(update(MINE, offset), 0.0)
    connection = world.connect()
    connection.trades_after = None
    await catch_up(cast(Deps, SimpleNamespace(hub=world.hub, history=world)), connection, 10_000, _no_wait)
    told = connection.outbox.next()
    assert told is not None
    assert orjson.loads(text_in(told.frame)) == {"type": "resync", "channel": "trades"}
    world.hub.trade(update(MINE, 50), 0.0)
    assert connection.outbox.next() is not None
