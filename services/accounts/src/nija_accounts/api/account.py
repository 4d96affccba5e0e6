"""Routes of `/account/*` that this service answers: balance, positions, history."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response

from nija_accounts.api import DepsDep
from nija_accounts.handlers import reading
from nija_accounts.schemas.account import (
    BalanceAnswer,
    HistoryAnswer,
    PositionsAnswer,
    balance_answer,
    history_answer,
    positions_answer,
)
from nija_common.errors import ErrorCode
from nija_common.http.dates import span_ms
from nija_common.http.envelope import encoded, success_response
from nija_common.http.identity import CallerDep
from nija_common.http.pagination import PageNumber, PerPage
from nija_common.http.refusals import refusals

router = APIRouter()

ModeQuery = Annotated[Literal["paper", "live"] | None, Query()]
NameQuery = Annotated[str | None, Query(max_length=40)]


@router.get("/api/v1/account/balance", responses=refusals(ErrorCode.NO_BROKER_CONFIGURED))
async def balance(deps: DepsDep, caller: CallerDep, mode: ModeQuery = None) -> BalanceAnswer:
    """Cash, and equity at the last prices."""
    return balance_answer(await reading.account(deps, caller.user_id, mode))


@router.get("/api/v1/account/positions")
async def positions(
    deps: DepsDep, caller: CallerDep, mode: ModeQuery = None, broker: NameQuery = None, symbol: NameQuery = None
) -> PositionsAnswer:
    """Open positions at the last prices, and their sum."""
    found = await reading.positions(
        deps,
        caller.user_id,
        mode,
        broker=None if broker is None else broker.lower(),
        symbol=None if symbol is None else symbol.upper(),
    )
    return positions_answer(found)


@router.get("/api/v1/account/history", response_model=HistoryAnswer)
async def history(
    deps: DepsDep,
    caller: CallerDep,
    page: PageNumber = 1,
    per_page: PerPage = 50,
    start_date: NameQuery = None,
    end_date: NameQuery = None,
    symbol: NameQuery = None,
    status: Annotated[Literal["open", "closed", "cancelled"] | None, Query()] = None,
    mode: ModeQuery = None,
) -> Response:
    """Trades by the time of their opening, newest first; pending ones only without a status."""
    from_ms, to_ms = span_ms(start_date, end_date)
    wanted = reading.History(
        user_id=caller.user_id,
        mode=mode,
        symbol=None if symbol is None else symbol.upper(),
        status=status,
        from_ms=from_ms,
        to_ms=to_ms,
        page=page,
        per_page=per_page,
    )
    trades, total = await reading.history(deps, wanted)
    return success_response(encoded(history_answer(trades, page, per_page, total)), deps.clock)
