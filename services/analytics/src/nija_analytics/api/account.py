"""Routes of `/account/*` that rest on statistics."""

from __future__ import annotations

from fastapi import APIRouter

from nija_analytics.api import DepsDep, ModeQuery
from nija_analytics.handlers import overview, performance
from nija_analytics.handlers.overview import Person
from nija_analytics.handlers.reading import Period
from nija_analytics.schemas import PerformanceAnswer, performance_answer
from nija_analytics.schemas_overview import StatsAnswer, stats_answer
from nija_common.errors import ErrorCode
from nija_common.http.identity import CallerDep
from nija_common.http.refusals import refusals

router = APIRouter()


@router.get("/api/v1/account/performance", responses=refusals(ErrorCode.VALIDATION_ERROR))
async def account_performance(
    deps: DepsDep, caller: CallerDep, period: Period = "30d", mode: ModeQuery = None
) -> PerformanceAnswer:
    """Statistics of closed trades over whole UTC days."""
    return performance_answer(period, await performance.of_period(deps, caller.user_id, mode, period))


@router.get("/api/v1/account/stats", responses=refusals(ErrorCode.VALIDATION_ERROR))
async def account_stats(deps: DepsDep, caller: CallerDep, mode: ModeQuery = None) -> StatsAnswer:
    """An account's whole time, and its limits of risk."""
    person = Person(caller.user_id, caller.registered_at_ms, caller.role == "admin")
    return stats_answer(await overview.stats(deps, person, mode))
