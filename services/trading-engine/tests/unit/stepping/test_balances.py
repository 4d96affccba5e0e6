"""The protection against a balance that no fill explains: its rule, and that trading alone never trips it."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from nija_trading.domain.account import Account, begin, new_account, run
from nija_trading.domain.apex.protections import Protections, at_close, moved
from nija_trading.domain.balances import adopted, alarming, cost_of
from nija_trading.domain.controls import UNTRIPPED
from nija_trading.domain.desk import Desk
from nija_trading.domain.matching.book import PaperBook
from nija_trading.domain.records import PAPER_CASH, new_paper_account

amounts = st.integers(0, 10**15)


def test_cash_that_only_fills_have_changed_is_never_alarming(random_feeds: Any, terms_for: Any, driver: Any) -> None:
    """The reading is added up from the fills of all trades, apart from the book that the engine keeps."""
    fills_seen = 0

    class Compared(driver):  # type: ignore[misc]
        def _applied(self, turn: Any) -> Any:
            desk = super()._applied(turn)
            fills = [fill for trade in self.trades.values() for fill in trade.fills]
            spent = sum(fill["value"] * (1 if fill["side"] == "buy" else -1) + fill["fee"] for fill in fills)
            read = PAPER_CASH - spent
            assert desk.book.cash == read
            assert not alarming(desk.book.cash, read, cost_of(desk))
            return desk

    for seed in range(8):
        feeds = random_feeds(seed, 420)
        ran = Compared(feeds, terms_for(seed, tuple(feeds)), lambda _: None)
        ran.run()
        fills_seen += sum(len(trade.fills) for trade in ran.trades.values())
    assert fills_seen > 20


@given(expected=amounts, cost=amounts, read=amounts)
def test_more_than_half_of_the_cash_lost_or_of_the_equity_gained_is_alarming(
    expected: int, cost: int, read: int
) -> None:
    if read < expected:
        assert alarming(expected, read, cost) == (expected - read > read)
    else:
        assert alarming(expected, read, cost) == (2 * (read - expected) > expected + cost)


def test_exactly_half_is_not_alarming_and_positions_count_for_a_gain_only() -> None:
    assert not alarming(1000, 500, 0)
    assert alarming(1000, 499, 0)
    assert alarming(1000, 499, 9000)
    assert not alarming(1000, 1500, 0)
    assert alarming(1000, 1501, 0)
    assert not alarming(1000, 6000, 9000)
    assert not alarming(0, 0, 0)
    assert alarming(0, 1, 0)


def account_with(cash: int | None) -> Account:
    asked, _ = begin(
        new_account("usr_a"),
        broker="coinbase",
        paper=True,
        strategy="APEX_V72",
        risk_profile="low",
        switch=UNTRIPPED,
        at_ms=0,
    )
    account, _ = run(asked, cash=PAPER_CASH, step_ms=0, live=False, at_ms=0)
    (ledger,) = account.ledgers.values()
    return account.with_ledger(ledger.model_copy(update={"cash": cash}))


def test_what_was_read_is_expected_from_now_on_and_is_no_result_of_trading(terms_for: Any) -> None:
    account, paper = account_with(PAPER_CASH), new_paper_account("usr_a", "coinbase")
    desk = Desk(account, "paper/coinbase", paper, PaperBook.from_dict(paper.book))
    read = PAPER_CASH * 6 // 10
    after = adopted(desk, read)
    assert (after.ledger.cash, after.book.cash) == (read, read)
    rules = terms_for(0, ("BTC-USD",)).rules
    state = at_close(after.ledger.state, read, 0, rules.params, rules.profile, rules.limits)
    assert (state.drawdown_reached, state.loss_day, state.stopped_week) == (False, None, None)


@given(change=st.integers(-(10**13), 10**13), base=st.integers(0, 10**13), peak=st.none() | st.integers(0, 10**13))
def test_what_equity_is_compared_with_moves_with_it_and_never_below_nothing(
    change: int, base: int, peak: int | None
) -> None:
    state = moved(Protections(base, day=1, day_base=base, week=1, week_base=base, peak=peak), change)
    assert state.equity == state.day_base == state.week_base == max(base + change, 0)
    assert state.peak == (None if peak is None else max(peak + change, 0))
    assert state.day_result == 0


def test_a_ledger_of_before_the_field_is_read_with_an_unknown_cash() -> None:
    stored = account_with(5).model_dump(mode="json")
    del stored["ledgers"]["paper/coinbase"]["cash"]
    assert Account.model_validate(stored).ledgers["paper/coinbase"].cash is None
