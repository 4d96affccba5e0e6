"""An upgrade under an idempotency key: paid once, whoever asks again; a card that was declined frees the key."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from nija_common.events.payments import InvoicePaid

BODY = {"tier": "pro", "interval": "monthly", "payment_method_id": "pm_card_visa"}


async def asked(billing: Any, path: str, body: dict[str, Any], key: str = "one") -> httpx.Response:
    client: httpx.AsyncClient = billing.platform.client("billing", billing.platform.token(billing.user_id))
    return await client.post(f"/api/v1/subscription/{path}", json=body, headers={"Idempotency-Key": key})


async def test_fifty_equal_upgrades_are_paid_once_and_answered_alike(billing: Any) -> None:
    answers = await asyncio.gather(*(asked(billing, "upgrade", BODY) for _ in range(50)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert len(await billing.platform.emitted(InvoicePaid)) == 1


async def test_another_body_under_the_key_is_a_conflict_and_changes_nothing(billing: Any) -> None:
    assert (await asked(billing, "upgrade", BODY)).status_code == 200
    other = await asked(billing, "upgrade", {**BODY, "tier": "enterprise"})
    assert (other.status_code, other.json()["error"]["code"]) == (409, "IDEMPOTENCY_CONFLICT")
    assert (await billing.current())["tier"] == "pro"


async def test_a_declined_card_frees_the_key(billing: Any) -> None:
    declined = await asked(billing, "upgrade", {**BODY, "payment_method_id": "pm_card_chargeDeclined"})
    assert (declined.status_code, declined.json()["error"]["code"]) == (402, "PAYMENT_FAILED")
    assert (await asked(billing, "upgrade", BODY)).status_code == 200
    assert len(await billing.platform.emitted(InvoicePaid)) == 1


async def test_cancelling_twice_under_one_key_gives_the_first_answer_again(billing: Any) -> None:
    await asked(billing, "upgrade", BODY)
    first = await asked(billing, "cancel", {"cancel_immediately": True}, key="two")
    again = await asked(billing, "cancel", {"cancel_immediately": True}, key="two")
    assert first.status_code == again.status_code == 200
    assert first.content == again.content
    assert first.json()["data"]["refund_amount"] > 0
    refused = await asked(billing, "cancel", {"cancel_immediately": True}, key="three")
    assert refused.json()["error"]["code"] == "SUBSCRIPTION_REQUIRED"
