"""The comparison with the plain runner sees the faults that are easily made: each is planted, and must be found.

A fault is another text for a line of the source; a module with it takes the place of the true one.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from nija_trading.domain.apex import guarding, simulate
from nija_trading.domain.backtest import account_run, apex_run, ledger, tape, walk
from nija_trading.domain.matching import guarded, symbol_book
from nija_trading.domain.matching.money import units

CASH = units(10_000)
SEEDS = range(2_000, 2_100)

FAST = {
    "a stop that is touched exactly does not fire": (
        walk,
        "if low[place] <= stop or high[place] >= trigger",
        "if low[place] < stop or high[place] >= trigger",
    ),
    "a trailing stop that is touched exactly does not fire": (
        walk,
        "if low[here] <= stop or high[here] > level",
        "if low[here] < stop or high[here] > level",
    ),
    "trailing is armed from the entry on": (
        walk,
        "armed, best, reason = False, -inf",
        "armed, best, reason = True, -inf",
    ),
    "trailing is armed where the price goes through": (
        walk,
        "elif most >= arm:",
        "elif most > arm * 1.0005:",
    ),
    "the entry candle's close is no best close": (walk, "max(close[index : here + 1])", "close[here]"),
    "an exit at the entry candle's close is not seen": (
        tape,
        "np.searchsorted(leaves, entries + 1)",
        "np.searchsorted(leaves, entries + 2)",
    ),
    "48 hours are over a candle late": (tape, "time_ms[filled] + hold_ms)", "time_ms[filled] + hold_ms + 1)"),
    "the open behind an exit meets no stop": (
        walk,
        "left = at_open(last * 2, stop, levels, shares, number, left, opens[last], market, fees, fills)",
        "left = left",
    ),
    "a level that is touched is looked at too late": (walk, "trigger = level if level < arm else arm", "trigger = arm"),
    "a day's base is its first close": (ledger, "self.equity_at(begins - 1)", "self.equity_at(begins)"),
    "weeks begin on a Tuesday": (ledger, "* 7 - 3) * DAY_MS", "* 7 - 2) * DAY_MS"),
    "bounds never bind": (ledger, "if least / _NEAR <= self", "if least * 9 <= self"),
    "bounds leave a day's loss out": (ledger, "max(day * self.kept_day, ", "max(0, "),
    "bounds leave the user's own limit out": (ledger, "max(highest, day - own)", "highest"),
    "bounds leave the drawdown out": (ledger, ", peak * self.kept_peak)", ")"),
    "bounds leave the week out": (ledger, " week * self.kept_week,", ""),
    "losing trades never pause": (ledger, "        if pauses:\n", "        if pauses and self.streak:\n"),
    "a trade counts for the day before": (
        ledger,
        "day = day_of(walk.record.opened_ms)",
        "day = day_of(walk.record.opened_ms) - 1",
    ),
    "no entry at the close of an exit's candle": (
        account_run,
        "self._seek(seat, walk.fills[-1][0] >> 1)",
        "self._seek(seat, (walk.fills[-1][0] >> 1) + 1)",
    ),
    "no entry at the close of an exit's candle, of a lone symbol": (
        account_run,
        "index = walk.fills[-1][0] >> 1",
        "index = (walk.fills[-1][0] >> 1) + 1",
    ),
    "a low week is taken for calm": (ledger, "week * self.kept_half)", "0)"),
    "a pause is forgotten": (account_run, "            if paused is not None:\n", "            if paused is None:\n"),
    "entries on their way are not counted": (account_run, "coming = len(self.pending)", "coming = 0"),
    "entries on their way take no room": (account_run, "            exposure += value\n", ""),
    "the score of another candle": (account_run, "cues.score[index]", "cues.score[index - 1]"),
}

CORE = {
    "the farther extreme comes first": ("if start - low <= high - start:", "if start - low > high - start:"),
    "a level is filled where it is touched": ("if price >= end:", "if price > end:"),
    "the stop comes after the ladder": ("        if end >= begin:", "        if end < begin:"),
    "a stop fills at the open of its leg": ("stop if stop < begin else begin", "begin"),
    "a share is rounded up": ("cut(part_of(left, shares[number]), rules.step)", "part_of(left, shares[number]) + 1"),
    "levels pay the taker's fee": (
        "left, start, high, rules, fees.maker, sales)",
        "left, start, high, rules, fees.taker, sales)",
    ),
}


@pytest.fixture(scope="module")
def known(literal: ModuleType, markets: ModuleType, scenarios: ModuleType) -> dict[int, Any]:
    """(feeds, rules, what the plain runner tells) by seed, made when first asked for."""

    class Known(dict[int, Any]):
        def __missing__(self, seed: int) -> Any:
            chosen_by = scenarios.one_limit if seed % 2 else scenarios.scenario
            rows, chosen, level, timeframe = chosen_by(literal, markets, seed)
            feeds, rules = scenarios.candles(rows, timeframe), scenarios.rulebook(chosen, level)
            self[seed] = feeds, rules, scenarios.told_plainly(simulate.simulate(feeds, rules, CASH), CASH)
            return self[seed]

    return Known()


def planted(module: ModuleType, line: str, fault: str) -> ModuleType:
    """The module with another text in the place of that line, which must be there once."""
    source = inspect.getsource(module)
    assert source.count(line) == 1, f"{line!r} is {source.count(line)} times in {module.__name__}"
    made = ModuleType(f"{module.__name__}_planted")
    sys.modules[made.__name__] = made
    exec(compile(source.replace(line, fault), f"{module.__file__}.planted", "exec"), made.__dict__)
    return made


def first_difference(known: dict[int, Any], plant: Callable[[pytest.MonkeyPatch], None], run: Any) -> int | None:
    """The first seed that tells something else while the fault is there; one that stops a run is found too."""
    for seed in SEEDS:
        feeds, rules, expected = known[seed]
        with pytest.MonkeyPatch.context() as patch:
            plant(patch)
            try:
                if run(feeds, rules) != expected:
                    return seed
            except (ArithmeticError, LookupError, TypeError, ValueError):
                return seed
    return None


@pytest.mark.parametrize("fault", FAST)
def test_a_fault_in_the_fast_run_is_found(fault: str, known: dict[int, Any], scenarios: ModuleType) -> None:
    module, line, text = FAST[fault]
    made = planted(module, line, text)
    home, name = {
        walk: (account_run, "Walker"),
        ledger: (account_run, "Ledger"),
        account_run: (apex_run, "AccountRun"),
        tape: (apex_run, "Cues"),
    }[module]

    def plant(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(home, name, getattr(made, name))

    assert first_difference(known, plant, lambda f, r: scenarios.told(apex_run.run_apex(f, r, CASH))) is not None


@pytest.mark.parametrize("fault", CORE)
def test_a_fault_in_the_matching_of_the_paper_broker_is_found(
    fault: str, known: dict[int, Any], scenarios: ModuleType
) -> None:
    made = planted(guarded, *CORE[fault])

    def plant(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(symbol_book, "guarded", made)

    def told(feeds: Any, rules: Any) -> Any:
        return scenarios.told_plainly(simulate.simulate(feeds, rules, CASH), CASH)

    assert first_difference(known, plant, told) is not None


def test_a_trailing_stop_that_does_not_move_is_found(known: dict[int, Any], scenarios: ModuleType) -> None:
    def plant(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(guarding, "trailed", lambda stop, *_: stop)

    assert first_difference(known, plant, lambda f, r: scenarios.told(apex_run.run_apex(f, r, CASH))) is not None


def test_without_a_fault_there_is_no_difference(known: dict[int, Any], scenarios: ModuleType) -> None:
    for seed in SEEDS[:10]:
        feeds, rules, expected = known[seed]
        assert scenarios.told(apex_run.run_apex(feeds, rules, CASH)) == expected
