"""TradingView's webhook, and the key that it needs."""

from __future__ import annotations

from fastapi import APIRouter, Request

from nija_common.errors import ErrorCode
from nija_common.http.document import raw_body
from nija_common.http.identity import CallerDep, ClientDep
from nija_common.http.refusals import refusals
from nija_common.values.times import iso
from nija_trading.api.deps import DepsDep, actor_of
from nija_trading.handlers import signals, webhook_keys
from nija_trading.schemas import AlertAnswer, AlertBody, WebhookKeyAnswer, WebhookKeyView

router = APIRouter()


@router.post(
    "/api/v1/webhooks/tradingview",
    openapi_extra=raw_body(AlertBody),
    responses=refusals(
        ErrorCode.TOKEN_INVALID,
        ErrorCode.NOT_RUNNING,
        ErrorCode.KILL_SWITCH_ACTIVE,
        ErrorCode.EXCEEDS_TIER_LIMIT,
        ErrorCode.ACCOUNT_SUSPENDED,
        ErrorCode.ACCOUNT_DISABLED,
    ),
)
async def tradingview(request: Request, client: ClientDep, deps: DepsDep) -> AlertAnswer:
    """An alert: JSON whatever the content type, the key in the body."""
    trade_id = await signals.receive(deps, await request.body(), client.address, client.user_agent)
    return AlertAnswer(received=True, trade_id=trade_id, status="processing")


@router.post("/api/v1/config/webhook-key", status_code=201, responses=refusals(ErrorCode.EXCEEDS_TIER_LIMIT))
async def rotate_webhook_key(caller: CallerDep, client: ClientDep, deps: DepsDep) -> WebhookKeyAnswer:
    """Make or rotate the key; this answer is the only one that shows it."""
    cmd = webhook_keys.RotateKey(actor_of(caller, client), caller.registered_at_ms)
    secret, key = await deps.work.run(webhook_keys.rotate_key, deps, cmd, queue=caller.user_id)
    return WebhookKeyAnswer(webhook_key=secret, created_at=iso(key.created_at_ms))


@router.get("/api/v1/config/webhook-key", responses=refusals(ErrorCode.NOT_FOUND))
async def webhook_key(caller: CallerDep, deps: DepsDep) -> WebhookKeyView:
    """The key, masked."""
    key = await webhook_keys.key_view(deps, caller.user_id)
    return WebhookKeyView(webhook_key_masked=f"{webhook_keys.PREFIX}…{key.ending}", created_at=iso(key.created_at_ms))
