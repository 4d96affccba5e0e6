"""A desk: one ledger of one user with everything that a decision reads and a commit writes.

A frozen value, assembled from documents, moved by `stepping.py` and `trading.py`, taken apart into documents
again: what differs from what is stored is what a commit saves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from nija_common.events.base import Event
from nija_common.values.document import Document
from nija_trading.domain.account import Account, Ledger
from nija_trading.domain.apex.reasons import Denial
from nija_trading.domain.apex.step import Rulebook
from nija_trading.domain.matching.book import PaperBook
from nija_trading.domain.matching.orders import MarketOrder
from nija_trading.domain.records import Order, PaperAccount, Position, Trade

D = TypeVar("D", bound=Document)


@dataclass(frozen=True, slots=True)
class Terms:
    """What a bot may do now: its rulebook, its pairs, why it may not enter, and whether signals close."""

    rules: Rulebook
    pairs: tuple[str, ...]
    blocked: Denial | None
    signal_exits: bool


@dataclass(frozen=True, slots=True)
class Desk:
    """`positions` by symbol; `orders` and `trades` by id: those that are open, and those that this turn has ended."""

    account: Account
    key: str
    paper: PaperAccount
    book: PaperBook
    positions: Mapping[str, Position] = field(default_factory=dict)
    orders: Mapping[str, Order] = field(default_factory=dict)
    trades: Mapping[str, Trade] = field(default_factory=dict)

    @property
    def ledger(self) -> Ledger:
        return self.account.ledgers[self.key]

    @property
    def user_id(self) -> str:
        return self.account.id

    def with_account(self, account: Account) -> Desk:
        """The desk of the account as it is by now."""
        return self if self.account is account else replace(self, account=account)

    def with_ledger(self, ledger: Ledger) -> Desk:
        """The desk with its ledger changed."""
        return replace(self, account=self.account.with_ledger(ledger))

    def open_orders(self) -> list[Order]:
        """Intents that are not over."""
        return [order for order in self.orders.values() if order.open]

    def submitting(self) -> list[Order]:
        """Intents whose outcome is not known: to be sent, or looked up after a crash."""
        return [order for order in self.orders.values() if order.state == "submitting"]

    def stops_differ(self) -> list[str]:
        """Symbols whose stop at the broker is not the one that was decided."""
        found = []
        for symbol, position in self.positions.items():
            held = self.book.holdings.get(symbol)
            if held is not None and held.stop is not None and held.stop.price != position.state["stop"]:
                found.append(symbol)
        return found

    def waits_for_broker(self) -> bool:
        """Whether the third commit of a step is still to come."""
        return bool(self.submitting() or self.stops_differ())

    def waiting_entries(self) -> dict[str, MarketOrder]:
        """Entry orders that may still be filled, by id."""
        return {order.id: order.value for order in self.open_orders() if order.side == "buy"}

    def symbols(self) -> set[str]:
        """Markets that concern the ledger whatever the bot's pairs are."""
        return {*self.positions, *(order.symbol for order in self.open_orders())}


@dataclass(frozen=True, slots=True)
class Turn:
    """What came of one look: the new desk, events, and whether it has to be written now."""

    desk: Desk
    events: tuple[Event, ...] = ()
    write: bool = False


def recount(account: Account, before: Desk, after: Desk) -> Account:
    """The account with its counts moved by what changed on a desk."""
    return account.changed(
        positions=account.positions + len(after.positions) - len(before.positions),
        orders=account.orders + len(after.open_orders()) - len(before.open_orders()),
        reserved=account.reserved + _reserved(after) - _reserved(before),
    )


def _reserved(desk: Desk) -> int:
    return sum(order.reserved for order in desk.open_orders())


@dataclass(frozen=True, slots=True)
class Changes:
    """Documents that a commit writes and removes. The account is always among the saves: it is the guard."""

    saves: tuple[Document, ...]
    deletes: tuple[Document, ...]


def changes(stored: Desk, now: Desk) -> Changes:
    """What differs between the desk as it is stored and as it is now."""
    saves: list[Document] = [now.account]
    paper = now.paper if now.book is stored.book else _with_book(now)
    if paper is not stored.paper or paper.version == 0:
        saves.append(paper)
    known = {position.id: position for position in stored.positions.values()}
    held = {position.id: position for position in now.positions.values()}
    saves += [position for position in held.values() if position is not known.get(position.id)]
    saves += [order for order in now.orders.values() if order is not stored.orders.get(order.id)]
    saves += [trade for trade in now.trades.values() if trade is not stored.trades.get(trade.id)]
    gone = [position for position_id, position in known.items() if position_id not in held]
    return Changes(tuple(saves), tuple(gone))


def committed(now: Desk, written: Changes) -> Desk:
    """The desk as it is stored after that commit: versions raised, what is over left out."""
    new = {(type(document), document.id): _raised(document) for document in written.saves}
    account = new[(Account, now.account.id)]
    paper = new.get((PaperAccount, now.paper.id), now.paper)
    assert isinstance(account, Account) and isinstance(paper, PaperAccount)
    positions = {symbol: _newest(new, position) for symbol, position in now.positions.items()}
    orders = [_newest(new, order) for order in now.orders.values() if order.open]
    trades = [_newest(new, trade) for trade in now.trades.values() if trade.status in ("pending", "open")]
    return replace(now, account=account, paper=paper, positions=positions, orders=_by_id(orders), trades=_by_id(trades))


def _with_book(desk: Desk) -> PaperAccount:
    return desk.paper.model_copy(update={"book": desk.book.to_dict()})


def _raised(document: D) -> D:
    return document.model_copy(update={"version": document.version + 1})


def _newest(new: Mapping[tuple[type[Document], str], Document], document: D) -> D:
    found = new.get((type(document), document.id), document)
    assert isinstance(found, type(document))
    return found


def _by_id(documents: Iterable[D]) -> dict[str, D]:
    return {document.id: document for document in documents}
