"""What becomes of orders that may not be filled any more."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nija_common.events.trading import TradeCancelled
from nija_trading.domain import account as accounts
from nija_trading.domain.apex.parameters import PROFILES, Limits, RiskLevel
from nija_trading.domain.apex.step import EntryDecision, Rulebook
from nija_trading.domain.brokering import look_up_on_paper, orders_cancelled, outcome, refused, submit_on_paper
from nija_trading.domain.controls import UNTRIPPED
from nija_trading.domain.desk import Desk, Terms, recount
from nija_trading.domain.gates import PARAMETERS
from nija_trading.domain.matching.book import PaperBook
from nija_trading.domain.matching.terms import COINBASE
from nija_trading.domain.records import PAPER_CASH, Trade, new_paper_account
from nija_trading.domain.stepping import intent

TERMS = Terms(Rulebook(PARAMETERS, PROFILES[RiskLevel.MEDIUM], Limits(), COINBASE), ("BTC-USD",), None, True)
VALUE = 50_000_000_000


@pytest.fixture
def desk() -> Desk:
    """An entry by alert that is about to leave."""
    account, _ = accounts.begin(
        accounts.new_account("usr_a"),
        broker="coinbase",
        paper=True,
        strategy="APEX_V72",
        risk_profile="medium",
        switch=UNTRIPPED,
        at_ms=0,
    )
    account, _ = accounts.run(account, cash=PAPER_CASH, step_ms=0, live=False, at_ms=0)
    paper = new_paper_account("usr_a", "coinbase")
    empty = Desk(account, "paper/coinbase", paper, PaperBook.from_dict(paper.book))
    order = EntryDecision("BTC-USD", 3, 0.03, VALUE, 100.0, 1.0).order("ord_1", 0, PARAMETERS)
    sent = intent(empty, order, trade_id="trd_1", source="webhook", at_ms=0, reserved=VALUE)
    trade = Trade(
        id="trd_1",
        user_id="usr_a",
        status="pending",
        broker="coinbase",
        paper=True,
        symbol="BTC-USD",
        source="webhook",
        accepted_at_ms=0,
    )
    waiting = replace(empty, orders={sent.id: sent}, trades={trade.id: trade})
    return replace(waiting, account=recount(account, empty, waiting))


def filled(desk: Desk) -> Desk:
    marked = desk.orders["ord_1"].model_copy(update={"mark": 100.0, "mark_ms": 0})
    reply = submit_on_paper(desk.book, COINBASE, marked)
    return outcome(replace(desk, orders={marked.id: marked}), reply, TERMS, 1).desk


def assert_nothing_left(desk: Desk, events: Any, reason: str) -> None:
    assert [(type(event), event.reason) for event in events] == [(TradeCancelled, reason)]
    assert desk.open_orders() == []
    assert (desk.account.orders, desk.account.reserved, desk.book.orders) == (0, 0, ())
    assert desk.trades["trd_1"].status == "cancelled"


def test_an_intent_that_may_not_leave_any_more_ends_with_its_trade(desk: Desk) -> None:
    assert (desk.account.orders, desk.account.reserved) == (1, VALUE)
    turn = refused(desk, desk.orders["ord_1"], "kill_switch", TERMS, 1)
    assert_nothing_left(turn.desk, turn.events, "kill_switch")


def test_a_waiting_entry_is_taken_back_from_the_book(desk: Desk) -> None:
    rests = outcome(desk, submit_on_paper(desk.book, COINBASE, desk.orders["ord_1"]), TERMS, 1).desk
    assert [order.order_id for order in rests.book.orders] == ["ord_1"]
    turn = orders_cancelled(rests, "emergency_stop", TERMS, 2)
    assert_nothing_left(turn.desk, turn.events, "emergency_stop")


def test_an_order_that_the_book_knows_is_not_sent_again(desk: Desk) -> None:
    order = desk.orders["ord_1"]
    assert look_up_on_paper(desk.book, order) is None
    sent = submit_on_paper(desk.book, COINBASE, order)
    found = look_up_on_paper(sent.matched.book, order)
    assert found is not None
    assert (found.state, found.matched.book) == ("accepted", sent.matched.book)


def test_a_fill_moves_the_reservation_into_a_position(desk: Desk) -> None:
    after = filled(desk)
    assert (after.account.positions, after.account.orders, after.account.reserved) == (1, 0, 0)
    assert after.positions["BTC-USD"].trade_id == "trd_1"
    assert after.trades["trd_1"].status == "open"


def test_targets_can_be_taken_back_and_the_stop_stays(desk: Desk) -> None:
    turn = orders_cancelled(filled(desk), "manual", TERMS, 2, targets=True)
    held = turn.desk.book.holdings["BTC-USD"]
    assert held.levels == ()
    assert held.stop is not None
    assert turn.write
