"""Live data as users meet it: starts that wait, markets that do not exist, quotes, looks, what is read how often."""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from nija_common.events.trading import MarketMarked
from nija_common.testing import start_platform
from nija_common.testing.exchange import Fault, FaultKind, Quote
from nija_common.values.times import iso
from nija_trading.domain.records import Trade

SEEDS = {"BTC-USD": 6690}
DOWN = Fault(FaultKind.STATUS, status=503)
MARKET_COST = 0.0005


@pytest.fixture
def begun(tmp_path: Path, live: Any, random_market: Any, user_of: Any) -> Any:
    """`async with begun(...) as (market, desk)`: BTC on a fake exchange, a user who may start a bot."""

    @asynccontextmanager
    async def begin(*, pairs: tuple[str, ...] = ("BTC-USD",), seeds: dict[str, int] = SEEDS) -> Any:
        with live.trading(random_market, seeds, 12) as market:
            data = tmp_path / "data"
            async with start_platform(data, [market.service()], clock=market.clock, env=market.env) as platform:
                desk = user_of(platform, "usr_a")
                await desk.settle(allowed_pairs=pairs)
                yield market, desk

    return begin


async def test_a_start_waits_for_the_exchange_and_goes_on_when_it_is_there(begun: Any, wait_until: Any) -> None:
    async with begun() as (market, desk):
        market.exchange.will_fail("/", always=DOWN)
        await desk.start()

        async def told() -> bool:
            return "coinbase cannot be reached" in str((await desk.status())["last_error"])

        await wait_until(told, "the status says why it waits")
        assert (await desk.status())["status"] == "starting"
        stopped = await desk.api.post("/api/v1/trading/stop", json={})
        assert stopped.status_code == 200
        assert (await desk.status())["status"] == "stopped"
        await desk.start()
        market.exchange.heal()
        market.clock.advance(60)
        await desk.running()

        async def well() -> bool:
            return (await desk.status())["last_error"] is None

        await wait_until(well, "nothing is wrong any more")


async def test_a_market_that_the_exchange_does_not_have_is_named_and_the_others_trade(
    begun: Any, live: Any, wait_until: Any
) -> None:
    async with begun(pairs=("BTC-USD", "ABC-USD")) as (market, desk):
        await desk.start(strategy="APEX_V72", risk_profile="high")
        await desk.running()
        deps = desk.platform.deps("trading-engine")
        for index in (live.HISTORY, live.HISTORY + 1):
            await market.now_is(index, 3.5)
            await market.until_step(deps, "usr_a", index)
        await desk.positions(1)
        assert "ABC-USD is not traded at coinbase" in (await desk.status())["last_error"]


async def test_kraken_trades_like_the_plain_runner_by_its_own_names(begun: Any, live: Any, wait_until: Any) -> None:
    async with begun() as (market, desk):
        await desk.start(strategy="APEX_V72", risk_profile="high", broker="kraken")
        await desk.running()
        deps = desk.platform.deps("trading-engine")
        last = live.HISTORY + 4
        for index in range(live.HISTORY, last + 1):
            await market.now_is(index, 3.5)
            await market.until_step(deps, "usr_a", index)
        expected = market.simulated(last, broker="kraken").trades
        trades = (await deps.storage.find(Trade, "by_user", ("usr_a", "closed"), limit=50)).items
        assert (
            [[fill["price"] for fill in trade.fills] for trade in trades]
            == [[fill.price for fill in trade.fills] for trade in expected]
            != []
        )


async def test_a_wide_spread_opens_nothing(begun: Any, live: Any) -> None:
    async with begun() as (market, desk):
        market.exchange.quotes["BTC-USD"] = Quote("99.9", "100.1", "100")
        await desk.start(strategy="APEX_V72", risk_profile="high")
        await desk.running()
        deps = desk.platform.deps("trading-engine")
        for index in range(live.HISTORY, live.HISTORY + 3):
            await market.now_is(index, 3.5)
            await market.until_step(deps, "usr_a", index)
        assert market.simulated(live.HISTORY + 2).open_trades, "without a quote there is an entry"
        assert (await desk.status())["active_positions"] == 0
        assert market.exchange.calls_to("/ticker"), "the spread was looked at"


