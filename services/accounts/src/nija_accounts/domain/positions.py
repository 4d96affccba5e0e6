"""Open positions and what they are worth at the last price.

Profit is before the fee of the exit; value is quantity times price. Not here: profit that is realised
(`trades.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar, Literal

from nija_common.events.trading import PositionChanged, PositionOpened
from nija_common.values.document import Collection, Document, Index
from nija_common.values.money import Units, units

Market = tuple[str, str]
"""(broker, symbol): what has one price."""


class OpenPosition(Document):
    """One open position as its last event left it; amounts in units of 1e-8."""

    collection: ClassVar[Collection] = Collection(
        "open_positions", (Index("by_ledger", ("user_id", "paper", "opened_at_ms")),)
    )

    user_id: str
    symbol: str
    side: Literal["long", "short"]
    broker: str
    paper: bool
    entry_price: float
    quantity: Units
    size_usd: Units
    stop_loss: float | None
    take_profit: float | None
    mark_price: float
    tick: float | None
    protected: bool
    opened_at_ms: int
    at_ms: int

    @property
    def market(self) -> Market:
        return (self.broker, self.symbol)


@dataclass(frozen=True, slots=True)
class Mark:
    """The last price of a market, and when it was looked at (UTC milliseconds)."""

    price: float
    at_ms: int


class Marks:
    """The last price of each market, in memory: filled from the bus, lost with the process."""

    def __init__(self) -> None:
        self._marks: dict[Market, Mark] = {}

    def moved(self, market: Market, mark: Mark) -> None:
        """Takes over a price unless a newer one is known."""
        known = self._marks.get(market)
        if known is None or mark.at_ms >= known.at_ms:
            self._marks[market] = mark

    def of(self, position: OpenPosition) -> Mark:
        """The newest price known for a position: its market's, or the one its last event carried."""
        own = Mark(position.mark_price, position.at_ms)
        known = self._marks.get(position.market)
        return own if known is None or known.at_ms < own.at_ms else known


@dataclass(frozen=True, slots=True)
class Valued:
    """A position at a price: `value` = quantity x price, `pnl` against the entry (both in units of 1e-8 USD)."""

    position: OpenPosition
    mark: Mark
    value: Units
    pnl: Units

    @property
    def pnl_pct(self) -> float:
        """Per cent of the entry value."""
        return per_cent(self.pnl, self.position.size_usd)

    @property
    def equity(self) -> Units:
        """What the position adds to the account: its entry value and its profit (for a long: its value)."""
        return self.value if self.position.side == "long" else self.position.size_usd + self.pnl


def open_position(event: PositionOpened | PositionChanged, version: int) -> OpenPosition:
    """The document of a position after this event; `version` of the stored one that it replaces, else 0."""
    fields = event.model_dump(exclude={"position_id", "trade_id", "quantity", "size_usd"})
    return OpenPosition(
        id=event.position_id,
        version=version,
        quantity=units(event.quantity),
        size_usd=units(event.size_usd),
        **fields,
    )


def valued(position: OpenPosition, mark: Mark) -> Valued:
    """The position at that price."""
    price, entry = Decimal(repr(mark.price)), Decimal(repr(position.entry_price))
    value = round(price * position.quantity)
    pnl = round((price - entry) * position.quantity)
    return Valued(position, mark, value, pnl if position.side == "long" else -pnl)


def total_pnl_pct(positions: Sequence[Valued]) -> float:
    """Profit of all in per cent of what their entries cost; 0 without positions."""
    return per_cent(sum(v.pnl for v in positions), sum(v.position.size_usd for v in positions))


def per_cent(part: Units, whole: Units) -> float:
    """100 x part / whole, 0 where there is no whole."""
    return 100 * part / whole if whole else 0.0
