"""Routes of `/subscription/*`."""

from __future__ import annotations

from fastapi import APIRouter

from nija_billing.api import DepsDep
from nija_billing.domain.attempts import By
from nija_billing.domain.plans import PLANS
from nija_billing.handlers import accounts, purchases, usage
from nija_billing.schemas import (
    CancelAnswer,
    CancelBody,
    CurrentAnswer,
    PlansAnswer,
    UpgradeAnswer,
    UpgradeBody,
    UsageAnswer,
    cancel_answer,
    current_answer,
    plans_answer,
    upgrade_answer,
    usage_answer,
)
from nija_common.errors import ErrorCode
from nija_common.http.identity import CallerDep, ClientDep
from nija_common.http.refusals import refusals
from nija_common.values.tiers import Tier

router = APIRouter()


@router.get("/api/v1/subscription/plans", response_model_exclude_none=True)
async def plans() -> PlansAnswer:
    """All plans with their prices; open to everybody."""
    return plans_answer(PLANS)


@router.get("/api/v1/subscription/current")
async def current(deps: DepsDep, caller: CallerDep) -> CurrentAnswer:
    """The caller's subscription."""
    return current_answer(await accounts.present(deps, caller.user_id, caller.registered_at_ms))


@router.post("/api/v1/subscription/upgrade", responses=refusals(ErrorCode.PAYMENT_FAILED))
async def upgrade(body: UpgradeBody, deps: DepsDep, caller: CallerDep, client: ClientDep) -> UpgradeAnswer:
    """Choose a plan: a higher one, or a year instead of a month, begins now; any other at the period's end."""
    command = purchases.ChoosePlan(
        registered_at_ms=caller.registered_at_ms,
        tier=Tier(body.tier),
        interval=body.interval,
        payment_method_id=body.payment_method_id,
        by=By(user_id=caller.user_id, address=client.address, user_agent=client.user_agent),
    )
    return upgrade_answer(await purchases.choose_plan(deps, command))


@router.post("/api/v1/subscription/cancel", responses=refusals(ErrorCode.SUBSCRIPTION_REQUIRED))
async def cancel(deps: DepsDep, caller: CallerDep, client: ClientDep, body: CancelBody | None = None) -> CancelAnswer:
    """Cancel at the period's end, or at once with a refund of what is left."""
    asked = body or CancelBody()
    reason = ": ".join(text for text in (asked.reason, asked.feedback) if text) or None
    command = purchases.Cancel(
        registered_at_ms=caller.registered_at_ms,
        immediately=asked.cancel_immediately,
        by=By(user_id=caller.user_id, address=client.address, user_agent=client.user_agent, reason=reason),
    )
    return cancel_answer(await purchases.cancel(deps, command))


@router.get("/api/v1/subscription/usage")
async def usage_now(deps: DepsDep, caller: CallerDep) -> UsageAnswer:
    """What the account has used in its running period."""
    administrator = caller.role == "admin"
    return usage_answer(await usage.read(deps, caller.user_id, caller.registered_at_ms, administrator=administrator))
