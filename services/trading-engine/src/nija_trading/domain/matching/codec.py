"""Orders, stops and levels as plain JSON values and back, for whoever stores a book or a fill.

Only the shapes of the matching core; how documents are stored is not decided here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from nija_trading.domain.matching.orders import (
    Bracket,
    BracketLevel,
    Fill,
    LimitOrder,
    Liquidity,
    MarketOrder,
    Order,
    Reason,
    RestingLevel,
    RestingStop,
    Side,
)

Row = dict[str, Any]


class _Guarded(Protocol):
    """A holding, as far as it is written here."""

    @property
    def quantity(self) -> int: ...
    @property
    def active_from(self) -> int: ...
    @property
    def stop(self) -> RestingStop | None: ...
    @property
    def levels(self) -> tuple[RestingLevel, ...]: ...


def holding_to(held: _Guarded) -> Row:
    """A holding as JSON values."""
    stop = held.stop
    return {
        "quantity": held.quantity,
        "active_from": held.active_from,
        "stop": stop and {"order_id": stop.order_id, "price": stop.price, "reason": stop.reason.value},
        "levels": [{"order_id": level.order_id, "price": level.price, "share": level.share} for level in held.levels],
    }


def stop_from(row: Mapping[str, Any]) -> RestingStop | None:
    """The stop of a stored holding."""
    stop = row["stop"]
    return stop and RestingStop(stop["order_id"], stop["price"], Reason(stop["reason"]))


def levels_from(row: Mapping[str, Any]) -> tuple[RestingLevel, ...]:
    """The levels of a stored holding."""
    return tuple(RestingLevel(level["order_id"], level["price"], level["share"]) for level in row["levels"])


def bracket_to(bracket: Bracket | None) -> Row | None:
    """A bracket as JSON values."""
    if bracket is None:
        return None
    return {
        "stop_order_id": bracket.stop_order_id,
        "atr": bracket.atr,
        "multiple": bracket.multiple,
        "minimum": bracket.minimum,
        "maximum": bracket.maximum,
        "levels": [{"order_id": level.order_id, "gain": level.gain, "share": level.share} for level in bracket.levels],
        "gross_levels": bracket.gross_levels,
    }


def bracket_from(row: Mapping[str, Any] | None) -> Bracket | None:
    """The bracket that `bracket_to` wrote."""
    if row is None:
        return None
    levels = tuple(BracketLevel(level["order_id"], level["gain"], level["share"]) for level in row["levels"])
    return Bracket(
        row["stop_order_id"],
        row["atr"],
        row["multiple"],
        row["minimum"],
        row["maximum"],
        levels,
        row["gross_levels"],
    )


def order_to(order: Order) -> Row:
    """An order as JSON values; `type` tells the kind."""
    row: Row = {
        "order_id": order.order_id,
        "symbol": order.symbol,
        "side": order.side.value,
        "reason": order.reason.value,
        "quantity": order.quantity,
        "bracket": bracket_to(order.bracket),
    }
    if isinstance(order, MarketOrder):
        return row | {"type": "market", "decided_ms": order.decided_ms, "value": order.value}
    return row | {"type": "limit", "price": order.price, "placed_ms": order.placed_ms}


def order_from(row: Mapping[str, Any]) -> Order:
    """The order that `order_to` wrote."""
    order_id, symbol = row["order_id"], row["symbol"]
    side, reason, bracket = Side(row["side"]), Reason(row["reason"]), bracket_from(row["bracket"])
    if row["type"] == "market":
        decided, value = row["decided_ms"], row["value"]
        return MarketOrder(order_id, symbol, side, reason, decided, value, row["quantity"], bracket)
    return LimitOrder(order_id, symbol, side, reason, row["price"], row["quantity"], row["placed_ms"], bracket)


def fill_to(fill: Fill) -> Row:
    """A fill as JSON values."""
    return {
        "order_id": fill.order_id,
        "symbol": fill.symbol,
        "side": fill.side.value,
        "price": fill.price,
        "quantity": fill.quantity,
        "value": fill.value,
        "fee": fill.fee,
        "liquidity": fill.liquidity.value,
        "market_time": fill.market_time,
        "reason": fill.reason.value,
    }


def fill_from(row: Mapping[str, Any]) -> Fill:
    """The fill that `fill_to` wrote."""
    return Fill(
        row["order_id"],
        row["symbol"],
        Side(row["side"]),
        row["price"],
        row["quantity"],
        row["value"],
        row["fee"],
        Liquidity(row["liquidity"]),
        row["market_time"],
        Reason(row["reason"]),
    )
