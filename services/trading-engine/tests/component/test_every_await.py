"""Promise 5: `kill -9` at any await of an order's path neither doubles nor loses it.

One order is followed from its request to its outcome: the request and what it stores, the wake-up, the look that finds
the command, the intent, the broker, the outcome. An uninterrupted run names every await on the way (`faults.Life`);
then each of them, in a run of its own, is the last thing that the process does, and another process goes on.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from nija_common.events.trading import PositionClosed, PositionOpened, TradeAccepted, TradeClosed, TradeOpened
from nija_common.runtime.manifest import Service
from nija_common.testing import start_platform
from nija_common.values.clock import ManualClock
from nija_trading.adapters.paper_broker import PaperBroker
from nija_trading.domain.commands import Command
from nija_trading.domain.matching.book import PaperBook
from nija_trading.domain.records import PAPER_CASH, Order, PaperAccount, Position, Trade
from nija_trading.service import SERVICE
from nija_trading.wiring import build

STORY = "the-story-of-an-order"
SYMBOL = "BTC-USD"
AT_ONCE = 4
LEASE_S = 11.0


class Venue(PaperBroker):
    """Keeps what it was sent, as an exchange does, whoever sent it and whatever became of the sender."""

    def __init__(self, before: Venue | None = None) -> None:
        self.sent: dict[str, list[Any]] = {} if before is None else dict(before.sent)

    async def submit(self, desk: Any, order: Any) -> Any:
        reply = await super().submit(desk, order)
        self.sent.setdefault(order.id, []).append(reply)
        return reply

    async def look_up(self, desk: Any, order: Any) -> Any:
        known = self.sent.get(order.id)
        return await super().look_up(desk, order) if known is None else known[0]


def service_on(broker: PaperBroker) -> Service:
    """Trading-engine as another process at the same broker."""

    @asynccontextmanager
    async def build_on(settings: Any, platform: Any) -> AsyncIterator[Any]:
        async with build(settings, platform, broker=broker) as deps:
            yield deps

    return replace(SERVICE, build=build_on)


@dataclass(frozen=True, slots=True)
class Case:
    """A request that makes an order, on a folder in which everything before it has happened."""

    name: str
    opens: bool
    ask: Callable[[Any, str], Awaitable[Any]]


async def buy(desk: Any, key: str) -> Any:
    return await by_alert(desk, key, "buy")


async def sell(desk: Any, key: str) -> Any:
    return await by_alert(desk, key, "sell")


async def by_alert(desk: Any, key: str, action: str) -> Any:
    body = {"symbol": "BTCUSD", "action": action, "api_key": key, "alert_id": f"alert-{action}"}
    client = desk.platform.client("trading-engine")
    return await client.post("/api/v1/webhooks/tradingview", json=body, headers={"X-Request-ID": STORY})


async def by_hand(desk: Any, key: str) -> Any:
    trade = await the_trade(desk)
    path = f"/api/v1/trading/positions/{trade.position_id}/close"
    return await desk.api.post(path, headers={"X-Request-ID": STORY})


CASES = [Case("buy alert", True, buy), Case("sell alert", False, sell), Case("close by hand", False, by_hand)]


@dataclass(frozen=True, slots=True)
class Before:
    """What every run of a case begins with: a folder, its broker, the user's webhook key."""

    folder: Path
    venue: Venue
    key: str


