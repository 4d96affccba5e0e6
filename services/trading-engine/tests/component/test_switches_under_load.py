"""Promise 20, I3, I4: stops against entries that are on their way, and limits that two entries reach for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nija_common.events.trading import TradeCancelled, TradeOpened
from nija_common.runtime.manifest import Service
from nija_common.testing import start_platform
from nija_common.values.clock import SystemClock
from nija_trading.adapters.paper_broker import PaperBroker
from nija_trading.domain.account import Account
from nija_trading.domain.records import Order, Position
from nija_trading.service import SERVICE
from nija_trading.wiring import build

USERS = 12
QUICK = {
    "NIJA_MARKET": "replay",
    "NIJA_SPEED": "300",
    "NIJA_TRADING_POLL_MS": "20",
    "NIJA_TRADING_ALERTS_PER_MINUTE": "100000",
}


async def opened(platform: Any) -> int:
    return len(await platform.emitted(TradeOpened))


async def test_nothing_opens_once_the_global_switch_has_answered(
    tmp_path: Path, calm_candles: Path, user_of: Any, wait_until: Any
) -> None:
    env = {**QUICK, "NIJA_CANDLES": str(calm_candles)}
    async with start_platform(tmp_path / "data", [SERVICE], clock=SystemClock(), env=env) as platform:
        desks = [user_of(platform, f"usr_{number}") for number in range(USERS)]
        keys = []
        for desk in desks:
            await desk.settle()
            keys.append(await desk.webhook_key())
            await desk.start()
        await asyncio.gather(*(desk.running() for desk in desks))
        stop = asyncio.Event()

        async def trade(desk: Any, key: str) -> None:
            turn = 0
            while not stop.is_set():
                turn += 1
                await desk.alert(key, "buy" if turn % 2 else "sell", alert_id=f"{desk.user_id}-{turn}")

        traders = [asyncio.create_task(trade(desk, key)) for desk, key in zip(desks, keys, strict=True)]

        async def busy() -> bool:
            return await opened(platform) > USERS

        await wait_until(busy, "trading goes on", 30.0)
        admin = user_of(platform, "usr_admin", role="admin")
        body = {"reason": "drill", "close_all_positions": True, "notify_users": False}
        answer = await admin.api.post("/api/v1/admin/kill-switch", json=body)
        assert answer.status_code == 200
        at_answer = await opened(platform)
        await asyncio.sleep(0.5)
        stop.set()
        await asyncio.gather(*traders)
        for desk in desks:
            await desk.positions(0)
        assert await opened(platform) == at_answer
        storage = platform.deps("trading-engine").storage
        for desk in desks:
            assert (await desk.status())["status"] == "stopped"
            left = (await storage.find(Order, "by_user", (desk.user_id, True), limit=50)).items
            assert [order for order in left if order.side == "buy"] == []


async def test_nothing_opens_once_the_emergency_stop_has_answered(engine: Any, wait_until: Any) -> None:
    async with engine(NIJA_TRADING_POLL_MS="20", NIJA_TRADING_ALERTS_PER_MINUTE="100000") as desk:
        await desk.settle()
        key = await desk.webhook_key()
        for round_ in range(3):
            await desk.start()
            await desk.running()
            alerts = [desk.alert(key, "buy", alert_id=f"{round_}-{n}") for n in range(10)]
            sent = asyncio.gather(*alerts)
            await asyncio.sleep(0.004 * round_)
            answer = await desk.api.post("/api/v1/trading/emergency-stop", json={"close_positions": True})
            at_answer = await opened(desk.platform)
            assert answer.json()["data"]["positions_remaining"] == 0
            await sent
            await asyncio.sleep(0.1)
            assert await opened(desk.platform) == at_answer
            await desk.api.post("/api/v1/trading/emergency-reset")


class Hesitant:
    """A paper broker that lets a test act between an intent's commit and its sending."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.reached = asyncio.Event()
        self.go = asyncio.Event()

    async def submit(self, desk: Any, order: Any) -> Any:
        return await self.inner.submit(desk, order)

    async def look_up(self, desk: Any, order: Any) -> Any:
        self.reached.set()
        await self.go.wait()
        return await self.inner.look_up(desk, order)

    async def cash(self, desk: Any) -> Any:
        return await self.inner.cash(desk)


def hesitant_service(brokers: list[Hesitant]) -> Service:
    """Trading-engine on that broker."""

    @asynccontextmanager
    async def build_hesitant(settings: Any, platform: Any) -> Any:
        brokers.append(Hesitant(PaperBroker()))
        async with build(settings, platform, broker=brokers[-1]) as deps:
            yield deps

    return replace(SERVICE, build=build_hesitant)


