"""The fast backtest and the plain runner, which calls what the live worker calls, agree to the last unit."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nija_common.testing.long_run import LONG
from nija_trading.adapters.candle_files import bundled_folder, load_file
from nija_trading.domain.apex import features as features_module
from nija_trading.domain.apex.features import FEATURE_PARAMETERS, Features, feature_blocks, features
from nija_trading.domain.apex.parameters import PROFILES, Limits, Parameters, RiskLevel, Smoothing
from nija_trading.domain.apex.simulate import simulate
from nija_trading.domain.apex.step import Rulebook
from nija_trading.domain.backtest.apex_run import run_apex, run_grid
from nija_trading.domain.backtest.result import Result
from nija_trading.domain.market.candles import Candles, timeframe_ms
from nija_trading.domain.matching.money import units
from nija_trading.domain.matching.terms import COINBASE, FeeSchedule, MarketRules, Venue

CASH = units(10_000)
HOUR = timeframe_ms("1h")
CHEAP = Venue("cheap", FeeSchedule(0.001, 0.0008), MarketRules(minimum_cost=units("0.0001")))
RULES = Rulebook(Parameters(), PROFILES[RiskLevel.HIGH], Limits(), COINBASE)
BLOCKS = 10


@pytest.mark.parametrize("block", range(BLOCKS))
def test_random_markets_give_the_trades_of_the_plain_runner(
    block: int, literal: ModuleType, markets: ModuleType, scenarios: ModuleType
) -> None:
    exits = 0
    first = 1_000
    for seed in range(first + block, first + (2_000 if LONG else 110), BLOCKS):
        rows, chosen, level, timeframe = scenarios.mixed(literal, markets, seed)
        feeds, rules = scenarios.candles(rows, timeframe), scenarios.rulebook(chosen, level)
        fast, plain = run_apex(feeds, rules, CASH), simulate(feeds, rules, CASH)
        assert scenarios.told(fast) == scenarios.told_plainly(plain, CASH), f"seed {seed}"
        exits += sum(len(trade.exits) for trade in fast.trades)
    assert exits > 20, "markets without trades prove nothing"


FILES = (
    (("binance_BTC-USDT_1h",), RiskLevel.MEDIUM),
    (("bybit_BTCUSDT_5m", "bybit_ETHUSDT_5m", "bybit_SOLUSDT_5m"), RiskLevel.HIGH),
    (("bybit_SOLUSDT_1h", "bybit_BTCUSDT_1h", "bybit_ETHUSDT_1h"), RiskLevel.LOW),
    (("freqtrade_ETH_BTC_5m",), RiskLevel.HIGH),
    (("kraken_XBT-USDT_1m",), RiskLevel.MEDIUM),
    (("bittrex_XRP-BTC_1m",), RiskLevel.LOW),
)


@pytest.mark.parametrize(("names", "level"), FILES)
def test_real_candles_give_the_trades_of_the_plain_runner(
    names: tuple[str, ...], level: RiskLevel, scenarios: ModuleType, shared_folder: Path
) -> None:
    timeframe = names[0].rsplit("_", 1)[1]
    feeds = {name: load_file(shared_folder / "data" / f"{name}.csv.gz", timeframe) for name in names}
    levels, venues = ([level], [CHEAP]) if not LONG else (list(RiskLevel), [CHEAP, COINBASE])
    if not LONG:
        feeds = {name: candles.slice(0, 4_000) for name, candles in feeds.items()}
    trades = 0
    for chosen in levels:
        for venue in venues:
            rules = Rulebook(Parameters(), PROFILES[chosen], Limits(), venue)
            fast, plain = run_apex(feeds, rules, CASH), simulate(feeds, rules, CASH)
            assert scenarios.told(fast) == scenarios.told_plainly(plain, CASH)
            trades += len(fast.trades)
    assert trades > 0, "candles without trades prove nothing"


def test_the_whole_of_the_known_file_has_its_known_trades(shared_folder: Path) -> None:
    feed = load_file(shared_folder / "data" / "binance_BTC-USDT_1h.csv.gz", "1h")
    venue = Venue("flat", FeeSchedule(0.001, 0.001), MarketRules(minimum_cost=units(1)))
    rules = Rulebook(Parameters(), PROFILES[RiskLevel.MEDIUM], Limits(), venue)
    found = run_apex({"BTC-USDT": feed}, rules, CASH)
    assert (len(found.trades), found.orders, found.bars) == (1_201, 3_920, 45_024)
    assert found.final_equity == units("8910.07475534")


def test_the_bundled_candles_trade_the_same() -> None:
    feed = load_file(bundled_folder() / "BTC-USD_1h.csv.gz", "1h").slice(0, 3_000)
    fast, plain = run_apex({"BTC-USD": feed}, RULES, CASH), simulate({"BTC-USD": feed}, RULES, CASH)
    assert fast.orders == plain.orders > 100
    assert fast.final_equity == plain.equity[-1][1]


@pytest.mark.parametrize("pairs", [("B-USD", "A-USD"), ("A-USD",), ("A-USD", "C-USD")])
def test_pairs_choose_symbols_and_their_order(
    pairs: tuple[str, ...], markets: ModuleType, scenarios: ModuleType
) -> None:
    feeds = {f"{name}-USD": Candles.of(HOUR, markets.market(n, 400 + n, HOUR)) for n, name in enumerate("AB")}
    fast, plain = run_apex(feeds, RULES, CASH, pairs), simulate(feeds, RULES, CASH, pairs)
    assert scenarios.told(fast) == scenarios.told_plainly(plain, CASH)
    assert fast.symbols == pairs


def test_short_feeds_do_nothing_and_none_are_refused(markets: ModuleType) -> None:
    short = {"A-USD": Candles.of(HOUR, markets.market(1, 99, HOUR))}
    found = run_apex(short, RULES, CASH)
    assert (found.orders, found.final_equity, len(found.equity), found.bars) == (0, CASH, 0, 99)
    with pytest.raises(ValueError, match="one timeframe"):
        run_apex({}, RULES, CASH)
    mixed = {**short, "B-USD": Candles.of(HOUR // 2, markets.market(2, 99, HOUR // 2))}
    with pytest.raises(ValueError, match="one timeframe"):
        run_apex(mixed, RULES, CASH)


# -- no look-ahead -----------------------------------------------------------------------------------------


def known_at(found: Result, time_ms: int) -> list[Any]:
    """Everything that was filled in candles that opened at or before a time."""
    entries = [t[:1] + t[1:2] + t[3:6] for t in (*found.trades, *found.open_trades) if t.opened_ms <= time_ms]
    exits = [(t.symbol, *e) for t in (*found.trades, *found.open_trades) for e in t.exits if e.at_ms <= time_ms]
    return sorted(entries) + sorted(exits)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), cut=st.integers(100, 399), count=st.integers(1, 2))
def test_candles_after_a_close_never_change_what_came_before(
    markets: ModuleType, seed: int, cut: int, count: int
) -> None:
    rows = [markets.market(seed + n, 400, HOUR) for n in range(count)]
    last = rows[0][cut][0]
    feeds: list[dict[str, Candles]] = [{}, {}, {}]
    for number, whole in enumerate(rows):
        known = [row for row in whole if row[0] <= last]
        other = [(row[0] + 7 * HOUR, *(value * 1.3 for value in row[1:5]), row[5] * 3) for row in whole[len(known) :]]
        for feed, candles in zip(feeds, (whole, known + other, known), strict=True):
            feed[f"S{number}-USD"] = Candles.of(HOUR, candles)
    one, two, short = (run_apex(feed, RULES, CASH) for feed in feeds)
    assert known_at(one, last) == known_at(two, last) == known_at(short, last)
    length = len(short.equity)
    assert one.equity[:length].tolist() == two.equity[:length].tolist() == short.equity.tolist()


# -- features in blocks, and grids ---------------------------------------------------------------------------


def joined(blocks: list[Features]) -> dict[str, list[Any]]:
    names = [field.name for field in fields(Features)]
    return {name: np.concatenate([getattr(block, name) for block in blocks]).tolist() for name in names}


@pytest.mark.parametrize("size", [1, 7, 97, 256, 300])
@pytest.mark.parametrize("smoothing", Smoothing)
def test_features_in_blocks_are_those_of_the_whole(size: int, smoothing: Smoothing, markets: ModuleType) -> None:
    params = Parameters(smoothing=smoothing)
    candles = Candles.of(HOUR, markets.market(size, 620 if size > 1 else 330, HOUR))
    assert joined(list(feature_blocks(candles, params, size))) == joined([features(candles, params)])


@pytest.mark.parametrize("size", [50, 131])
def test_a_run_in_small_blocks_makes_the_same_trades(
    size: int, markets: ModuleType, scenarios: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    feeds = {"A-USD": Candles.of(HOUR, markets.market(11, 900, HOUR))}
    whole = scenarios.told(run_apex(feeds, RULES, CASH))
    assert whole["trades"]
    monkeypatch.setattr(
        "nija_trading.domain.backtest.apex_run.feature_blocks",
        lambda candles, params: features_module.feature_blocks(candles, params, size),
    )
    assert scenarios.told(run_apex(feeds, RULES, CASH)) == whole


def grid() -> list[Rulebook]:
    """Rulebooks that differ in signals, stops, sizes, and in one feature."""
    rng = random.Random(5)
    books = []
    for _ in range(12):
        profile = replace(
            PROFILES[RiskLevel.MEDIUM], minimum_score=rng.choice((3, 4)), minimum_adx=rng.choice((15, 25))
        )
        params = Parameters(
            stop_atr=rng.choice((1.0, 2.0)), rsi_long_high=rng.choice((45.0, 50.0)), ema_fast=rng.choice((9, 9, 12))
        )
        books.append(Rulebook(params, profile, Limits(), COINBASE))
    return books


def test_a_grid_gives_what_each_rulebook_gives_alone(
    markets: ModuleType, scenarios: ModuleType, random_market: Callable[..., list[Any]]
) -> None:
    feeds = {f"S{n}-USD": Candles.of(HOUR, random_market(40 + n, 600, HOUR)) for n in range(2)}
    books = grid()
    together = [scenarios.told(found) for found in run_grid(feeds, books, CASH)]
    assert together == [scenarios.told(run_apex(feeds, rules, CASH)) for rules in books]
    assert len({found["final"] for found in together}) > 4


def test_no_other_parameter_changes_a_feature(markets: ModuleType) -> None:
    candles = Candles.of(HOUR, markets.market(3, 300, HOUR))
    plain = joined([features(candles, Parameters())])
    for field in fields(Parameters):
        value = getattr(Parameters(), field.name)
        if isinstance(value, bool):
            changed: Any = not value
        elif isinstance(value, (int, float)):
            changed = value * 2 + 1
        elif isinstance(value, tuple):
            changed = tuple(item / 2 for item in value)
        else:
            changed = Smoothing.WILDER
        other = joined([features(candles, replace(Parameters(), **{field.name: changed}))])
        assert (other != plain) == (field.name in FEATURE_PARAMETERS), field.name
