"""A balance that no fill explains: more than half trips the user's kill switch, less is adopted, nothing is closed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nija_common.errors import unavailable
from nija_common.events.deliveries import AuditRecorded
from nija_common.events.trading import BalanceRead, KillSwitchSnapshot, TradeCancelled, TradeClosed, TradeOpened
from nija_common.runtime.manifest import Service
from nija_common.storage.port import Commit
from nija_common.telemetry import metrics
from nija_common.testing import start_platform
from nija_common.values.clock import SystemClock
from nija_common.values.ids import new_id
from nija_common.values.money import text_of
from nija_trading.adapters.paper_broker import PaperBroker
from nija_trading.domain.account import Account
from nija_trading.domain.commands import Command
from nija_trading.domain.records import PaperAccount
from nija_trading.service import SERVICE
from nija_trading.wiring import build

ONE = 100_000_000
KEY = "paper/coinbase"


class Runs:
    """One folder on which process follows process."""

    def __init__(self, folder: Path, candles: Path, user_of: Any) -> None:
        self.folder = folder
        self.env = {
            "NIJA_MARKET": "replay",
            "NIJA_CANDLES": str(candles),
            "NIJA_SPEED": "0.001",
            "NIJA_TRADING_POLL_MS": "20",
        }
        self.user_of = user_of
        self.clock = SystemClock()

    @asynccontextmanager
    async def process(self, broker: PaperBroker | None = None, roles: Any = None) -> AsyncIterator[Any]:
        services = [service_on(broker or PaperBroker())]
        async with start_platform(self.folder, services, clock=self.clock, env=self.env, roles=roles) as platform:
            yield self.user_of(platform, "usr_a")

    async def a_bot_with_a_position(self) -> str:
        """The first process; the user's webhook key."""
        async with self.process() as desk:
            await desk.settle()
            key = await desk.webhook_key()
            await desk.start()
            await desk.running()
            await desk.alert(key, alert_id="first")
            await desk.positions(1)
        return str(key)

    async def with_cash(self, cash: int, *, expected: bool = True) -> int:
        """Changes the paper book while no worker looks on; answers what was there. `expected` False: as an account that
        was written before its cash was kept."""
        async with self.process(roles={"trading-engine": ["api"]}) as desk:
            storage = desk.platform.node.running["trading-engine"].storage
            paper = await storage.get(PaperAccount, f"{desk.user_id}/coinbase")
            saves = [paper.model_copy(update={"book": {**paper.book, "cash": cash}})]
            if not expected:
                account = await storage.get(Account, desk.user_id)
                saves.append(account.with_ledger(account.ledgers[KEY].model_copy(update={"cash": None})))
            await storage.commit(Commit(id=new_id("cmt"), saves=saves))
            return int(paper.book["cash"])


def service_on(broker: PaperBroker) -> Service:
    """Trading-engine on that broker."""

    @asynccontextmanager
    async def build_on(settings: Any, platform: Any) -> AsyncIterator[Any]:
        async with build(settings, platform, broker=broker) as deps:
            yield deps

    return replace(SERVICE, build=build_on)


@pytest.fixture
def runs(tmp_path: Path, calm_candles: Path, user_of: Any) -> Runs:
    return Runs(tmp_path / "data", calm_candles, user_of)


async def stored(desk: Any) -> Account:
    found = await desk.platform.deps("trading-engine").storage.get(Account, desk.user_id)
    assert isinstance(found, Account)
    return found


async def taken_over(desk: Any, wait_until: Any, epoch: int) -> None:
    """Waits until this process has read the account, and obeyed what that left."""
    storage = desk.platform.node.running["trading-engine"].storage

    async def there() -> bool:
        return (await stored(desk)).epoch > epoch and not await storage.count(Command, "by_shard", ())

    await wait_until(there, "the take-over")


def differences(outcome: str) -> float:
    return float(metrics.BALANCE_DIFFERENCES.labels("coinbase", "paper", outcome)._value.get())