async def test_an_entry_whose_bot_was_stopped_on_the_way_does_not_leave(
    tmp_path: Path, calm_candles: Path, user_of: Any, wait_until: Any
) -> None:
    brokers: list[Hesitant] = []
    env = {**QUICK, "NIJA_CANDLES": str(calm_candles)}
    service = hesitant_service(brokers)
    async with start_platform(tmp_path / "data", [service], clock=SystemClock(), env=env) as platform:
        desk = user_of(platform, "usr_a")
        await desk.settle()
        key = await desk.webhook_key()
        await desk.start()
        await desk.running()
        await desk.alert(key)
        await asyncio.wait_for(brokers[0].reached.wait(), 10)
        # The stop takes the account while the intent is with the broker; its process queue is the worker's own.
        work, storage = platform.deps("trading-engine").work, platform.deps("trading-engine").storage
        account = await storage.get(Account, desk.user_id)
        uow = work.open()
        uow.save(account.changed(status="stopped", stopped_by="user"))
        await work.commit(uow)
        brokers[0].go.set()

        async def cancelled() -> bool:
            return bool(await platform.emitted(TradeCancelled))

        await wait_until(cancelled, "the entry was taken back")
        assert [event.reason for event in await platform.emitted(TradeCancelled)] == ["not_running"]
        assert await opened(platform) == 0
        account = await storage.get(Account, desk.user_id)
        assert (account.reserved, account.orders, account.positions, account.active) == (0, 0, 0, False)


@pytest.mark.parametrize("seed", range(3))
async def test_two_entries_cannot_both_use_the_last_of_a_limit(
    tmp_path: Path, two_markets: Path, user_of: Any, wait_until: Any, seed: int
) -> None:
    env = {**QUICK, "NIJA_CANDLES": str(two_markets)}
    async with start_platform(tmp_path / "data", [SERVICE], clock=SystemClock(), env=env) as platform:
        desk = user_of(platform, "usr_a")
        await desk.settle(allowed_pairs=("BTC-USD", "ETH-USD"), max_concurrent_positions=1)
        key = await desk.webhook_key()
        await desk.start()
        await desk.running()
        answers = await asyncio.gather(*(desk.alert(key, symbol=symbol) for symbol in ("BTCUSD", "ETH/USD")))
        assert [answer.status_code for answer in answers] == [200, 200]

        async def decided() -> bool:
            return await opened(platform) + len(await platform.emitted(TradeCancelled)) == 2

        await wait_until(decided, "both alerts have an outcome")
        assert await opened(platform) == 1
        assert [event.reason for event in await platform.emitted(TradeCancelled)] == ["max_positions"]
        found = await platform.deps("trading-engine").storage.find(Position, "by_user", ("usr_a",), limit=5)
        assert len(found.items) == 1


async def test_a_worker_that_cannot_read_the_switch_opens_nothing(
    tmp_path: Path, calm_candles: Path, faults: Any, user_of: Any, wait_until: Any, another_worker: Any
) -> None:
    storages: list[Any] = []
    env = {**QUICK, "NIJA_CANDLES": str(calm_candles)}
    api = {"trading-engine": ["api"]}
    async with (
        start_platform(tmp_path / "data", [SERVICE], clock=SystemClock(), env=env, roles=api) as platform,
        another_worker(platform, faults.blind_service(storages), env),
    ):
        desk = user_of(platform, "usr_a")
        await desk.settle()
        key = await desk.webhook_key()
        await desk.start()
        await desk.running()
        storages[0].blind = True
        assert (await desk.alert(key)).status_code == 200
        before = storages[0].refused

        async def tried() -> bool:
            return bool(storages[0].refused > before + 3)

        await wait_until(tried, "the worker has tried")
        assert await opened(platform) == 0
        storages[0].blind = False
        await desk.positions(1)
        assert await opened(platform) == 1


class JumpyClock(SystemClock):
    """Its monotonic time can be put on: a process that was held up."""

    def __init__(self) -> None:
        self.offset = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.offset


class SlowBroker(PaperBroker):
    """Takes a second for its first answer, by that clock."""

    def __init__(self, clock: JumpyClock) -> None:
        self.clock = clock
        self.asked = 0

    async def look_up(self, desk: Any, order: Any) -> Any:
        self.asked += 1
        if self.asked == 1:
            self.clock.offset += 1
        return await super().look_up(desk, order)


async def test_an_opening_order_that_was_held_up_leaves_only_after_the_switches_are_read_again(
    tmp_path: Path, calm_candles: Path, user_of: Any
) -> None:
    clock = JumpyClock()
    broker = SlowBroker(clock)

    @asynccontextmanager
    async def build_slow(settings: Any, platform: Any) -> AsyncIterator[Any]:
        async with build(settings, platform, broker=broker) as deps:
            yield deps

    env = {**QUICK, "NIJA_CANDLES": str(calm_candles), "NIJA_SPEED": "0.001"}
    async with start_platform(
        tmp_path / "data", [replace(SERVICE, build=build_slow)], clock=clock, env=env
    ) as platform:
        desk = user_of(platform, "usr_a")
        await desk.settle()
        key = await desk.webhook_key()
        await desk.start()
        await desk.running()
        await desk.alert(key)
        await desk.positions(1)
        assert broker.asked == 2
        assert await opened(platform) == 1
