"""Orders, positions, trades and paper books as they are stored. What they mean is in `matching` and `booking`."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from nija_common.events.trading import TradeSource
from nija_common.values.document import Collection, Document, Index
from nija_trading.domain.matching import codec
from nija_trading.domain.matching.book import PaperBook
from nija_trading.domain.matching.orders import Fill, MarketOrder
from nija_trading.domain.matching.position import PositionState

OrderState = Literal["submitting", "accepted", "filled", "cancelled", "rejected", "unknown"]
PAPER_CASH = 10_000 * 100_000_000


class Order(Document):
    """An intent, and what became of it. Its id is the client order id, derived from what was decided.

    `mark`: a price at which it is filled at once, on paper; without one it is for the next open. `reserved`:
    exposure that it holds until it is filled or over. `created_at_ms` is the store's clock.
    """

    collection: ClassVar[Collection] = Collection("orders", (Index("by_user", ("user_id", "open")),))

    user_id: str
    broker: str
    paper: bool
    symbol: str
    side: Literal["buy", "sell"]
    state: OrderState = "submitting"
    open: bool = True
    order: dict[str, Any]
    trade_id: str
    source: TradeSource
    reserved: int = 0
    mark: float | None = None
    mark_ms: int | None = None
    created_at_ms: int
    ended_at_ms: int | None = None
    end_reason: str | None = None

    @property
    def value(self) -> MarketOrder:
        """The order as the matching core knows it."""
        order = codec.order_from(self.order)
        assert isinstance(order, MarketOrder)
        return order

    def over(self, state: OrderState, at_ms: int, reason: str | None = None) -> Order:
        """The order in a final state."""
        update = {"state": state, "open": False, "reserved": 0, "ended_at_ms": at_ms, "end_reason": reason}
        return self.model_copy(update=update)


class Position(Document):
    """An open position; the document goes with its last exit, its trade stays."""

    collection: ClassVar[Collection] = Collection(
        "positions", (Index("by_user", ("user_id",)), Index("by_ledger", ("paper",)))
    )

    user_id: str
    trade_id: str
    broker: str
    paper: bool
    symbol: str
    source: TradeSource
    state: dict[str, Any]
    opened_at_ms: int

    @property
    def value(self) -> PositionState:
        """The position as the strategy knows it."""
        return PositionState.from_dict(self.state)


class Trade(Document):
    """A trade from its acceptance to its last exit, with every fill. `reason`: why it was cancelled."""

    collection: ClassVar[Collection] = Collection(
        "trades", (Index("by_user", ("user_id", "status", "accepted_at_ms")),)
    )

    user_id: str
    status: Literal["pending", "open", "closed", "cancelled"]
    broker: str
    paper: bool
    symbol: str
    source: TradeSource
    accepted_at_ms: int
    opened_at_ms: int | None = None
    closed_at_ms: int | None = None
    position_id: str | None = None
    reason: str | None = None
    exit_reason: str | None = None
    fills: tuple[dict[str, Any], ...] = ()

    def with_fill(self, fill: Fill) -> Trade:
        """The trade with one more fill."""
        return self.model_copy(update={"fills": (*self.fills, codec.fill_to(fill))})


class PaperAccount(Document):
    """The paper book of one user at one broker: 10,000 USD at first, never reset."""

    collection: ClassVar[Collection] = Collection("paper_books")

    user_id: str
    broker: str
    book: dict[str, Any]


def paper_id(user_id: str, broker: str) -> str:
    """The id of a paper book's document."""
    return f"{user_id}/{broker}"


def new_paper_account(user_id: str, broker: str) -> PaperAccount:
    """A paper account that nobody has used yet."""
    return PaperAccount(
        id=paper_id(user_id, broker), user_id=user_id, broker=broker, book=PaperBook(PAPER_CASH).to_dict()
    )
