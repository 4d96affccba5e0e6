"""`since` on `trades`: from memory, from the bus, or a resync; over a real socket on the running platform (promise 12)."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nija_common.events.catalogue import codec
from nija_common.events.trading import PositionOpened, TradeOpened
from nija_common.runtime.manifest import Service
from nija_common.runtime.platform import Platform
from nija_common.testing import start_platform
from nija_common.testing.events import example_of
from nija_common.testing.sockets import SocketClient, SocketServer, eventually, socket_server
from nija_common.values.clock import ManualClock
from nija_common.values.shards import shard_of
from nija_notifier import wiring
from nija_notifier.adapters.history import BusHistory
from nija_notifier.service import SERVICE
from nija_notifier.settings import NotifierSettings

MINE = "usr_a"
NEIGHBOUR = next(f"usr_{n}" for n in range(1_000) if shard_of(f"usr_{n}") == shard_of(MINE))
"""Somebody else whose events lie in the same partition."""


def trade(user_id: str, number: int) -> TradeOpened:
    return example_of(TradeOpened, user_id=user_id, trade_id=f"trd_{number}")


async def resumed(server: SocketServer, since: Any) -> SocketClient:
    client = await server.signed_in(MINE)
    await client.say(type="subscribe", channel="trades", since=since)
    return client


async def told(client: SocketClient, count: int) -> list[str]:
    messages = [await client.hear() for _ in range(count)]
    ids = [m["id"] for m in messages]
    assert ids == sorted(set(ids))
    return [m["data"]["trade_id"] for m in messages]


async def test_a_client_that_was_gone_is_told_what_it_missed_and_nothing_of_its_neighbour(
    server: SocketServer,
) -> None:
    first = await server.signed_in(MINE, "trades")
    await server.platform.given_events(trade(MINE, 0))
    last = (await first.hear())["id"]
    await first.connection.close()
    await server.platform.given_events(trade(NEIGHBOUR, 1), trade(MINE, 2), trade(NEIGHBOUR, 3), trade(MINE, 4))
    back = await resumed(server, last)
    assert await back.hear() == {"type": "subscribed", "channel": "trades"}
    assert await told(back, 2) == ["trd_2", "trd_4"]
    await server.platform.given_events(trade(MINE, 5))
    assert await told(back, 1) == ["trd_5"]
    assert await back.silent()


async def test_who_has_missed_nothing_is_told_nothing(server: SocketServer) -> None:
    client = await server.signed_in(MINE, "trades")
    await server.platform.given_events(trade(MINE, 0))
    last = (await client.hear())["id"]
    await client.say(type="subscribe", channel="trades", since=last)
    assert await client.hear() == {"type": "subscribed", "channel": "trades"}
    assert await client.silent()


@pytest.mark.parametrize("since", ["5", -1, 1.5, True, [], 2**63])
async def test_a_since_that_is_no_id_is_an_error_and_subscribes_to_nothing(server: SocketServer, since: Any) -> None:
    client = await resumed(server, since)
    answer = await client.hear()
    assert (answer["type"], answer["error"]["code"]) == ("error", "VALIDATION_ERROR")
    assert list(answer["error"]["details"]) == ["since"]
    await server.platform.given_events(trade(MINE, 0))
    assert await client.silent()


async def test_an_id_that_was_never_given_is_answered_with_resync_and_the_stream_goes_on(server: SocketServer) -> None:
    client = await resumed(server, 1_000_000)
    assert await client.until("resync") == {"type": "resync", "channel": "trades"}
    await server.platform.given_events(trade(MINE, 0))
    assert await told(client, 1) == ["trd_0"]


async def test_since_means_nothing_to_the_other_channels(server: SocketServer) -> None:
    await server.platform.given_events(example_of(PositionOpened, user_id=MINE, position_id="pos_1"))
    client = await server.signed_in(MINE)
    await client.say(type="subscribe", channel="positions", since="whatever")
    assert await client.hear() == {"type": "subscribed", "channel": "positions"}
    assert (await client.hear())["data"]["position_id"] == "pos_1"


@asynccontextmanager
async def restarted(
    tmp_path: Path, clock: ManualClock, service: Service = SERVICE, env: dict[str, str] | None = None
) -> AsyncIterator[SocketServer]:
    async with start_platform(tmp_path, [service], clock=clock, env=env) as p, socket_server(p, "notifier") as server:
        yield server


async def test_what_is_older_than_memory_is_read_from_the_bus_up_to_a_day_back(
    tmp_path: Path, clock: ManualClock
) -> None:
    async with start_platform(tmp_path, [SERVICE], clock=clock) as platform:
        await platform.given_events(*(trade(MINE, n) for n in range(3)))
        first = (await platform.received(TradeOpened))[0].offset
        clock.advance(3_600)
        await platform.given_events(trade(NEIGHBOUR, 3), trade(MINE, 4))
    clock.advance(23 * 3_600)
    async with restarted(tmp_path, clock) as server:
        assert server.platform.deps("notifier").hub.recent.span(shard_of(MINE)) is None
        client = await resumed(server, first)
        await client.until("subscribed")
        assert await told(client, 3) == ["trd_1", "trd_2", "trd_4"]
        await server.platform.given_events(trade(MINE, 5))
        assert await told(client, 1) == ["trd_5"]
        clock.advance(1)
        too_old = await resumed(server, first)
        assert await too_old.until("resync") == {"type": "resync", "channel": "trades"}
        await server.platform.given_events(trade(MINE, 6))
        assert await told(too_old, 1) == ["trd_6"]


def with_history(**bounds: int) -> Service:
    @asynccontextmanager
    async def build(settings: NotifierSettings, platform: Platform) -> AsyncIterator[Any]:
        async with wiring.build(settings, platform) as deps:
            yield replace(deps, history=BusHistory(platform.bus, codec(), platform.clock, **bounds))

    return replace(SERVICE, build=build)


@pytest.mark.parametrize("bounds", [{"readers": 0}, {"most_updates": 5}], ids=["no reader is free", "too many"])
async def test_what_would_cost_too_much_is_a_resync(tmp_path: Path, clock: ManualClock, bounds: dict[str, int]) -> None:
    async with start_platform(tmp_path, [SERVICE], clock=clock) as platform:
        await platform.given_events(*(trade(MINE, n) for n in range(10)))
    clock.advance(3_600)
    async with restarted(tmp_path, clock, with_history(**bounds)) as server:
        client = await resumed(server, 0)
        assert await client.until("resync") == {"type": "resync", "channel": "trades"}
        await server.platform.given_events(trade(MINE, 10))
        assert await told(client, 1) == ["trd_10"]


async def test_a_client_that_missed_more_than_may_wait_for_it_is_told_at_its_own_pace(
    tmp_path: Path, clock: ManualClock
) -> None:
    env = {"NIJA_SOCKETS__BUFFER_BYTES": "16384"}
    async with restarted(tmp_path, clock, env=env) as server:
        await server.platform.given_events(*(trade(MINE, n) for n in range(150)))
        first = (await server.platform.received(TradeOpened))[0].offset
        client = await server.lazy()
        assert (await client.sign_in(server.platform.token(MINE)))["type"] == "auth_success"
        client.connection.transport.pause_reading()
        await client.say(type="subscribe", channel="trades", since=first)
        hub = server.platform.deps("notifier").hub
        (connection,) = hub.connections_of(MINE)
        await eventually(lambda: bool(connection.outbox.waiting_bytes), "the client is being told")
        await server.platform.given_events(trade(MINE, 150))
        assert connection.outbox.closing is None
        client.connection.transport.resume_reading()
        await client.until("subscribed")
        assert await told(client, 150) == [f"trd_{n}" for n in range(1, 151)]


async def test_trades_that_come_while_clients_drop_out_and_return_are_told_to_each_once(server: SocketServer) -> None:
    chance = random.Random(7)
    start = await server.signed_in(MINE, "trades")
    await server.platform.given_events(trade(MINE, 0))
    first = (await start.hear())["id"]
    done = asyncio.Event()

    async def arrive() -> None:
        for n in range(1, 60):
            await server.platform.given_events(trade(MINE, n), trade(NEIGHBOUR, n))
            await asyncio.sleep(chance.uniform(0, 0.01))
        done.set()

    async def come_and_go() -> list[str]:
        last, had = first, ["trd_0"]
        while not (done.is_set() and had[-1] == "trd_59"):
            client = await resumed(server, last)
            await client.until("subscribed")
            for _ in range(chance.randrange(1, 20)):
                if had[-1] == "trd_59":
                    break
                message = await client.hear()
                last = message["id"]
                had.append(message["data"]["trade_id"])
            await client.connection.close()
        return had

    _, *clients = await asyncio.gather(arrive(), *(come_and_go() for _ in range(3)))
    for had in clients:
        assert had == [f"trd_{n}" for n in range(60)]
