"""Indicators against a slow, literal second implementation, and their guards."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nija_trading.domain.apex import indicators as ind
from nija_trading.domain.apex.features import features
from nija_trading.domain.apex.parameters import Parameters, Smoothing
from nija_trading.domain.market.candles import Candles

NAMES = {
    "ema_fast": "ema9",
    "ema_medium": "ema21",
    "ema_slow": "ema50",
    "rsi": "rsi",
    "atr": "atr",
    "adx": "adx",
    "histogram": "hist",
    "vwap": "vwap",
    "volume_before": "v2",
    "volume_short": "v5",
    "volume_long": "v20",
}


@pytest.mark.parametrize("seed", range(6))
def test_every_indicator_is_that_of_the_literal_implementation(
    seed: int, literal: ModuleType, markets: ModuleType
) -> None:
    rows = markets.market(seed, 260, 300_000, level=10.0 ** (seed - 3))
    found = features(Candles.of(300_000, rows), Parameters())
    slow = literal.look(rows)
    for ours, theirs in NAMES.items():
        expected = [getattr(row, theirs) for row in slow]
        scale = max(rows[0][4], 1e-12) if ours in ("histogram", "atr") else 1.0
        start = 30 if ours in ("adx", "rsi", "volume_before") else 0
        assert getattr(found, ours)[start:] / scale == pytest.approx(
            np.array(expected[start:]) / scale, rel=1e-9, abs=1e-9
        ), ours


@given(st.lists(st.floats(min_value=0, max_value=1e6), min_size=1, max_size=60), st.integers(1, 25))
def test_a_window_sum_depends_on_its_window_alone(values: list[float], length: int) -> None:
    whole = ind.window_sum(np.array(values), length)
    for index in range(len(values)):
        window = values[max(0, index - length + 1) : index + 1]
        assert whole[index] == ind.window_sum(np.array(window), length)[-1]
        assert whole[index] == pytest.approx(math.fsum(window), rel=1e-14)


@given(
    values=st.lists(st.floats(min_value=1e-6, max_value=1e6), min_size=2, max_size=40),
    cuts=st.lists(st.integers(1, 1_100), min_size=1, max_size=6),
    length=st.integers(1, 60),
)
def test_running_averages_go_on_exactly_where_they_stopped(values: list[float], cuts: list[int], length: int) -> None:
    column = np.array(values * 40)
    for average in (ind.ema, ind.wilder):
        whole, last = average(column, length)
        state, parts = ind.START, []
        for part in np.split(column, sorted(cuts)):
            found, state = average(part, length, state)
            parts.append(found)
        assert np.concatenate(parts).tolist() == whole.tolist()
        assert state == last


@given(st.lists(st.floats(min_value=1, max_value=1e6), min_size=2, max_size=40), st.integers(1, 200))
def test_an_ema_is_the_recurrence_of_its_definition(values: list[float], length: int) -> None:
    column = np.array(values * 40)
    found, _ = ind.ema(column, length)
    alpha, last = 2 / (length + 1), column[0]
    for value, mine in zip(column.tolist(), found.tolist(), strict=True):
        last = alpha * value + (1 - alpha) * last
        assert mine == pytest.approx(last, abs=1e-12 * max(values))


def test_an_ema_of_equal_values_is_that_value() -> None:
    for length in (1, 2, 9, 50, 500):
        assert set(ind.ema(np.full(700, 0.1), length)[0].tolist()) == {0.1}


def test_an_ema_is_seeded_with_the_first_close() -> None:
    column, _ = ind.ema(np.array([10.0, 20.0]), 9)
    assert column.tolist() == [10.0, 10.0 + 10.0 * 0.2]


def test_wilders_average_is_a_mean_first_and_then_forgets_slowly() -> None:
    column, _ = ind.wilder(np.array([1.0, 3.0, 5.0, 6.0]), 3)
    assert column.tolist() == pytest.approx([1.0, 2.0, 3.0, 3.0 + (6.0 - 3.0) / 3])


def test_guards_no_loss_no_movement_no_volume() -> None:
    rise = [(n * 60_000, 1.0 + n, 1.0 + n, 1.0 + n, 1.0 + n, 0.0) for n in range(120)]
    flat = [(n * 60_000, 5.0, 5.0, 5.0, 5.0, 0.0) for n in range(120)]
    rising, still = (features(Candles.of(60_000, rows), Parameters()) for rows in (rise, flat))
    assert rising.rsi[-1] == 100.0
    assert still.rsi[-1] == 50.0
    assert (still.adx[-1], still.atr[-1], still.histogram[-1]) == (0.0, 0.0, 0.0)
    assert (still.volume_before[-1], still.volume_short[-1], still.volume_long[-1]) == (0.0, 0.0, 0.0)
    assert rising.vwap.tolist() == rising.close.tolist(), "VWAP without volume is the close"
    assert rising.adx[-1] == 100.0


def test_directional_movement_gives_an_equal_move_to_the_rise() -> None:
    plus, minus = ind.directional_movement(np.array([10.0, 11.0, 11.0, 12.0]), np.array([9.0, 8.0, 7.0, 7.5]))
    assert plus.tolist() == [0.0, 1.0, 0.0, 1.0]
    assert minus.tolist() == [0.0, 0.0, 1.0, 0.0]


def test_wilder_smoothing_is_an_option(markets: ModuleType) -> None:
    candles = Candles.of(60_000, markets.market(3, 200, 60_000))
    simple = features(candles, Parameters())
    smooth = features(candles, Parameters(smoothing=Smoothing.WILDER))
    ranges = ind.true_range(candles.high, candles.low, candles.close)
    assert smooth.atr.tolist() == ind.wilder(ranges, 14)[0].tolist()
    assert not np.array_equal(simple.adx, smooth.adx)
    assert np.array_equal(simple.ema_fast, smooth.ema_fast)


@pytest.mark.parametrize("name", ["ema_fast", "rsi", "adx", "vwap", "volume_long"])
def test_early_candles_have_finite_values(name: str, markets: Any) -> None:
    rows = markets.market(1, 5, 60_000)
    for size in range(1, 6):
        column = getattr(features(Candles.of(60_000, rows[:size]), Parameters()), name)
        assert np.isfinite(column).all()
