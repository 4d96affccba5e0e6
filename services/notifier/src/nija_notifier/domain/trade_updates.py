"""Trade events as the updates of the channel `trades`. `trade.accepted` is none: nothing has been executed yet."""

from __future__ import annotations

from nija_common.events.trading import TradeCancelled, TradeClosed, TradeOpened, TradeReduced
from nija_common.values.money import price, quantity, units, usd
from nija_common.values.times import iso
from nija_notifier.domain.messages import update
from nija_notifier.domain.outbox import Origin

TradeEvent = TradeOpened | TradeReduced | TradeClosed | TradeCancelled


TRADE_EVENTS = (TradeOpened, TradeReduced, TradeClosed, TradeCancelled)


class TradeUpdate:
    """One update of the channel: its event, and where it stands on the bus. The frame is built when first asked for."""

    __slots__ = ("_frame", "event", "offset", "origin", "partition")

    def __init__(self, event: TradeEvent, partition: int, offset: int, origin: Origin | None = None) -> None:
        self.event = event
        self.origin = origin
        self.partition = partition
        self.offset = offset
        self._frame: bytes | None = None

    @property
    def user_id(self) -> str:
        return self.event.user_id

    def frame(self) -> bytes:
        """The frame `trade_executed`; its `id` is the record's offset in the user's partition, alike on every replica."""
        if self._frame is None:
            self._frame = update("trade_executed", "trades", _data(self.event), self.offset)
        return self._frame


def _data(event: TradeEvent) -> dict[str, object]:
    match event:
        case TradeOpened():
            return {
                **_head(event, "opened"),
                "position_id": event.position_id,
                "entry_price": price(event.entry_price),
                "quantity": _quantity(event.quantity),
                "size_usd": _usd(event.size_usd),
                "fees": _usd(event.fees),
                "source": event.source,
                "timestamp": iso(event.at_ms),
            }
        case TradeReduced():
            return {
                **_head(event, "reduced"),
                "position_id": event.position_id,
                "entry_price": None,
                "exit_price": price(event.price),
                "quantity": _quantity(event.quantity),
                "remaining_quantity": _quantity(event.remaining_quantity),
                "size_usd": None,
                "realized_pnl": _usd(event.realized_pnl),
                "fees": _usd(event.fees),
                "reason": event.reason,
                "timestamp": iso(event.at_ms),
            }
        case TradeClosed():
            return {
                **_head(event, "closed"),
                "position_id": event.position_id,
                "entry_price": price(event.entry_price),
                "exit_price": price(event.exit_price),
                "quantity": _quantity(event.quantity),
                "size_usd": _usd(event.size_usd),
                "realized_pnl": _usd(event.realized_pnl),
                "realized_pnl_pct": round(event.realized_pnl_pct, 4),
                "fees": _usd(event.fees),
                "reason": event.exit_reason,
                "source": event.source,
                "opened_at": iso(event.opened_at_ms),
                "timestamp": iso(event.closed_at_ms),
            }
        case TradeCancelled():
            return {
                **_head(event, "cancelled"),
                "entry_price": None,
                "exit_price": None,
                "quantity": 0.0,
                "size_usd": 0.0,
                "fees": 0.0,
                "reason": event.reason,
                "source": event.source,
                "timestamp": iso(event.at_ms),
            }


def _head(event: TradeEvent, action: str) -> dict[str, object]:
    return {
        "trade_id": event.trade_id,
        "action": action,
        "symbol": event.symbol,
        "side": event.side,
        "broker": event.broker,
        "paper": event.paper,
    }


def _usd(text: str) -> float:
    return usd(units(text))


def _quantity(text: str) -> float:
    return quantity(units(text))
