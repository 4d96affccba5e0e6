"""Answers of `/account/balance`, `/account/positions` and `/account/history`.

USD to 2 places, quantities to 8, prices to the tick or 8 digits, per cents to 4. Sums are rounded once, after
summing.
"""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import TypedDict

from nija_accounts.domain.positions import Valued, total_pnl_pct
from nija_accounts.domain.trades import Trade
from nija_accounts.handlers.reading import Account
from nija_common.http.pagination import Pagination, pagination
from nija_common.values.money import price, quantity, usd
from nija_common.values.times import iso, iso_or_none

MINUTE_MS = 60_000


class BalanceAnswer(TypedDict):
    """`equity` = `cash` + the open positions' value at their last prices; `buying_power` = the cash."""

    broker: str
    paper: bool
    cash: float
    equity: float
    unrealized_pnl: float
    buying_power: float
    currency: str
    last_updated: str


class PositionAnswer(TypedDict):
    """`size_usd` = entry price x quantity; `unrealized_pnl_pct` is of that."""

    position_id: str
    symbol: str
    side: str
    entry_price: float
    current_price: float
    size_usd: float
    quantity: float
    unrealized_pnl: float
    unrealized_pnl_pct: float
    stop_loss: float | None
    take_profit: float | None
    opened_at: str
    broker: str
    paper: bool
    protected: bool


class PositionsSummary(TypedDict):
    """`total_value_usd` is at the last prices."""

    total_positions: int
    total_value_usd: float
    total_unrealized_pnl: float
    total_unrealized_pnl_pct: float


class PositionsAnswer(TypedDict):
    """`GET /account/positions`."""

    positions: list[PositionAnswer]
    summary: PositionsSummary


class TradeAnswer(TypedDict):
    """One trade. `reason` says why it was cancelled; `realized_pnl` is net of `fees`."""

    trade_id: str
    status: str
    symbol: str
    side: str
    entry_price: float | None
    exit_price: float | None
    size_usd: float
    quantity: float
    realized_pnl: float | None
    realized_pnl_pct: float | None
    fees: float
    opened_at: str
    closed_at: str | None
    duration_minutes: int | None
    exit_reason: str | None
    reason: str | None
    source: str
    broker: str
    paper: bool


class HistoryAnswer(TypedDict):
    """`GET /account/history`."""

    trades: list[TradeAnswer]
    pagination: Pagination


def balance_answer(account: Account) -> BalanceAnswer:
    """The account at the last prices."""
    balance, held = account.balance, account.positions
    return BalanceAnswer(
        broker=balance.broker,
        paper=balance.paper,
        cash=usd(balance.cash),
        equity=usd(balance.cash + sum(v.equity for v in held)),
        unrealized_pnl=usd(sum(v.pnl for v in held)),
        buying_power=usd(max(0, balance.cash)),
        currency=balance.currency,
        last_updated=iso(max([balance.at_ms, *(v.mark.at_ms for v in held)])),
    )


def positions_answer(positions: Sequence[Valued]) -> PositionsAnswer:
    """Open positions and their sum."""
    return PositionsAnswer(
        positions=[_position(valued) for valued in positions],
        summary=PositionsSummary(
            total_positions=len(positions),
            total_value_usd=usd(sum(v.value for v in positions)),
            total_unrealized_pnl=usd(sum(v.pnl for v in positions)),
            total_unrealized_pnl_pct=round(total_pnl_pct(positions), 4),
        ),
    )


def history_answer(trades: Sequence[Trade], page: int, per_page: int, total: int) -> HistoryAnswer:
    """One page of the history."""
    return HistoryAnswer(trades=[_trade(trade) for trade in trades], pagination=pagination(page, per_page, total))


def _position(valued: Valued) -> PositionAnswer:
    position = valued.position
    return PositionAnswer(
        position_id=position.id,
        symbol=position.symbol,
        side=position.side,
        entry_price=price(position.entry_price, position.tick),
        current_price=price(valued.mark.price, position.tick),
        size_usd=usd(position.size_usd),
        quantity=quantity(position.quantity),
        unrealized_pnl=usd(valued.pnl),
        unrealized_pnl_pct=round(valued.pnl_pct, 4),
        stop_loss=_price_or_none(position.stop_loss, position.tick),
        take_profit=_price_or_none(position.take_profit, position.tick),
        opened_at=iso(position.opened_at_ms),
        broker=position.broker,
        paper=position.paper,
        protected=position.protected,
    )


def _trade(trade: Trade) -> TradeAnswer:
    return TradeAnswer(
        trade_id=trade.id,
        status=trade.status,
        symbol=trade.symbol,
        side=trade.side,
        entry_price=_price_or_none(trade.entry_price, None),
        exit_price=_price_or_none(trade.exit_price, None),
        size_usd=usd(trade.size_usd),
        quantity=quantity(trade.quantity),
        realized_pnl=None if trade.realized_pnl is None else usd(trade.realized_pnl),
        realized_pnl_pct=None if trade.realized_pnl_pct is None else round(trade.realized_pnl_pct, 4),
        fees=usd(trade.fees),
        opened_at=iso(trade.opened_at_ms),
        closed_at=iso_or_none(trade.closed_at_ms),
        duration_minutes=None if trade.closed_at_ms is None else (trade.closed_at_ms - trade.opened_at_ms) // MINUTE_MS,
        exit_reason=trade.exit_reason,
        reason=trade.reason,
        source=trade.source,
        broker=trade.broker,
        paper=trade.paper,
    )


def _price_or_none(value: float | None, tick: float | None) -> float | None:
    return None if value is None else price(value, tick)
