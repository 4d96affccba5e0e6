"""The ledger of a fast run looks at few closes; its latches are those of the live engine's rule at every close."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nija_trading.domain.apex.parameters import PROFILES, Limits, Parameters, RiskLevel
from nija_trading.domain.apex.protections import Protections, at_close, size_factor, week_factor
from nija_trading.domain.apex.step import Rulebook
from nija_trading.domain.backtest import ledger as ledger_module
from nija_trading.domain.backtest.ledger import Ledger
from nija_trading.domain.backtest.result import TradeRecord
from nija_trading.domain.backtest.tape import Steps, Tape
from nija_trading.domain.backtest.walk import ENTRY, Walk
from nija_trading.domain.market.candles import HOUR_MS, Candles
from nija_trading.domain.matching.money import units, value_of
from nija_trading.domain.matching.terms import COINBASE

CASH = units(10_000)
PARAMS = Parameters()


def held_from(candle: int, closes: list[float], quantity: int, time_ms: int) -> Walk:
    """A trade that buys at the open of a candle, at the close before, and never ends."""
    price = closes[candle - 1]
    cost = value_of(price, quantity)
    record = TradeRecord("BTC-USD", time_ms, None, price, quantity, cost, 0, 0, None, ())
    low, high = min(price, *closes[candle:]), max(price, *closes[candle:])
    fills = [(candle * 2, ENTRY, price, -quantity, -cost, 0)]
    return Walk(record, fills, -cost, int(low * quantity) - cost - 2, int(high * quantity) - cost + 2)


@given(
    moves=st.lists(
        st.sampled_from([-0.12, -0.05, -0.02, -0.004, 0.0, 0.004, 0.02, 0.06, 0.2]), min_size=3, max_size=60
    ),
    hours=st.sampled_from([1, 7, 30]),
    looks=st.lists(st.booleans(), min_size=60, max_size=60),
    level=st.sampled_from(RiskLevel),
    own=st.sampled_from([None, units(150), units(900)]),
    stake=st.sampled_from([0.2, 0.9]),
    since=st.integers(1, 3),
)
@settings(max_examples=400)
def test_every_latch_is_that_of_a_look_at_every_close(
    moves: list[float], hours: int, looks: list[bool], level: RiskLevel, own: Any, stake: float, since: int
) -> None:
    closes = np.round(100.0 * np.cumprod([1.0, *(1 + move for move in moves)]), 2)
    step_ms = hours * HOUR_MS
    times = 1_700_000_000_000 // step_ms * step_ms + np.arange(len(closes)) * step_ms
    rows = np.column_stack([times, closes, closes, closes, closes, np.ones(len(closes))])
    candles = Candles.of(step_ms, rows)
    rules = Rulebook(PARAMS, PROFILES[level], Limits(daily_loss=own), COINBASE)
    steps = Steps.of({"BTC-USD": candles}, ["BTC-USD"], 1)
    ledger = Ledger(CASH, steps, [Tape.of("BTC-USD", candles, steps)], rules)
    walk = held_from(since, closes.tolist(), int(CASH * stake / closes[since - 1]), int(times[since]))

    state = Protections.start(CASH)
    for step, close in enumerate(closes.tolist()):
        equity = CASH
        if step == since:
            ledger.entered(walk)
            ledger.book(0, walk, 1)
        if step >= since:
            equity += walk.total + value_of(close, walk.record.quantity)
        state = at_close(state, equity, int(times[step]), PARAMS, rules.profile, rules.limits)
        if not looks[step % len(looks)] and step + 1 < len(closes):
            continue
        ledger.settle(step, {0: walk} if step >= since else {})
        assert ledger.equity == equity
        assert ledger.drawdown_reached == state.drawdown_reached
        assert (ledger.loss_day, ledger.stopped_week) == (state.loss_day, state.stopped_week)
        factor = 1.0 if ledger.calm else week_factor(ledger.week_base(step), equity, PARAMS)
        assert factor == size_factor(state, PARAMS)
        if not ledger.latched:
            assert not state.drawdown_reached
            assert (state.loss_day, state.stopped_week) == (None, None)


def test_what_has_risen_far_is_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison above sees a calm that never ends."""
    settle = Ledger.settle

    def careless(self: Ledger, step: int, held: Any) -> None:
        self.calm_until = 10**18 if self.calm_until else 0
        settle(self, step, held)

    monkeypatch.setattr(ledger_module.Ledger, "settle", careless)
    check = test_every_latch_is_that_of_a_look_at_every_close.hypothesis.inner_test  # type: ignore[attr-defined]
    with pytest.raises(AssertionError):
        check([0.004, 0.2, 0.2, 0.2, -0.05, -0.05, -0.05, -0.05], 30, [True] * 60, RiskLevel.MEDIUM, None, 0.9, 1)