class Runs:
    """A case, run again and again on copies of what came before it."""

    def __init__(self, case: Case, folder: Path, candles: Path, faults: Any, user_of: Any, wait_until: Any) -> None:
        self.case = case
        self.folder = folder
        self.env = {"NIJA_MARKET": "replay", "NIJA_SPEED": "1", "NIJA_CANDLES": str(candles)}
        self.faults = faults
        self.user_of = user_of
        self.wait_until = wait_until

    @asynccontextmanager
    async def process(self, folder: Path, service: Service, number: int) -> AsyncIterator[Any]:
        """A process whose predecessor's leases have run out. Time stands still in it: nothing happens but the story."""
        clock = ManualClock()
        clock.advance(number * LEASE_S)
        async with start_platform(folder, [service], clock=clock, env=self.env) as platform:
            yield self.user_of(platform, "usr_a")

    async def prepared(self) -> Before:
        """A bot that is stopped between two steps; with a position where the case closes one."""
        folder, venue = self.folder / "before", Venue()
        async with self.process(folder, service_on(venue), 0) as desk:
            await desk.settle()
            key = await desk.webhook_key()
            await desk.start()
            await desk.running()
            if not self.case.opens:
                await desk.alert(key, alert_id="before")
                await desk.positions(1)
            store = desk.platform.deps("trading-engine").store
            shard = (await store.account(desk.user_id)).shard

            async def stepped() -> bool:
                return (await store.shard(shard)).step_ms is not None

            await self.wait_until(stepped, "the step that is due")
            assert (await desk.api.post("/api/v1/trading/stop")).status_code == 200
        return Before(folder, venue, key)

    async def run(self, before: Before, ends: str | None) -> list[str]:
        """The story up to `ends`, then another process. Answers the names of the awaits that there were."""
        folder = self.folder / f"run {ends}".replace("/", " ")
        await asyncio.to_thread(shutil.copytree, before.folder, folder)
        life, venue = self.faults.Life(STORY, ends), Venue(before.venue)
        acknowledged = False
        try:
            async with self.process(folder, self.faults.living_service(life, venue), 1) as desk:
                assert (await desk.start()).status_code == 200
                await desk.running()
                answer = await self.case.ask(desk, before.key)
                acknowledged = answer.status_code == 200
                assert acknowledged or life.dead
                await self.wait_until(lambda: self.over(desk, life), "the outcome, or the end of the process")
        except* self.faults.Killed:
            assert life.dead
        assert life.dead == (ends is not None)
        async with self.process(folder, service_on(venue), 2) as desk:
            if not acknowledged:
                answer = await self.case.ask(desk, before.key)
                assert answer.status_code == 200 or (self.case.ask is by_hand and answer.status_code == 404)
            await self.wait_until(lambda: self.over(desk, None), "the outcome")
            await check(desk, venue, self.case)
        await asyncio.to_thread(shutil.rmtree, folder)
        return list(life.path)

    async def over(self, desk: Any, life: Any) -> bool:
        """Whether the process is dead, or the order is over and nothing of it is left to do."""
        if life is not None and life.dead:
            return True
        storage = desk.platform.node.running["trading-engine"].storage
        trades = (await storage.find(Trade, "by_user", (desk.user_id,), limit=10)).items
        waiting = await storage.count(Command, "by_shard", ())
        resting = await storage.count(Order, "by_user", (desk.user_id, True))
        wanted = "open" if self.case.opens else "closed"
        done = [trade.status for trade in trades] == [wanted] and not waiting and not resting
        return done and (life is None or life.path[-1].startswith("after store.commit"))


async def the_trade(desk: Any) -> Trade:
    """The one trade that there is."""
    storage = desk.platform.node.running["trading-engine"].storage
    (trade,) = (await storage.find(Trade, "by_user", (desk.user_id,), limit=10)).items
    assert isinstance(trade, Trade)
    return trade


async def check(desk: Any, venue: Venue, case: Case) -> None:
    """I1, I2, I6, I8, and the cash: one trade, one order for each of its sides, everything told once."""
    storage = desk.platform.node.running["trading-engine"].storage
    trade = await the_trade(desk)
    sides = ["buy"] if case.opens else ["buy", "sell"]
    orders = (await storage.find(Order, "by_user", (desk.user_id,), limit=10)).items
    assert sorted((order.side, order.state) for order in orders) == [(side, "filled") for side in sides]
    assert {order_id: len(times) for order_id, times in venue.sent.items()} == {order.id: 1 for order in orders}
    assert [fill["side"] for fill in trade.fills] == sides

    signs = [1 if fill["side"] == "buy" else -1 for fill in trade.fills]
    held = sum(sign * fill["quantity"] for sign, fill in zip(signs, trade.fills, strict=True))
    positions = (await storage.find(Position, "by_user", (desk.user_id,), limit=10)).items
    book = PaperBook.from_dict((await storage.get(PaperAccount, f"{desk.user_id}/coinbase")).book)
    assert sum(position.value.quantity for position in positions) == held
    assert sum(holding.quantity for holding in book.holdings.values()) == held
    paid = sum(sign * fill["value"] + fill["fee"] for sign, fill in zip(signs, trade.fills, strict=True))
    assert book.cash == PAPER_CASH - paid
    assert book.orders == ()

    account = await desk.platform.deps("trading-engine").store.account(desk.user_id)
    assert (account.status, account.positions, account.orders, account.reserved) == ("running", int(case.opens), 0, 0)
    told = {kind: len(await desk.platform.emitted(kind)) for kind in (TradeAccepted, TradeOpened, PositionOpened)}
    assert set(told.values()) == {1}
    for kind in (TradeClosed, PositionClosed):
        assert len(await desk.platform.emitted(kind)) == int(not case.opens)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_a_kill_at_any_await_of_an_order_neither_doubles_nor_loses_it(
    tmp_path: Path, calm_candles: Path, faults: Any, user_of: Any, wait_until: Any, case: Case
) -> None:
    runs = Runs(case, tmp_path, calm_candles, faults, user_of, wait_until)
    before = await runs.prepared()
    path = await runs.run(before, None)
    assert len(set(path)) == len(path) > 15
    assert [name for name in path if "commit" in name] == [
        f"{when} store.commit #{number}" for number in (1, 2, 3) for when in ("before", "after")
    ]
    assert {f"after broker.{call} #1" for call in ("look_up", "submit")} < set(path)
    slots = asyncio.Semaphore(AT_ONCE)

    async def killed(ends: str) -> None:
        async with slots:
            assert (await runs.run(before, ends))[-1] == ends

    await asyncio.gather(*(killed(ends) for ends in path))
