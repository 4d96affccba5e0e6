"""The decision at a close: its order, its gates, and what it leaves for the next symbol."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nija_trading.domain.apex.parameters import Limits, RiskLevel
from nija_trading.domain.apex.protections import Protections, entry_filled
from nija_trading.domain.apex.reasons import Denial
from nija_trading.domain.apex.step import EntryDecision, admit_alert, decide
from nija_trading.domain.market.candles import DAY_MS, HOUR_MS, Candle
from nija_trading.domain.matching.money import units
from nija_trading.domain.matching.orders import Reason, Side

BTC, ETH, SOL = "BTC-USD", "ETH-USD", "SOL-USD"


def test_an_entry_is_decided_with_score_value_and_range(made: Any) -> None:
    decision = decide(made.view(), [made.close(score_long=4, atr=2.5)], made.rules())
    (entry,) = decision.entries
    assert (entry.symbol, entry.score, entry.value, entry.price, entry.atr) == (BTC, 4, units(400), 100.0, 2.5)
    order = entry.order("id", 300_000, made.params)
    assert (order.side, order.reason, order.value, order.decided_ms) == (Side.BUY, Reason.ENTRY, units(400), 300_000)
    assert order.bracket is not None
    assert order.bracket.stop_order_id == "id-stop"
    assert decision.refusals == ()


def test_several_symbols_come_in_the_order_of_allowed_pairs(made: Any) -> None:
    closes = [made.close(SOL), made.close(BTC), made.close(ETH)]
    decision = decide(made.view(), closes, made.rules(limits=Limits(positions=2)))
    assert [entry.symbol for entry in decision.entries] == [BTC, ETH]
    assert [(refusal.symbol, refusal.reason) for refusal in decision.refusals] == [(SOL, Denial.POSITIONS)]


def test_each_entry_takes_its_room_from_the_next(made: Any) -> None:
    held = made.position("X-USD", quantity=units(54), entry_quantity=units(54), cost=units(5400))
    view = made.view(held, cash=4600)
    decision = decide(view, [made.close(symbol, score_long=4) for symbol in (BTC, ETH)], made.rules())
    assert [(entry.symbol, entry.value) for entry in decision.entries] == [(BTC, units(400)), (ETH, units(200))]


def test_a_symbol_that_is_not_allowed_gets_no_entry_but_its_position_is_managed(made: Any) -> None:
    view = made.view(made.position("X-USD"))
    decision = decide(view, [made.close("X-USD", opposite=True), made.close("Y-USD")], made.rules())
    assert [(leave.symbol, leave.reason) for leave in decision.exits] == [("X-USD", Reason.OPPOSITE_SIGNAL)]
    assert decision.entries == ()


def test_a_symbol_with_a_position_gets_no_entry_even_where_its_exit_is_decided(made: Any) -> None:
    decision = decide(made.view(made.position()), [made.close(trend_break=True)], made.rules())
    assert [leave.reason for leave in decision.exits] == [Reason.TREND_BREAK]
    assert [refusal.reason for refusal in decision.refusals] == [Denial.POSITION_EXISTS]


def test_a_pending_entry_holds_its_symbol_its_place_its_trade_and_its_room(made: Any) -> None:
    view = made.view(pending_entries={BTC: units(5900)})
    decision = decide(view, [made.close(BTC), made.close(ETH)], made.rules())
    assert [r.reason for r in decision.refusals] == [Denial.ORDER_PENDING, Denial.EXPOSURE]
    small = made.view(pending_entries={BTC: units(10)})
    for limits, reason in ((Limits(positions=1), Denial.POSITIONS), (Limits(daily_trades=1), Denial.DAILY_TRADES)):
        assert [r.reason for r in decide(small, [made.close(ETH)], made.rules(limits=limits)).refusals] == [reason]


def test_a_pending_exit_is_not_decided_again(made: Any) -> None:
    view = made.view(made.position(), pending_exits=frozenset({BTC}))
    assert decide(view, [made.close(opposite=True)], made.rules()).exits == ()


@pytest.mark.parametrize("gate", [Denial.KILL_SWITCH, Denial.NOT_RUNNING, Denial.SIGNALS_ONLY])
def test_a_gate_refuses_entries_and_nothing_else(gate: Denial, made: Any) -> None:
    rising = Candle(0, 100.0, 110.0, 99.0, 109.0, 1.0)
    view = made.view(made.position(), entries_blocked=gate)
    decision = decide(view, [made.close(candle=rising, opposite=True), made.close(ETH)], made.rules())
    assert [(m.symbol, m.price, m.reason) for m in decision.stop_moves] == [(BTC, 107.5, Reason.TRAILING_STOP)]
    assert [leave.reason for leave in decision.exits] == [Reason.OPPOSITE_SIGNAL]
    assert {refusal.reason for refusal in decision.refusals} == {gate}


def test_filters_gate_entries_only(made: Any) -> None:
    view = made.view(made.position())
    closes = [made.close(BTC, opposite=True, stale=True, spread=0.5), made.close(ETH, stale=True)]
    closes.append(made.close(SOL, spread=0.0011))
    decision = decide(view, closes, made.rules())
    assert [leave.reason for leave in decision.exits] == [Reason.OPPOSITE_SIGNAL]
    assert [r.reason for r in decision.refusals[1:]] == [Denial.STALE_DATA, Denial.SPREAD_WIDE]


def test_a_spread_of_a_tenth_of_a_per_cent_passes_and_so_does_none(made: Any) -> None:
    for spread in (0.001, None):
        assert len(decide(made.view(), [made.close(spread=spread)], made.rules()).entries) == 1


def test_protections_come_before_entries_and_see_this_close(made: Any) -> None:
    crashed = Candle(0, 100.0, 100.0, 98.5, 98.5, 1.0)
    held = made.position(quantity=units(30), entry_quantity=units(30), cost=units(3000))
    view = made.view(held, cash=7000)
    rules = made.rules(limits=Limits(daily_loss=units(45)))
    decision = decide(view, [made.close(candle=crashed), made.close(ETH)], rules)
    assert decision.equity == units(7000) + units(2955)
    assert [r.reason for r in decision.refusals][1:] == [Denial.DAILY_LOSS]


def test_trades_a_day_count_filled_entries_of_the_candles_day(made: Any) -> None:
    filled = entry_filled(Protections.start(units(10_000)), DAY_MS - HOUR_MS)
    rules = made.rules(limits=Limits(daily_trades=1))
    view = made.view(protections=filled)
    late = decide(view, [made.close(time_ms=DAY_MS - HOUR_MS)], rules)
    assert [r.reason for r in late.refusals] == [Denial.DAILY_TRADES]
    assert len(decide(view, [made.close(time_ms=DAY_MS)], rules).entries) == 1


def test_a_low_week_halves_the_fraction_before_the_clamps(made: Any) -> None:
    week = Protections(equity=units(10_000), day=0, day_base=units(9_200), week=0, week_base=units(10_000))
    view = made.view(cash=9200, protections=week)
    (entry,) = decide(view, [made.close()], made.rules()).entries
    assert entry.value == units(138)
    clamped = decide(view, [made.close()], made.rules(limits=Limits(position_value=units(138))))
    assert clamped.entries[0].value == units(138)


def test_a_week_that_closed_at_minus_ten_per_cent_refuses_until_monday(made: Any) -> None:
    monday = 4 * DAY_MS
    low = Protections(equity=units(9_000), day=4, day_base=units(9_050), week=1, week_base=units(10_000))
    view = made.view(cash=9000, protections=low)
    refused = decide(view, [made.close(time_ms=monday)], made.rules(RiskLevel.HIGH))
    assert [r.reason for r in refused.refusals] == [Denial.WEEK_LOSS]
    later = made.view(cash=9500, protections=refused.protections)
    sunday = decide(later, [made.close(time_ms=monday + 6 * DAY_MS)], made.rules(RiskLevel.HIGH))
    assert [r.reason for r in sunday.refusals] == [Denial.WEEK_LOSS]
    after = made.view(cash=9500, protections=sunday.protections)
    assert len(decide(after, [made.close(time_ms=monday + 7 * DAY_MS)], made.rules(RiskLevel.HIGH)).entries) == 1


def test_only_changed_positions_come_back(made: Any) -> None:
    steady = replace(made.position(), best_close=100.0)
    decision = decide(made.view(steady), [made.close(), made.close(ETH)], made.rules())
    assert decision.positions == {}
    assert decision.stop_moves == ()


def test_equity_takes_the_last_close_of_a_symbol_without_a_candle(made: Any) -> None:
    view = made.view(made.position(ETH), cash=50, marks={ETH: 80.0})
    assert decide(view, [made.close()], made.rules()).equity == units(130)


def alert(made: Any, view: Any, wanted: int | None = None, rules: Any = None) -> EntryDecision | Denial:
    return admit_alert(view, BTC, mark=100.0, atr=1.0, now_ms=0, wanted=wanted, score=3, rules=rules or made.rules())


def test_an_alert_without_a_size_has_that_of_a_score_of_three(made: Any) -> None:
    admitted = alert(made, made.view())
    assert isinstance(admitted, EntryDecision)
    assert admitted.value == units(300)


def test_an_alerts_size_is_clamped_like_an_entry(made: Any) -> None:
    admitted = alert(made, made.view(), wanted=units(5000))
    assert isinstance(admitted, EntryDecision)
    assert admitted.value == units(1000)
    limits = made.rules(RiskLevel.MEDIUM, limits=Limits(position_value=units(50)))
    clamped = alert(made, made.view(), units(5000), limits)
    assert isinstance(clamped, EntryDecision)
    assert clamped.value == units(50)


def test_an_alert_meets_gates_protections_and_limits(made: Any) -> None:
    assert alert(made, made.view(entries_blocked=Denial.PAUSED)) is Denial.PAUSED
    assert alert(made, made.view(made.position())) is Denial.POSITION_EXISTS
    stopped = replace(Protections.start(units(1)), drawdown_reached=True)
    assert alert(made, made.view(protections=stopped)) is Denial.DRAWDOWN
    full = made.rules(limits=Limits(positions=1))
    assert alert(made, made.view(made.position(ETH)), rules=full) is Denial.POSITIONS
