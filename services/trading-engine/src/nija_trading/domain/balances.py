"""Whether a ledger's cash is what its fills have made of it, and what becomes of a ledger whose cash is not.

Pure: what is expected stands in the account (`Ledger.cash`), the reading is `handlers/balances.py`'s.
"""

from __future__ import annotations

from dataclasses import replace

from nija_trading.domain.apex.protections import moved
from nija_trading.domain.desk import Desk
from nija_trading.domain.matching.money import value_of


def alarming(expected: int, read: int, cost: int) -> bool:
    """Whether cash differs by more than half of its base from what fills explain. All in units of 1e-8.

    `expected` is what the engine's last commit left, every fill booked; `read` what the broker says; `cost` what the
    open positions have cost (entry price times quantity). The base of a loss is the expected cash: a bot that has
    invested four fifths could lose all its cash without losing half of its equity. The base of a gain is the expected
    equity, cash and cost: a deposit beside large positions is nothing to stop for. Cost and not worth, so that no
    price decides, nor one that is missing.
    """
    change = read - expected
    base = expected if change < 0 else expected + cost
    return 2 * abs(change) > max(base, 0)


def cost_of(desk: Desk) -> int:
    """What the desk's open positions have cost, as far as they are still held."""
    states = (position.value for position in desk.positions.values())
    return sum(value_of(state.entry_price, state.quantity) for state in states)


def adopted(desk: Desk, read: int) -> Desk:
    """The desk with the cash that was read, which is the expected one from now on. The difference is no result of
    trading: what the protections compare equity with moves by it."""
    ledger = desk.ledger
    assert ledger.cash is not None
    protections = moved(ledger.state, read - ledger.cash)
    after = desk.with_ledger(ledger.model_copy(update={"cash": read, "protections": protections.to_dict()}))
    return after if read == desk.book.cash else replace(after, book=replace(desk.book, cash=read))
