"""Events about bots, trades and positions. Produced by trading-engine.

Amounts are decimal text (USD or base quantity), prices numbers, times UTC milliseconds of the wall clock
except `market_time_ms`, which is the candle's own. `paper` tells the two ledgers apart.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from nija_common.events.base import Event
from nija_common.events.topics import CONTROLS, MARKET_MARKS, TRADING, TRADING_COMMANDS

BotStatus = Literal["stopped", "starting", "running", "paused", "error"]
Side = Literal["long", "short"]
ExitReason = Literal[
    "take_profit",
    "stop_loss",
    "trailing_stop",
    "opposite_signal",
    "trend_break",
    "max_hold",
    "manual",
    "webhook",
    "emergency_stop",
    "kill_switch",
]
TradeSource = Literal["strategy", "webhook"]

_USER = "usr_01jk0000000000000000000000"
_POSITION = "pos_01jk0000000000000000000000"
_TRADE = "trd_01jk0000000000000000000000"


class KillSwitchSnapshot(Event):
    """Emitted by trading-engine when a kill switch is tripped or released. `scope` is `global` or a user id."""

    topic = CONTROLS
    type = "kill_switch.snapshot"
    example: ClassVar[dict[str, Any]] = {
        "scope": "global",
        "active": True,
        "reason": "Market emergency",
        "by": _USER,
        "at_ms": 1769683320000,
        "close_positions": False,
        "notify_users": True,
    }

    scope: str
    active: bool
    reason: str
    by: str
    at_ms: int
    close_positions: bool
    notify_users: bool = False

    def key(self) -> str:
        return self.scope


class CommandsWaiting(Event):
    """Emitted by trading-engine's API after it has stored a command: the worker of the user's shard looks at once."""

    topic = TRADING_COMMANDS
    type = "commands.waiting"
    example: ClassVar[dict[str, Any]] = {"user_id": _USER}

    user_id: str


class BotStatusChanged(Event):
    """Emitted when a bot's status changes, whoever changed it; `reason` says why in words where there is a why."""

    topic = TRADING
    type = "bot.status_changed"
    example: ClassVar[dict[str, Any]] = {
        "user_id": _USER,
        "status": "running",
        "broker": "coinbase",
        "paper": True,
        "strategy": "APEX_V72",
        "reason": None,
        "at_ms": 1769683320000,
    }

    user_id: str
    status: BotStatus
    broker: str
    paper: bool
    strategy: str
    reason: str | None
    at_ms: int


class BalanceRead(Event):
    """Emitted when the cash of an account is known anew: at the first start, and after every fill or broker read."""

    topic = TRADING
    type = "balance.read"
    example: ClassVar[dict[str, Any]] = {
        "user_id": _USER,
        "broker": "coinbase",
        "paper": True,
        "currency": "USD",
        "cash": "9850.50",
        "at_ms": 1769683320000,
        "initial": False,
    }

    user_id: str
    broker: str
    paper: bool
    currency: str
    cash: str
    at_ms: int
    initial: bool
    """The first reading of this ledger: the cash is what the account began with."""


class BrokerConnected(Event):
    """Emitted when a broker connection has been tried and kept. No part of a key is in it."""

    topic = TRADING
    type = "broker.connected"
    example: ClassVar[dict[str, Any]] = {
        "user_id": _USER,
        "broker_id": "brk_01jk0000000000000000000000",
        "broker": "coinbase",
        "permissions": ["read", "trade"],
        "at_ms": 1769683320000,
    }

    user_id: str
    broker_id: str
    broker: str
    permissions: tuple[str, ...]
    at_ms: int


class BrokerRemoved(Event):
    """Emitted when a broker connection has been removed and its key destroyed."""

    topic = TRADING
    type = "broker.removed"
    example: ClassVar[dict[str, Any]] = {
        "user_id": _USER,
        "broker_id": "brk_01jk0000000000000000000000",
        "broker": "coinbase",
        "at_ms": 1769683320000,
    }

    user_id: str
    broker_id: str
    broker: str
    at_ms: int


class TradeAccepted(Event):
    """Emitted when an alert has been stored: a trade that is pending until it is opened or cancelled."""

    topic = TRADING
    type = "trade.accepted"
    example: ClassVar[dict[str, Any]] = {
        "user_id": _USER,
        "trade_id": _TRADE,
        "symbol": "BTC-USD",
        "side": "long",
        "broker": "coinbase",
        "paper": True,
        "source": "webhook",
        "at_ms": 1769683320000,
    }

    user_id: str
    trade_id: str
    symbol: str
    side: Side
    broker: str
    paper: bool
    source: TradeSource
    at_ms: int


class TradeOpened(Event):
    """Emitted in the commit that holds the entry's fill."""

    topic = TRADING
    type = "trade.opened"
    example: ClassVar[dict[str, Any]] = {
        "user_id": _USER,
        "trade_id": _TRADE,
        "position_id": _POSITION,
        "symbol": "BTC-USD",
        "side": "long",
        "broker": "coinbase",
        "paper": True,
        "source": "strategy",
        "entry_price": 43210.5,
        "quantity": "0.01157",
        "size_usd": "499.95",
        "fees": "3.00",
        "at_ms": 1769683320000,
        "market_time_ms": 1769683200000,
    }

    user_id: str
    trade_id: str
    position_id: str
    symbol: str
    side: Side
    broker: str
    paper: bool
    source: TradeSource
    entry_price: float
    quantity: str
    size_usd: str
    fees: str
    at_ms: int
    market_time_ms: int