async def test_orders_between_closes_fill_at_a_fresh_quote_else_at_the_last_close(
    begun: Any, live: Any, wait_until: Any
) -> None:
    async with begun() as (market, desk):
        key = await desk.webhook_key()
        await desk.start()
        await desk.running()
        await market.now_is(live.HISTORY, 60)
        await market.until_step(desk.platform.deps("trading-engine"), "usr_a", live.HISTORY)
        market.exchange.quotes["BTC-USD"] = Quote("98.99", "99.01", "99")
        market.clock.advance(15)  # what was read at the close is too old by now
        await desk.alert(key)
        await desk.positions(1)
        market.exchange.will_fail("/ticker", always=DOWN)
        market.clock.advance(20)
        await desk.alert(key, action="close")
        await desk.positions(0)
        trades = (await desk.platform.deps("trading-engine").storage.find(Trade, "by_user", ("usr_a",), limit=5)).items
        bought, sold = (fill["price"] for fill in trades[0].fills)
        close = market.rows["BTC-USD"][live.HISTORY][4]
        assert bought == pytest.approx(99 * (1 + MARKET_COST))
        assert sold == pytest.approx(close * (1 - MARKET_COST))


async def test_a_look_between_two_closes_tells_prices_and_opens_nothing(begun: Any, live: Any, wait_until: Any) -> None:
    async with begun() as (market, desk):
        await desk.start(strategy="APEX_V72", risk_profile="high")
        await desk.running()
        index = live.HISTORY + 1
        deps = desk.platform.deps("trading-engine")
        await market.now_is(index, 3.5)
        await market.until_step(deps, "usr_a", index)
        at_close = await desk.status()
        assert at_close["last_scan"] == iso(market.clock.now_ms())
        assert at_close["next_scan"] == iso(market.step_ms(index) + 150_000)
        market.exchange.quotes["BTC-USD"] = Quote("89.99", "90.01", "90")
        await market.now_is(index, 151)

        async def looked() -> bool:
            return bool((await desk.status())["last_scan"] == iso(market.clock.now_ms()))

        await wait_until(looked, "the look")

        async def marked() -> bool:
            return 90.0 in [event.price for event in await desk.platform.emitted(MarketMarked)]

        await wait_until(marked, "its price is told")
        status = await desk.status()
        assert status["next_scan"] == iso(market.step_ms(index + 1))
        assert status["active_positions"] == at_close["active_positions"] == 1


async def test_a_market_is_read_once_however_many_bots_look_at_it(
    begun: Any, live: Any, user_of: Any, settle_users: Any
) -> None:
    async with begun() as (market, desk):
        others = [user_of(desk.platform, f"usr_{n}") for n in range(6)]
        await settle_users(others, allowed_pairs=("BTC-USD",))
        for each in (desk, *others):
            await each.start(strategy="APEX_V72", risk_profile="high")
            await each.running()
        before = len(market.exchange.calls_to("/candles"))
        await market.now_is(live.HISTORY, 3.5)
        deps = desk.platform.deps("trading-engine")
        for each in (desk, *others):
            await market.until_step(deps, each.user_id, live.HISTORY)
        assert len(market.exchange.calls_to("/candles")) == before + 1


async def test_an_answer_that_cannot_be_right_is_none(begun: Any, live: Any, wait_until: Any) -> None:
    async with begun() as (market, desk):
        await desk.start(strategy="APEX_V72", risk_profile="high")
        await desk.running()
        market.exchange.will_fail("/candles", always=Fault(FaultKind.GARBAGE))
        await market.now_is(live.HISTORY, 12)
        deps = desk.platform.deps("trading-engine")
        await market.until_step(deps, "usr_a", live.HISTORY, behind=True)

        async def told() -> bool:
            return "coinbase cannot be reached" in str((await desk.status())["last_error"])

        await wait_until(told, "the status says so")
        market.exchange.heal()
        market.clock.advance(60)
        await market.until_step(deps, "usr_a", live.HISTORY)
