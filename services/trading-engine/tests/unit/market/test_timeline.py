"""The timeline: steps are the sorted union of closing times, j0 the first symbol's 100th candle."""

from __future__ import annotations

import pytest

from nija_trading.domain.market.candles import Candles
from nija_trading.domain.market.timeline import Timeline

MINUTE = 60_000


def feed(*minutes: int, timeframe: int = MINUTE) -> Candles:
    """Candles that open at these minutes."""
    return Candles.of(timeframe, [(minute * MINUTE, 1.0, 1.0, 1.0, 1.0, 1.0) for minute in minutes])


def test_steps_are_the_sorted_union_of_closing_times() -> None:
    timeline = Timeline.of({"A-USD": feed(0, 1, 4), "B-USD": feed(1, 2, 4)})
    assert timeline.closes_ms.tolist() == [1 * MINUTE, 2 * MINUTE, 3 * MINUTE, 5 * MINUTE]
    assert len(timeline) == 4


def test_each_step_knows_which_symbols_have_a_candle() -> None:
    timeline = Timeline.of({"A-USD": feed(0, 1, 4), "B-USD": feed(1, 2, 4)})
    assert [timeline.symbols_at(step) for step in range(4)] == [
        ("A-USD",),
        ("A-USD", "B-USD"),
        ("B-USD",),
        ("A-USD", "B-USD"),
    ]
    assert [timeline.candle_at("A-USD", step) for step in range(4)] == [0, 1, None, 2]
    assert timeline.candle_at("C-USD", 0) is None


def test_the_first_step_is_the_first_symbols_hundredth_candle() -> None:
    timeline = Timeline.of({"A-USD": feed(*range(0, 300, 2)), "B-USD": feed(*range(50, 200))})
    assert timeline.closes_ms[timeline.first_step] == (50 + 99 + 1) * MINUTE


def test_without_a_hundredth_candle_no_step_decides() -> None:
    timeline = Timeline.of({"A-USD": feed(*range(99))})
    assert timeline.first_step == len(timeline) == 99


def test_the_step_at_a_time_is_the_last_that_has_closed() -> None:
    timeline = Timeline.of({"A-USD": feed(0, 1, 4)})
    times = (0, MINUTE, 2 * MINUTE + 1, 5 * MINUTE, 10**15)
    assert [timeline.step_at(time) for time in times] == [-1, 0, 1, 2, 2]


def test_mixed_timeframes_and_no_feed_at_all_are_refused() -> None:
    with pytest.raises(ValueError, match="one timeframe"):
        Timeline.of({"A-USD": feed(0), "B-USD": feed(0, timeframe=5 * MINUTE)})
    with pytest.raises(ValueError, match="one timeframe"):
        Timeline.of({})
