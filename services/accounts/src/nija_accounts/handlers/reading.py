"""Balance, positions and history of a user, read from this service's own read models."""

from __future__ import annotations

from dataclasses import dataclass

from nija_accounts.deps import Deps
from nija_accounts.domain.ledger import Balance, Mode, is_paper
from nija_accounts.domain.positions import Valued, valued
from nija_accounts.domain.trades import Status, Trade
from nija_accounts.handlers import paging
from nija_accounts.store import TradeFilter
from nija_common.errors import ErrorCode, NijaError


@dataclass(frozen=True, slots=True)
class Account:
    """The cash of one broker in one ledger, and its open positions at their last prices."""

    balance: Balance
    positions: tuple[Valued, ...]


@dataclass(frozen=True, slots=True)
class History:
    """What is asked of the history. `symbol` and `status` None: all; the span is half open, in UTC milliseconds."""

    user_id: str
    mode: Mode | None
    symbol: str | None
    status: Status | None
    from_ms: int | None
    to_ms: int | None
    page: int
    per_page: int


async def account(deps: Deps, user_id: str, mode: Mode | None) -> Account:
    """The account the bot last ran on. Raises NO_BROKER_CONFIGURED before the first start in that ledger."""
    last = await deps.ledgers.last_run(user_id)
    paper = is_paper(mode, last)
    broker = None if last is None else last.broker(paper)
    balance = None if broker is None else await deps.ledgers.balance(user_id, paper, broker)
    if balance is None:
        raise NijaError(
            ErrorCode.NO_BROKER_CONFIGURED, "There is no account to show yet. Start the bot, on paper or on a broker."
        )
    held = await positions(deps, user_id, "paper" if paper else "live", broker=balance.broker)
    return Account(balance, tuple(held))


async def positions(
    deps: Deps, user_id: str, mode: Mode | None, *, broker: str | None = None, symbol: str | None = None
) -> list[Valued]:
    """Open positions at their last prices, oldest first."""
    last = await deps.ledgers.last_run(user_id)
    return [
        valued(position, deps.marks.of(position))
        for position in await deps.ledgers.positions(user_id, is_paper(mode, last))
        if broker in (None, position.broker) and symbol in (None, position.symbol)
    ]


async def history(deps: Deps, wanted: History) -> tuple[list[Trade], int]:
    """One page of trades, newest first by their opening, and how many there are in all."""
    last = await deps.ledgers.last_run(wanted.user_id)
    chosen = TradeFilter(
        user_id=wanted.user_id,
        paper=is_paper(wanted.mode, last),
        symbol=wanted.symbol,
        status=wanted.status,
        from_ms=wanted.from_ms,
        to_ms=wanted.to_ms,
    )
    return await paging.page(deps, chosen, skip=(wanted.page - 1) * wanted.per_page, limit=wanted.per_page)
