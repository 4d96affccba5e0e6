"""The runner: no look-ahead, the feed's ends, several symbols, and money that adds up."""

from __future__ import annotations

import random
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nija_trading.adapters.candle_files import bundled_folder, load_folder
from nija_trading.domain.apex.parameters import PROFILES, Limits, Parameters, RiskLevel
from nija_trading.domain.apex.simulate import Simulation, simulate
from nija_trading.domain.apex.step import Rulebook
from nija_trading.domain.market.candles import Candles
from nija_trading.domain.matching.money import units
from nija_trading.domain.matching.orders import Side
from nija_trading.domain.matching.terms import COINBASE

HOUR = 3_600_000
RULES = Rulebook(Parameters(), PROFILES[RiskLevel.HIGH], Limits(), COINBASE)


def run(*feeds: list[Any], rules: Rulebook = RULES) -> Simulation:
    candles = {f"S{n}-USD": Candles.of(HOUR, rows) for n, rows in enumerate(feeds)}
    return simulate(candles, rules, units(10_000))


def fills_until(found: Simulation, time_ms: int) -> list[Any]:
    """Everything filled in candles that opened at or before a time, in a fixed order."""
    trades = (*found.trades, *found.open_trades)
    fills = [fill for trade in trades for fill in trade.fills if fill.market_time <= time_ms]
    return sorted(fills, key=lambda fill: (fill.market_time, fill.order_id))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), cut=st.integers(100, 399))
def test_candles_after_a_close_never_change_a_decision_at_it(markets: ModuleType, seed: int, cut: int) -> None:
    rows = markets.market(seed, 400, HOUR)
    other = [(row[0] + 7 * HOUR, *(value * 1.3 for value in row[1:5]), row[5] * 3) for row in rows[cut + 1 :]]
    one, two, short = run(rows), run(rows[: cut + 1] + other), run(rows[: cut + 1])
    last = rows[cut][0]
    assert fills_until(one, last) == fills_until(two, last) == fills_until(short, last)
    known = cut + 1 - 99
    assert one.equity[:known] == two.equity[:known] == short.equity
    decided = [refusal for refusal in one.refusals if refusal[0] <= last + HOUR]
    assert decided == list(short.refusals)
    waiting = {order.order_id for order in short.book.orders}
    sent = {fill.order_id for fill in fills_until(one, 10**18) if f"-{last + HOUR}-" in fill.order_id}
    market = {order_id for order_id in sent if order_id.endswith(("-buy", "-sell"))}
    assert market <= waiting, "what the next open fills was known at the close"


def test_the_hundredth_candle_is_the_first_to_decide(markets: ModuleType) -> None:
    rows = markets.market(7, 300, HOUR)
    found = run(rows)
    assert found.equity[0][0] == rows[99][0] + HOUR
    assert len(found.equity) == 201
    assert min(fill.market_time for fill in fills_until(found, 10**18)) > rows[99][0]
    assert run(rows[:99]).equity == ()


def test_what_is_open_at_the_end_stands_apart_and_an_order_of_the_last_close_is_not_filled(
    markets: ModuleType,
) -> None:
    seen_open = seen_waiting = False
    for seed in range(60):
        rows = markets.market(seed, 220, HOUR)
        found = run(rows)
        seen_open |= bool(found.open_trades)
        seen_waiting |= any(order.side is Side.BUY for order in found.book.orders)
        assert {trade.position.symbol for trade in found.open_trades} == set(found.book.holdings)
        assert all(trade.position.is_open for trade in found.open_trades)
        assert not any(trade.position.is_open for trade in found.trades)
    assert seen_open
    assert seen_waiting


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 3))
def test_cash_positions_and_profits_add_up_to_the_unit(markets: ModuleType, seed: int, count: int) -> None:
    found = run(*(markets.market(seed + n, 300 + n, HOUR) for n in range(count)))
    fills = fills_until(found, 10**18)
    flow = sum((f.value - f.fee) if f.side is Side.SELL else -(f.value + f.fee) for f in fills)
    assert found.book.cash == units(10_000) + flow
    closed = sum(trade.position.realized_pnl for trade in found.trades)
    still = sum(t.position.proceeds - t.position.cost - t.position.fees for t in found.open_trades)
    assert found.book.cash == units(10_000) + closed + still
    for trade in found.open_trades:
        assert found.book.holdings[trade.position.symbol].quantity == trade.position.quantity
        stop = found.book.holdings[trade.position.symbol].stop
        assert stop is not None
        assert stop.price == trade.position.stop, "the book and the position know the same stop"
        levels = found.book.holdings[trade.position.symbol].levels
        assert len(levels) == 4 - trade.position.levels_done
    assert found.orders == len(fills)
    assert len({fill.order_id for fill in fills}) == len(fills), "an order fills once"


def test_a_run_is_the_same_every_time_and_whatever_the_order_of_the_feeds(markets: ModuleType) -> None:
    feeds = {f"S{n}-USD": Candles.of(HOUR, markets.market(n, 400, HOUR)) for n in range(3)}
    pairs = list(feeds)
    first = simulate(feeds, RULES, units(10_000), pairs)
    shuffled = dict(random.Random(1).sample(sorted(feeds.items()), 3))
    assert simulate(shuffled, RULES, units(10_000), pairs) == first


def test_the_bundled_candles_trade() -> None:
    feeds = load_folder(bundled_folder())
    part = {symbol: candles.slice(0, 3000) for symbol, candles in feeds.items()}
    found = simulate(part, Rulebook(Parameters(), PROFILES[RiskLevel.MEDIUM], Limits(), COINBASE), units(10_000))
    assert len(found.trades) > 10
    assert {trade.position.symbol for trade in found.trades} == {"BTC-USD"}


def test_no_candles_are_refused() -> None:
    with pytest.raises(ValueError, match="one timeframe"):
        simulate({}, RULES, units(1))
