"""Routes of `/account/*` that rest on statistics."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query

from nija_analytics.api import DepsDep
from nija_analytics.handlers import performance
from nija_analytics.handlers.performance import Period
from nija_analytics.schemas import PerformanceAnswer, performance_answer
from nija_common.http.identity import CallerDep

router = APIRouter()


@router.get("/api/v1/account/performance")
async def account_performance(
    deps: DepsDep,
    caller: CallerDep,
    period: Period = "30d",
    mode: Annotated[Literal["paper", "live"] | None, Query()] = None,
) -> PerformanceAnswer:
    """Statistics of closed trades over whole UTC days."""
    return performance_answer(period, await performance.of_period(deps, caller.user_id, mode, period))
