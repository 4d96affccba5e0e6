"""Routes of `/account/*` that rest on statistics."""

from __future__ import annotations

from fastapi import APIRouter, Response

from nija_analytics.api import DepsDep, ModeQuery
from nija_analytics.domain.aggregates import Ledger
from nija_analytics.handlers import overview, performance, reading
from nija_analytics.handlers.overview import Person
from nija_analytics.handlers.reading import Period
from nija_analytics.schemas import PerformanceAnswer, performance_answer
from nija_analytics.schemas_overview import StatsAnswer, stats_answer
from nija_common.errors import ErrorCode
from nija_common.http.envelope import encoded, success_response
from nija_common.http.identity import CallerDep
from nija_common.http.refusals import refusals

router = APIRouter()


@router.get(
    "/api/v1/account/performance",
    response_model=PerformanceAnswer,
    responses=refusals(ErrorCode.VALIDATION_ERROR),
)
async def account_performance(
    deps: DepsDep, caller: CallerDep, period: Period = "30d", mode: ModeQuery = None
) -> Response:
    """Statistics of closed trades over whole UTC days."""

    async def tell(ledger: Ledger | None, today: int) -> bytes:
        return encoded(performance_answer(period, await performance.of_period(deps, ledger, period, today)))

    name = await reading.ledger_name(deps, caller.user_id, mode)
    return success_response(await reading.told(deps, name, ("performance", period), tell), deps.clock)


@router.get("/api/v1/account/stats", response_model=StatsAnswer, responses=refusals(ErrorCode.VALIDATION_ERROR))
async def account_stats(deps: DepsDep, caller: CallerDep, mode: ModeQuery = None) -> Response:
    """An account's whole time, and its limits of risk."""
    person = Person(caller.user_id, caller.registered_at_ms, caller.role == "admin")
    return success_response(encoded(stats_answer(await overview.stats(deps, person, mode))), deps.clock)
