"""When a replay's steps come, and what is known at each."""

from __future__ import annotations

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from nija_trading.adapters.replay_market import ReplayMarket
from nija_trading.domain.apex.parameters import PROFILES, RiskLevel
from nija_trading.domain.controls import REPLAY, MarketClock
from nija_trading.domain.market.candles import Candles

FRAME = 300_000
START = 1_700_000_100_000


def market(speed: float, gaps: frozenset[int] = frozenset()) -> ReplayMarket:
    rows = [(START + i * FRAME, 100.0 + i, 101.0 + i, 99.0 + i, 100.5 + i, 1.0) for i in range(140) if i not in gaps]
    return ReplayMarket({"BTC-USD": Candles.of(FRAME, rows)}, speed)


def test_the_hundredth_candle_comes_at_once_and_each_later_one_a_timeframe_by_speed_later() -> None:
    replay = market(300)
    clock = MarketClock(id=REPLAY, anchor_wall_ms=1_000_000, anchor_step_ms=replay.first_ms)
    assert replay.first_ms == START + 100 * FRAME
    assert replay.due(clock, 1_000_000) == replay.first_ms
    assert replay.due(clock, 1_000_999) == replay.first_ms
    assert replay.due(clock, 1_001_000) == replay.first_ms + FRAME
    assert replay.due(clock, 900_000) == replay.first_ms
    assert replay.due(clock, 10**15) == replay.last_ms
    assert replay.after(replay.last_ms or 0) is None


@given(st.floats(0.5, 1e6), st.integers(0, 39), st.integers(0, 10**7))
def test_a_step_is_due_exactly_from_the_moment_at_which_it_comes(speed: float, steps: int, late: int) -> None:
    replay = market(speed)
    clock = MarketClock(id=REPLAY, anchor_wall_ms=1_000_000, anchor_step_ms=replay.first_ms)
    step_ms = replay.first_ms + steps * FRAME
    comes = replay.comes_at(clock, step_ms)
    assert replay.due(clock, comes + 1 + late) >= step_ms
    if steps:
        assert replay.due(clock, comes - 2) < step_ms or FRAME / speed < 2


def test_an_open_is_known_at_the_close_before_it_but_not_across_a_gap() -> None:
    replay = market(1, frozenset({120}))
    before_gap = START + 120 * FRAME
    assert [o.open_ms for o in replay.openings("coinbase", ["BTC-USD"], before_gap - FRAME)] == [before_gap - FRAME]
    assert replay.openings("coinbase", ["BTC-USD"], before_gap) == ()
    assert replay.openings("coinbase", ["ETH-USD"], before_gap) == ()


def test_marks_and_closes_are_those_of_the_last_closed_candle() -> None:
    replay = market(1)
    step_ms = replay.first_ms
    mark = replay.mark("coinbase", "BTC-USD", step_ms)
    assert mark is not None
    assert (mark.price, mark.time_ms) == (199.5, step_ms)
    assert replay.mark("coinbase", "ETH-USD", step_ms) is None
    assert replay.mark("coinbase", "BTC-USD", START) is None
    closes = replay.closes("coinbase", ["ETH-USD", "BTC-USD"], step_ms, PROFILES[RiskLevel.LOW])
    assert [(close.symbol, close.candle.close) for close in closes] == [("BTC-USD", 199.5)]
    assert closes[0].row.decides
    assert replay.last_open("coinbase", ["BTC-USD"], step_ms) == step_ms - FRAME


def test_a_price_older_than_two_candles_is_stale_until_the_market_has_its_next_candle() -> None:
    rows = [(START + i * FRAME, 100.0, 101.0, 99.0, 100.0, 1.0) for i in range(140)]
    with_gap = [row for i, row in enumerate(rows) if not 110 <= i < 115]
    feeds = {"BTC-USD": Candles.of(FRAME, rows), "ETH-USD": Candles.of(FRAME, with_gap)}
    replay = ReplayMarket(feeds, 1)
    last_before = START + 110 * FRAME
    stale = []
    for steps in range(7):
        mark = replay.mark("coinbase", "ETH-USD", last_before + steps * FRAME)
        assert mark is not None
        stale.append(mark.stale)
    assert stale == [False, False, False, True, True, True, False]
    other = replay.mark("coinbase", "BTC-USD", last_before + 4 * FRAME)
    assert other is not None
    assert not other.stale


def test_a_replay_does_not_load_ccxt() -> None:
    """It costs 100 MB and a second: only a worker whose bots look at an exchange pays for it."""
    code = "import sys, nija_trading.service; sys.exit('ccxt' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
