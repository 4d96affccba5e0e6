"""Routes of `/admin/*` that this service answers: what administrators change about an account."""

from __future__ import annotations

from fastapi import APIRouter

from nija_auth.api import DepsDep, OriginDep
from nija_auth.handlers import oversight
from nija_auth.schemas import MessageAnswer, UpdateUserRequest
from nija_common.errors import ErrorCode
from nija_common.http.dates import expiry_ms
from nija_common.http.identity import AdminDep
from nija_common.http.refusals import refusals

router = APIRouter()


@router.put(
    "/api/v1/admin/users/{user_id}",
    responses=refusals(ErrorCode.VALIDATION_ERROR, ErrorCode.UNAUTHORIZED, ErrorCode.NOT_FOUND),
)
async def update_user(
    user_id: str, body: UpdateUserRequest, deps: DepsDep, caller: AdminDep, origin: OriginDep
) -> MessageAnswer:
    """Changes the tier, the status, or adds a note; answers once the other services can know."""
    command = oversight.UpdateUser(
        user_id=user_id,
        by=caller.user_id,
        sets_tier="subscription_tier" in body.model_fields_set,
        tier=body.subscription_tier,
        expires_at_ms=None if body.expires_at is None else expiry_ms(body.expires_at, "expires_at"),
        status=body.status,
        note=body.notes,
        origin=origin,
    )
    await deps.work.run(oversight.update_user, deps, command, queue=user_id, published=True)
    return MessageAnswer(message="User updated successfully")