async def test_a_lost_balance_trips_the_users_switch_and_a_reset_goes_on(runs: Runs, wait_until: Any) -> None:
    key = await runs.a_bot_with_a_position()
    left = 3_000 * ONE
    before = await runs.with_cash(left)
    async with runs.process() as desk:

        async def tripped() -> bool:
            return (await stored(desk)).kill is not None

        await wait_until(tripped, "the latch")
        status = await desk.status()
        assert (status["status"], status["active_positions"]) == ("stopped", 1)
        for amount in (before, left):
            assert f"{text_of(amount)} USD" in status["last_error"]
        refused = await desk.start()
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "KILL_SWITCH_ACTIVE")
        assert f"{text_of(left)} USD" in refused.json()["error"]["message"]
        (snapshot,) = await desk.platform.emitted(KillSwitchSnapshot)
        assert (snapshot.scope, snapshot.active, snapshot.by) == (desk.user_id, True, "protection")
        assert not snapshot.close_positions
        told = [row for row in await desk.platform.emitted(AuditRecorded) if row.event_type == "balance_unexplained"]
        assert [(row.user_id, row.actor) for row in told] == [(desk.user_id, "protection")]
        assert (await desk.platform.emitted(BalanceRead))[-1].cash == text_of(left)
        assert await desk.platform.emitted(TradeClosed) == []

        assert (await desk.api.post("/api/v1/trading/emergency-reset", json={"confirm": True})).status_code == 200
        assert (await desk.start()).status_code == 200
        await desk.running()
        await desk.alert(key, "close", alert_id="closes")
        await desk.positions(0)
        await desk.alert(key, alert_id="second")
        await desk.positions(1)
        epoch = (await stored(desk)).epoch
    async with runs.process() as desk:
        await taken_over(desk, wait_until, epoch)
        assert (await desk.status())["status"] == "running"
        account = await stored(desk)
        paper = await desk.platform.deps("trading-engine").storage.get(PaperAccount, f"{desk.user_id}/coinbase")
        assert (account.kill, account.ledgers[KEY].cash) == (None, paper.book["cash"])


@pytest.mark.parametrize(("share", "known"), [(0.6, True), (1.4, True), (0.1, False)])
async def test_a_smaller_difference_and_a_first_reading_are_adopted(
    runs: Runs, wait_until: Any, share: float, known: bool
) -> None:
    await runs.a_bot_with_a_position()
    cash = round(9_500 * ONE * share)
    before = await runs.with_cash(cash, expected=known)
    assert before > 9_000 * ONE
    counted = differences("adopted")
    async with runs.process() as desk:

        async def compared() -> bool:
            return (await stored(desk)).ledgers[KEY].cash == cash

        await wait_until(compared, "the reading")
        account = await stored(desk)
        assert (account.kill, account.status, account.positions) == (None, "running", 1)
        assert await desk.platform.emitted(KillSwitchSnapshot) == []
        assert differences("adopted") - counted == int(known)


class Unreachable(PaperBroker):
    """Takes no order and tells no balance."""

    async def submit(self, desk: Any, order: Any) -> Any:
        raise unavailable("The broker cannot be reached.")

    async def cash(self, desk: Any) -> int | None:
        raise unavailable("The broker cannot be reached.")


async def test_an_entry_that_had_not_left_is_taken_back(runs: Runs, wait_until: Any) -> None:
    async with runs.process(Unreachable()) as desk:
        await desk.settle()
        key = await desk.webhook_key()
        await desk.start()
        await desk.running()
        await desk.alert(key)

        async def intended() -> bool:
            return (await stored(desk)).orders == 1

        await wait_until(intended, "the intent")
    await runs.with_cash(100 * ONE)
    async with runs.process() as desk:

        async def cancelled() -> bool:
            return [event.reason for event in await desk.platform.emitted(TradeCancelled)] == ["kill_switch"]

        await wait_until(cancelled, "the entry taken back")
        assert await desk.platform.emitted(TradeOpened) == []
        assert ((await stored(desk)).orders, (await desk.status())["status"]) == (0, "stopped")


async def test_a_balance_that_cannot_be_read_keeps_nobody_from_guarding_positions(runs: Runs, wait_until: Any) -> None:
    await runs.a_bot_with_a_position()

    class Mute(PaperBroker):
        async def cash(self, desk: Any) -> int | None:
            raise unavailable("The broker does not say.")

    async with runs.process(roles={"trading-engine": ["api"]}) as desk:
        epoch = (await stored(desk)).epoch
    async with runs.process(Mute()) as desk:
        await taken_over(desk, wait_until, epoch)
        assert (await desk.status())["status"] == "running"
        position = (await desk.platform.deps("trading-engine").store.positions(desk.user_id))[0]
        assert (await desk.api.post(f"/api/v1/trading/positions/{position.id}/close")).status_code == 200
        await desk.positions(0)


async def test_what_the_broker_says_is_compared_not_what_the_book_says(runs: Runs, wait_until: Any) -> None:
    await runs.a_bot_with_a_position()

    class Emptied(PaperBroker):
        async def cash(self, desk: Any) -> int | None:
            return 0

    async with runs.process(Emptied()) as desk:

        async def tripped() -> bool:
            return (await stored(desk)).kill is not None

        await wait_until(tripped, "the latch")
        paper = await desk.platform.deps("trading-engine").storage.get(PaperAccount, f"{desk.user_id}/coinbase")
        assert (paper.book["cash"], (await stored(desk)).ledgers[KEY].cash) == (0, 0)