class TradeReduced(Event):
    """Emitted in the commit that holds the fill of a partial exit. `realized_pnl` is of this exit, net of its share of fees."""

    topic = TRADING
    type = "trade.reduced"
    example: ClassVar[dict[str, Any]] = {
        "user_id": _USER,
        "trade_id": _TRADE,
        "position_id": _POSITION,
        "symbol": "BTC-USD",
        "side": "long",
        "broker": "coinbase",
        "paper": True,
        "price": 43650.0,
        "quantity": "0.001157",
        "remaining_quantity": "0.010413",
        "realized_pnl": "0.21",
        "fees": "0.20",
        "reason": "take_profit",
        "at_ms": 1769683320000,
        "market_time_ms": 1769683200000,
        "entry_price": 43210.5,
        "size_usd": "499.95",
    }

    user_id: str
    trade_id: str
    position_id: str
    symbol: str
    side: Side
    broker: str
    paper: bool
    price: float
    quantity: str
    remaining_quantity: str
    realized_pnl: str
    fees: str
    reason: ExitReason
    at_ms: int
    market_time_ms: int
    entry_price: float | None = None
    size_usd: str | None = None
    """Of the whole trade, as in `trade.opened`."""


class TradeClosed(Event):
    """Emitted in the commit that holds the fill of the last exit. `realized_pnl` and `fees` are of the whole trade.

    `exit_price` is the average of all exits weighted by quantity; `realized_pnl` is net of `fees`.
    """

    topic = TRADING
    type = "trade.closed"
    example: ClassVar[dict[str, Any]] = {
        "user_id": _USER,
        "trade_id": _TRADE,
        "position_id": _POSITION,
        "symbol": "BTC-USD",
        "side": "long",
        "broker": "coinbase",
        "paper": True,
        "source": "strategy",
        "entry_price": 43210.5,
        "exit_price": 43650.0,
        "quantity": "0.01157",
        "size_usd": "499.95",
        "realized_pnl": "0.06",
        "realized_pnl_pct": 0.012,
        "fees": "5.02",
        "opened_at_ms": 1769683320000,
        "closed_at_ms": 1769693320000,
        "market_time_ms": 1769693200000,
        "exit_reason": "trailing_stop",
    }

    user_id: str
    trade_id: str
    position_id: str
    symbol: str
    side: Side
    broker: str
    paper: bool
    source: TradeSource
    entry_price: float
    exit_price: float
    quantity: str
    size_usd: str
    realized_pnl: str
    realized_pnl_pct: float
    fees: str
    opened_at_ms: int
    closed_at_ms: int
    market_time_ms: int
    exit_reason: ExitReason


class TradeCancelled(Event):
    """Emitted when an accepted trade ends without a fill; `reason` is a word of the API's list (`expired`, `paused`, …)."""

    topic = TRADING
    type = "trade.cancelled"
    example: ClassVar[dict[str, Any]] = {
        "user_id": _USER,
        "trade_id": _TRADE,
        "symbol": "BTC-USD",
        "side": "long",
        "broker": "coinbase",
        "paper": True,
        "source": "webhook",
        "reason": "expired",
        "accepted_at_ms": 1769683320000,
        "at_ms": 1769683380000,
    }

    user_id: str
    trade_id: str
    symbol: str
    side: Side
    broker: str
    paper: bool
    source: TradeSource
    reason: str
    accepted_at_ms: int
    at_ms: int


class _Position(Event):
    user_id: str
    position_id: str
    trade_id: str
    symbol: str
    side: Side
    broker: str
    paper: bool
    entry_price: float
    quantity: str
    size_usd: str
    stop_loss: float | None
    take_profit: float | None
    mark_price: float
    tick: float | None
    protected: bool
    opened_at_ms: int
    at_ms: int


_POSITION_EXAMPLE: dict[str, Any] = {
    "user_id": _USER,
    "position_id": _POSITION,
    "trade_id": _TRADE,
    "symbol": "BTC-USD",
    "side": "long",
    "broker": "coinbase",
    "paper": True,
    "entry_price": 43210.5,
    "quantity": "0.01157",
    "size_usd": "499.95",
    "stop_loss": 42800.0,
    "take_profit": 44500.0,
    "mark_price": 43210.5,
    "tick": None,
    "protected": True,
    "opened_at_ms": 1769683320000,
    "at_ms": 1769683320000,
}


class PositionOpened(_Position):
    """Emitted in the commit that holds the entry's fill. `size_usd` is entry price x quantity; `take_profit` the
    next ladder level; `mark_price` the last known price; `tick` null where the market has none."""

    topic = TRADING
    type = "position.opened"
    example = _POSITION_EXAMPLE


class PositionChanged(_Position):
    """Emitted when a position's quantity, stop or next target changes; fields as in `position.opened`, as they are now."""

    topic = TRADING
    type = "position.changed"
    example = _POSITION_EXAMPLE


class PositionClosed(Event):
    """Emitted in the commit that holds the fill of the last exit."""

    topic = TRADING
    type = "position.closed"
    example: ClassVar[dict[str, Any]] = {
        "user_id": _USER,
        "position_id": _POSITION,
        "trade_id": _TRADE,
        "symbol": "BTC-USD",
        "broker": "coinbase",
        "paper": True,
        "at_ms": 1769693320000,
    }

    user_id: str
    position_id: str
    trade_id: str
    symbol: str
    broker: str
    paper: bool
    at_ms: int


class MarketMarked(Event):
    """Emitted by a trading worker after each look at a market: its last price. Key: the symbol."""

    topic = MARKET_MARKS
    type = "market.marked"
    example: ClassVar[dict[str, Any]] = {
        "broker": "coinbase",
        "symbol": "BTC-USD",
        "price": 43650.0,
        "at_ms": 1769683320000,
        "market_time_ms": 1769683200000,
    }

    broker: str
    symbol: str
    price: float
    at_ms: int
    market_time_ms: int

    def key(self) -> str:
        return self.symbol
