"""A live feed that grows candle by candle has bit for bit the features of the whole array."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nija_trading.domain.apex.features import Features, advance, features, lookback, start_feed
from nija_trading.domain.apex.parameters import PROFILES, Parameters, RiskLevel, Smoothing
from nija_trading.domain.apex.signals import signals
from nija_trading.domain.market.candles import Candles


def same(one: Features, other: Features) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in Features.__slots__)


def rows_of(found: Features, start: int, stop: int) -> Features:
    return Features(*(getattr(found, name)[start:stop] for name in Features.__slots__))


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    first=st.integers(1, 330),
    chunk=st.integers(1, 40),
    smoothing=st.sampled_from(Smoothing),
)
def test_a_growing_feed_has_the_features_of_the_whole(
    markets: ModuleType, seed: int, first: int, chunk: int, smoothing: Smoothing
) -> None:
    params = Parameters(smoothing=smoothing)
    candles = Candles.of(300_000, markets.market(seed, 360, 300_000))
    whole = features(candles, params)
    state, found = start_feed(candles.slice(0, first), params)
    assert same(found, rows_of(whole, 0, first))
    for start in range(first, len(candles), chunk):
        stop = min(start + chunk, len(candles))
        state, found = advance(state, candles.slice(start, stop), params)
        assert same(found, rows_of(whole, start, stop)), (seed, start)
    assert len(state.tail) <= lookback(params)


@pytest.mark.parametrize("level", RiskLevel)
def test_a_live_row_has_the_signals_of_the_backtests(level: RiskLevel, markets: ModuleType) -> None:
    params, profile = Parameters(), PROFILES[level]
    candles = Candles.of(300_000, markets.market(11, 260, 300_000))
    whole = signals(features(candles, params), params, profile)
    state, found = start_feed(candles.slice(0, 120), params)
    assert signals(found, params, profile).row(119) == whole.row(119)
    for index in range(120, 260):
        state, found = advance(state, candles.slice(index, index + 1), params)
        assert signals(found, params, profile).row(0) == whole.row(index)


def test_no_new_candle_changes_nothing(markets: ModuleType) -> None:
    candles = Candles.of(300_000, markets.market(5, 130, 300_000))
    state, _ = start_feed(candles, Parameters())
    after, found = advance(state, candles.slice(0, 0), Parameters())
    assert after is state
    assert len(found) == 0


def test_an_older_candle_is_refused(markets: ModuleType) -> None:
    candles = Candles.of(300_000, markets.market(5, 130, 300_000))
    state, _ = start_feed(candles, Parameters())
    with pytest.raises(ValueError, match="does not come after"):
        advance(state, candles.slice(129, 130), Parameters())
