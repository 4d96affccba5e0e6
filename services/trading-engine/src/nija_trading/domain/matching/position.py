"""A position: what fills and closes make of a trade, from its entry to its last exit.

The engine's own books of a trade, alike for paper and live brokers. Long only: the venues are spot markets,
where a short signal can only close. Money in units of 1e-8, prices float64, times market UTC milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from nija_trading.domain.matching.money import value_of
from nija_trading.domain.matching.orders import Fill, Reason, Side


@dataclass(frozen=True, slots=True)
class PositionState:
    """A trade while it lives, and once more after its last exit (`quantity` 0).

    `cost` is the value of the entry without its fee; `proceeds` the value of all exits without theirs; `fees`
    all fees so far, `entry_fee` among them. `levels_done` counts take-profit levels, skipped ones too.
    `best_close` is the highest close since the entry, the entry candle's own included, None before the first.
    """

    symbol: str
    entry_order_id: str
    opened_ms: int
    entry_price: float
    entry_quantity: int
    quantity: int
    cost: int
    entry_fee: int
    fees: int
    proceeds: int
    atr_at_signal: float
    stop: float | None
    armed: bool = False
    best_close: float | None = None
    levels_done: int = 0
    entry_candle_ms: int | None = None
    closed_ms: int | None = None
    exit_reason: Reason | None = None

    @property
    def is_open(self) -> bool:
        """Whether anything is left."""
        return self.quantity > 0

    @property
    def realized_pnl(self) -> int:
        """Profit of what has been sold, net of its fees and of its part of the entry's cost and fee."""
        sold = self.entry_quantity - self.quantity
        earned = self.proceeds - (self.fees - self.entry_fee)
        return earned - paid_for(sold, self.entry_quantity, self.cost + self.entry_fee)

    def value_at(self, price: float) -> int:
        """Worth of what is left at a price."""
        return value_of(price, self.quantity)

    def unrealized_pnl(self, price: float) -> int:
        """Profit of what is left at a price, without exit costs, net of its part of the entry's."""
        sold = self.entry_quantity - self.quantity
        whole = self.cost + self.entry_fee
        return self.value_at(price) - (whole - whole * sold // self.entry_quantity)

    def to_dict(self) -> dict[str, Any]:
        """The position as plain JSON values."""
        return {name: getattr(self, name) for name in self.__slots__} | {
            "exit_reason": self.exit_reason and self.exit_reason.value
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> PositionState:
        """The position that `to_dict` wrote."""
        reason = data["exit_reason"]
        return cls(**{**data, "exit_reason": None if reason is None else Reason(reason)})


def paid_for(sold: int, bought: int, whole: int) -> int:
    """The part of what an entry took, cost and fee, that belongs to what has been sold."""
    return whole * sold // bought


def opened_by(fill: Fill, *, atr_at_signal: float, stop: float | None) -> PositionState:
    """The position that an entry's fill opens. `stop` is the price of the stop that came to life with it."""
    if fill.side is not Side.BUY:
        raise ValueError(f"order {fill.order_id} is a sell and opens nothing on a spot market")
    return PositionState(
        symbol=fill.symbol,
        entry_order_id=fill.order_id,
        opened_ms=fill.market_time,
        entry_price=fill.price,
        entry_quantity=fill.quantity,
        quantity=fill.quantity,
        cost=fill.value,
        entry_fee=fill.fee,
        fees=fill.fee,
        proceeds=0,
        atr_at_signal=atr_at_signal,
        stop=stop,
    )


def reduced_by(position: PositionState, fill: Fill) -> PositionState:
    """The position after an exit's fill; closed when nothing is left. ValueError for more than is held."""
    if fill.side is not Side.SELL or fill.symbol != position.symbol or fill.quantity > position.quantity:
        raise ValueError(f"fill of order {fill.order_id} does not reduce the position in {position.symbol}")
    left = position.quantity - fill.quantity
    return replace(
        position,
        quantity=left,
        fees=position.fees + fill.fee,
        proceeds=position.proceeds + fill.value,
        levels_done=position.levels_done + (fill.reason is Reason.TAKE_PROFIT),
        closed_ms=None if left else fill.market_time,
        exit_reason=fill.reason,
    )


def level_skipped(position: PositionState) -> PositionState:
    """The position after a take-profit level that was too small to sell: it counts as done."""
    return replace(position, levels_done=position.levels_done + 1)
