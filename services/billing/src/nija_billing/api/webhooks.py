"""Stripe's webhook. Whoever calls it is known by the signature, on the body's raw bytes."""

from __future__ import annotations

from fastapi import APIRouter, Request

from nija_billing.api import DepsDep
from nija_billing.handlers import notices
from nija_billing.schemas import ReceivedAnswer, StripeEvent
from nija_common.errors import ErrorCode
from nija_common.http.document import raw_body
from nija_common.http.refusals import refusals

router = APIRouter()


SIGNATURE = {
    "name": "Stripe-Signature",
    "in": "header",
    "required": True,
    "description": "`t=<seconds>,v1=<HMAC-SHA-256 of the body>`, at most 300 seconds away from now.",
    "schema": {"type": "string"},
}


@router.post(
    "/api/v1/webhooks/stripe",
    openapi_extra={**raw_body(StripeEvent), "parameters": [SIGNATURE]},
    responses=refusals(ErrorCode.VALIDATION_ERROR, ErrorCode.SERVICE_UNAVAILABLE),
)
async def stripe(request: Request, deps: DepsDep) -> ReceivedAnswer:
    """One event. Anything but 200 makes Stripe send it again."""
    await notices.receive(deps, await request.body(), request.headers.get("stripe-signature"))
    return ReceivedAnswer(received=True)
