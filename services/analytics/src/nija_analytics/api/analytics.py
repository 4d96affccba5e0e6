"""Routes of `/analytics/*`."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response

from nija_analytics.api import DepsDep, ModeQuery
from nija_analytics.domain.aggregates import Ledger
from nija_analytics.domain.figures import Group
from nija_analytics.handlers import exports, overview, reading
from nija_analytics.handlers.exports import MakeExport
from nija_analytics.handlers.reading import Period
from nija_analytics.schemas_exports import ExportAnswer, ExportBody, export_answer, wanted_of
from nija_analytics.schemas_overview import DashboardAnswer, TradesAnswer, dashboard_answer, trades_answer
from nija_common.errors import ErrorCode
from nija_common.http.envelope import encoded, success_response
from nija_common.http.identity import CallerDep, ClientDep
from nija_common.http.refusals import refusals

router = APIRouter(prefix="/api/v1/analytics")

SymbolQuery = Annotated[str | None, Query(pattern=r"^[A-Za-z0-9]{1,20}[-/][A-Za-z0-9]{1,20}$")]


@router.get("/dashboard", response_model=DashboardAnswer, responses=refusals(ErrorCode.VALIDATION_ERROR))
async def dashboard(deps: DepsDep, caller: CallerDep, mode: ModeQuery = None) -> Response:
    """Today, week and month at a glance."""
    name = await reading.ledger_name(deps, caller.user_id, mode)
    held = await deps.rows.open_count(name)

    async def tell(ledger: Ledger | None, today: int) -> bytes:
        return encoded(dashboard_answer(await overview.dashboard(deps, ledger, held, today)))

    return success_response(await reading.told(deps, name, ("dashboard", held), tell), deps.clock)


@router.get("/trades", response_model=TradesAnswer, responses=refusals(ErrorCode.VALIDATION_ERROR))
async def trades(
    deps: DepsDep,
    caller: CallerDep,
    period: Period = "30d",
    symbol: SymbolQuery = None,
    group_by: Annotated[Group | Literal["hour"] | None, Query()] = None,
    mode: ModeQuery = None,
) -> Response:
    """A period's trades by outcome, symbol and time; with `symbol` every number is of that symbol."""
    pair = None if symbol is None else symbol.upper().replace("/", "-")
    # Hours are always there.
    group = None if group_by == "hour" else group_by

    async def tell(ledger: Ledger | None, today: int) -> bytes:
        return encoded(trades_answer(period, group, await overview.trades(deps, ledger, period, pair, group, today)))

    name = await reading.ledger_name(deps, caller.user_id, mode)
    question = ("trades", period, pair, group)
    return success_response(await reading.told(deps, name, question, tell), deps.clock)


@router.post("/export", responses=refusals(ErrorCode.VALIDATION_ERROR))
async def export(
    deps: DepsDep, caller: CallerDep, client: ClientDep, body: ExportBody, mode: ModeQuery = None
) -> ExportAnswer:
    """Writes a file of the caller's own rows, and answers the link that opens it for an hour."""
    command = MakeExport(caller.user_id, mode, wanted_of(body), client.address, client.user_agent)
    return export_answer(await exports.make(deps, command))
