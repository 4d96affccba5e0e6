"""Routes of `/config/settings`."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body

from nija_accounts.api import DepsDep
from nija_accounts.handlers import settings
from nija_accounts.handlers.allowances import Person
from nija_accounts.schemas.settings import (
    SettingsAnswer,
    SettingsChange,
    UpdatedAnswer,
    change_of,
    settings_answer,
    updated_answer,
)
from nija_common.errors import ErrorCode
from nija_common.http.document import DocumentedAs
from nija_common.http.identity import CallerDep, ClientDep
from nija_common.http.refusals import refusals
from nija_common.security.tokens import Claims

router = APIRouter()


@router.get("/api/v1/config/settings")
async def get_settings(deps: DepsDep, caller: CallerDep) -> SettingsAnswer:
    """The settings in force: the lower of the user's value and the tier's limit."""
    return settings_answer(await settings.read(deps, _person(caller)))


@router.put(
    "/api/v1/config/settings",
    responses=refusals(ErrorCode.INVALID_RISK_LEVEL, ErrorCode.EXCEEDS_TIER_LIMIT, ErrorCode.INVALID_SETTING),
)
async def put_settings(
    deps: DepsDep,
    caller: CallerDep,
    client: ClientDep,
    body: Annotated[dict[str, Any], Body(), DocumentedAs(SettingsChange)],
) -> UpdatedAnswer:
    """Changes what the body names, all of it or nothing; answers once the other services can know."""
    command = settings.ChangeSettings(_person(caller), change_of(body), client.address, client.user_agent)
    await settings.settle_tier(deps, command)
    names = await deps.work.run(settings.apply, deps, command, queue=caller.user_id, published=True)
    return updated_answer(names)


def _person(caller: Claims) -> Person:
    return Person(caller.user_id, caller.registered_at_ms, caller.role == "admin")
