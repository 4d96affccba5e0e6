"""Live candles make the trades of the plain runner over the same candles, whatever happens on the way."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from nija_common.testing import start_platform
from nija_common.testing.exchange import Fault, FaultKind
from nija_trading.adapters.live_venue import PUBLISH_S
from nija_trading.domain.records import Trade

SEEDS = {"BTC-USD": 6690, "ETH-USD": 6691}
PAIRS = tuple(SEEDS)
GAP, LATE = 7, 4
"""Candles (live ones, from 0): one in which nobody traded BTC, one with an entry of which the exchange tells late."""


async def begun(desk: Any) -> None:
    await desk.settle(allowed_pairs=PAIRS)
    await desk.start(strategy="APEX_V72", risk_profile="high")
    await desk.running()


async def test_two_symbols_a_late_candle_and_a_gap(
    tmp_path: Path, live: Any, random_market: Any, user_of: Any, check_trades: Any, wait_until: Any
) -> None:
    first, last = live.HISTORY, live.HISTORY + 16
    with live.trading(random_market, SEEDS, 18, missing={"BTC-USD": {first + GAP}}) as market:
        late = market.forget("BTC-USD", first + LATE)
        async with start_platform(
            tmp_path / "data", [market.service()], clock=market.clock, env=market.env
        ) as platform:
            desk = user_of(platform, "usr_a")
            await begun(desk)
            deps = platform.deps("trading-engine")
            for index in range(first, last + 1):
                await market.now_is(index, 3.5)
                if index == first + LATE:
                    await wait_until(partial(asked, deps, market, index), "the exchange has answered for both")
                    assert await market.step_of(deps, "usr_a") == market.step_ms(index - 1)
                    market.exchange.add_candles("BTC-USD", 300, [late])
                    await market.now_is(index, 6)
                if index == first + GAP:
                    await market.now_is(index, 10)
                await market.until_step(deps, "usr_a", index)
            expected = market.simulated(last)
            entries = [trade.position.opened_ms for trade in expected.trades if trade.position.symbol == "BTC-USD"]
            assert market.step_ms(first + LATE) in entries, "the late candle opens a position"
            assert len(expected.trades) == 3
            await check_trades(desk, expected)


async def test_a_bot_at_rest_goes_through_the_step_that_an_outage_kept_from_it(
    tmp_path: Path, live: Any, random_market: Any, user_of: Any, check_trades: Any
) -> None:
    first, last = live.HISTORY, live.HISTORY + 12
    with live.trading(random_market, SEEDS, 14) as market:
        async with start_platform(
            tmp_path / "data", [market.service()], clock=market.clock, env=market.env
        ) as platform:
            desk, deps = user_of(platform, "usr_a"), platform.deps("trading-engine")
            await begun(desk)
            for index in range(first, last + 1):
                away = index == first + LATE
                if away:
                    market.exchange.will_fail("/candles", always=Fault(FaultKind.STATUS, status=503))
                await market.now_is(index, 12 if away else 3.5)
                await market.until_step(deps, "usr_a", index, behind=away)
                if away:
                    market.exchange.heal()
                    await market.now_is(index, 45)
                    await market.until_step(deps, "usr_a", index)
            expected = market.simulated(last)
            opened = [trade.position.opened_ms for trade in (*expected.trades, *expected.open_trades)]
            assert market.step_ms(first + LATE) in opened, "the awaited candle opens a position"
            await check_trades(desk, expected)


async def asked(deps: Any, market: Any, index: int) -> bool:
    """Whether every feed has heard of its exchange since a candle's close."""
    feeds = [each.feed for each in deps.market.venues["coinbase"].markets.values()]
    return all(feed.heard_ms >= market.step_ms(index) for feed in feeds)


async def test_a_kill_and_an_outage_change_no_exit_and_open_nothing_on_old_candles(
    tmp_path: Path, live: Any, random_market: Any, user_of: Any, check_trades: Any, wait_until: Any, faults: Any
) -> None:
    first, last = live.HISTORY, live.HISTORY + 50
    killed, back, away, again = first + 9, first + 22, first + 31, first + 37
    with live.trading(random_market, SEEDS, 52) as market:
        storages: list[Any] = []
        dying = faults.dying(market.service(), storages)
        try:
            async with start_platform(tmp_path / "data", [dying], clock=market.clock, env=market.env) as platform:
                desk = user_of(platform, "usr_a")
                await begun(desk)
                for index in range(first, killed + 1):
                    await market.now_is(index, 3.5)
                    await market.until_step(platform.deps("trading-engine"), "usr_a", index)
                storages[0].dead = True
                await market.now_is(back, 3.5)
        except* faults.Killed:
            pass
        async with start_platform(
            tmp_path / "data", [market.service()], clock=market.clock, env=market.env
        ) as platform:
            desk, deps = user_of(platform, "usr_a"), platform.deps("trading-engine")
            for index in range(back, away):
                await market.now_is(index, 12)
                await market.until_step(deps, "usr_a", index)
            market.exchange.will_fail("/candles", Fault(FaultKind.DROP), always=Fault(FaultKind.STATUS, status=503))
            for index in range(away, again):
                await market.now_is(index, 12)
                await market.until_step(deps, "usr_a", index, behind=True)
            status = await desk.status()
            assert status["status"] == "running"
            assert "coinbase cannot be reached" in status["last_error"]
            market.exchange.heal()
            slow = Fault(FaultKind.DELAY, delay_s=PUBLISH_S + 0.3)
            market.exchange.will_fail("ETH-USD/candles", slow)  # what comes first must not run ahead of the other
            await market.now_is(again, 45)
            await market.until_step(deps, "usr_a", again)
            await wait_until(partial(well, desk), "nothing is wrong any more")
            for index in range(again + 1, last + 1):
                await market.now_is(index, 3.5)
                await market.until_step(deps, "usr_a", index)
            expected = market.simulated(last)
            assert exits_between(market, expected, killed, back) and exits_between(market, expected, away, again)
            await check_trades(desk, expected)
            assert len(expected.trades) == len((await deps.storage.find(Trade, "by_user", ("usr_a",), limit=50)).items)


async def well(desk: Any) -> bool:
    return (await desk.status())["last_error"] is None


def exits_between(market: Any, expected: Any, after: int, until: int) -> bool:
    times = [fill.market_time for trade in expected.trades for fill in trade.exits]
    return any(market.step_ms(after) <= time < market.step_ms(until) for time in times)
