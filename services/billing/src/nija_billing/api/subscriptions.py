"""Routes of `/subscription/*` that read."""

from __future__ import annotations

from fastapi import APIRouter

from nija_billing.api import DepsDep
from nija_billing.domain.plans import PLANS
from nija_billing.handlers import subscriptions
from nija_billing.schemas import CurrentAnswer, current_answer, plans_answer
from nija_common.http.identity import CallerDep

router = APIRouter()


@router.get("/api/v1/subscription/plans")
async def plans() -> dict[str, object]:
    """All plans with their prices; open to everybody."""
    return plans_answer(PLANS)


@router.get("/api/v1/subscription/current")
async def current(deps: DepsDep, caller: CallerDep) -> CurrentAnswer:
    """The caller's subscription."""
    return current_answer(await subscriptions.current(deps, caller.user_id, caller.registered_at_ms))
