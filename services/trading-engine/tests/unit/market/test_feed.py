"""A live feed: overlapping answers make one column, and what is known of a step."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from nija_trading.domain.apex.features import Features, features
from nija_trading.domain.apex.parameters import Parameters
from nija_trading.domain.market.candles import Candle, Candles
from nija_trading.domain.market.feed import Feed, believable
from nija_trading.domain.market.grid import LATEST_MS, STEP_MS, Quote, step_after, step_at

PARAMS = Parameters()
START = 1_700_438_400_000


def market(random_market: Callable[..., list[Any]], bars: int = 700) -> list[Candle]:
    """Candles without a gap on the 5-minute grid."""
    return [Candle(START + i * STEP_MS, *row[1:]) for i, row in enumerate(random_market(77, bars, STEP_MS))]


def begun(rows: list[Candle], asked_ms: int) -> Feed:
    told = [row for row in rows if row.time_ms <= asked_ms]
    return Feed.begun(told, asked_ms=asked_ms, from_ms=START, params=PARAMS)


def closes(index: int) -> int:
    return START + (index + 1) * STEP_MS


@pytest.mark.parametrize("seed", range(4))
def test_answers_that_overlap_make_the_features_of_the_whole_feed(seed: int, random_market: Any) -> None:
    rng, rows = random.Random(seed), market(random_market)
    feed, at = begun(rows, closes(510)), 510
    while at < len(rows) - 1:
        before, at = at, min(at + rng.randint(0, 4), len(rows) - 1)
        told = rows[before - rng.randint(0, 9) : at + 1]
        feed = feed.told(told, asked_ms=closes(at), params=PARAMS)
    expected = features(Candles.of(STEP_MS, rows), PARAMS)
    assert len(feed.candles) == len(rows)
    for column in fields(Features):
        assert np.array_equal(getattr(feed.features, column.name), getattr(expected, column.name)), column.name


def test_a_closed_candle_counts_as_it_was_first_told(random_market: Any) -> None:
    rows = market(random_market, 520)
    feed = begun(rows, closes(500))
    changed = rows[500]._replace(close=rows[500].close * 2, high=rows[500].high * 3)
    again = feed.told([changed, rows[501]], asked_ms=closes(501), params=PARAMS)
    assert again.candles[500] == rows[500]
    assert again.candles[501] == rows[501]


def test_a_step_is_settled_by_its_candle_or_by_a_later_one(random_market: Any) -> None:
    rows = market(random_market, 520)
    feed = begun(rows, closes(500))
    missing = closes(501)
    assert feed.settled(closes(500))
    assert not feed.settled(missing)
    early = feed.told([rows[500], rows[502]], asked_ms=missing + 3000, params=PARAMS)
    assert not early.settled(missing), "the candle may still be told of"
    assert early.opening(missing) == rows[502].open
    late = feed.told([rows[500], rows[502]], asked_ms=missing + LATEST_MS, params=PARAMS)
    assert late.settled(missing)
    quiet = feed.told([rows[500]], asked_ms=missing + 60_000, params=PARAMS)
    assert not quiet.settled(missing)
    after = quiet.told([rows[500], rows[502]], asked_ms=closes(502), params=PARAMS)
    assert after.settled(missing)
    assert after.index_at(missing) is None
    assert after.last_at(missing) == 500


def test_a_candle_without_a_trade_has_no_open_yet(random_market: Any) -> None:
    rows = market(random_market, 520)
    untraded = rows[501]._replace(volume=0.0)
    feed = begun([*rows[:501], untraded], closes(500) + 1000)
    assert feed.opening(closes(500)) is None
    assert feed.newest_ms == closes(500)


@pytest.mark.parametrize(
    "wrong",
    [
        {"low": 0.0},
        {"low": 11.0},
        {"high": 9.5},
        {"volume": -1.0},
        {"time_ms": START + 1},
        {"close": float("nan")},
        {"high": float("inf")},
    ],
)
def test_what_cannot_be_a_candle_is_not_believed(wrong: dict[str, Any]) -> None:
    good = Candle(START, 10.0, 11.0, 9.0, 10.5, 1.0)
    assert believable(good)
    assert not believable(good._replace(**wrong))


def test_quotes_and_the_grid() -> None:
    quote = Quote(99.0, 101.0, 99.5, 1_000)
    assert (quote.price, quote.spread) == (100.0, 0.02)
    assert quote.fresh(10_999)
    assert not quote.fresh(11_000)
    assert (Quote(None, 101.0, 99.5, 0).price, Quote(None, 101.0, 99.5, 0).spread) == (99.5, None)
    assert (step_at(START), step_at(START + 1), step_after(START), step_after(START - 1)) == (
        START,
        START,
        START + STEP_MS,
        START,
    )
