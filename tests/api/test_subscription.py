"""`/subscription/*` with offline payments, and Stripe's webhook without a secret."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nija_common.testing.client import Answer, ApiClient

Refused = Callable[[Answer, int, str], None]


def choice(tier: str, card: str = "pm_card_visa") -> dict[str, Any]:
    return {"tier": tier, "interval": "monthly", "payment_method_id": card}


def test_get_subscription_plans__success(anybody: ApiClient) -> None:
    plans = anybody.ok("GET", "/subscription/plans")["plans"]
    assert [plan["tier"] for plan in plans] == ["free", "basic", "pro", "enterprise"]
    assert "yearly_savings" not in plans[0]


def test_get_subscription_current__success(user: ApiClient) -> None:
    current = user.ok("GET", "/subscription/current")
    assert (current["tier"], current["trial_active"], current["amount"]) == ("free", True, 0)


def test_post_subscription_upgrade__success(user: ApiClient) -> None:
    bought = user.ok("POST", "/subscription/upgrade", choice("pro"))
    assert (bought["tier"], bought["amount_due_now"], bought["effective_immediately"]) == ("pro", 149, True)
    assert user.ok("GET", "/subscription/current")["subscription_id"] == bought["subscription_id"]


def test_post_subscription_upgrade__payment_failed(user: ApiClient, refused: Refused) -> None:
    refused(user.post("/subscription/upgrade", choice("pro", "pm_card_chargeDeclined")), 402, "PAYMENT_FAILED")
    assert user.ok("GET", "/subscription/current")["tier"] == "free"


def test_post_subscription_cancel__success(user: ApiClient) -> None:
    user.ok("POST", "/subscription/upgrade", choice("basic"))
    cancelled = user.ok("POST", "/subscription/cancel", {"cancel_immediately": False, "reason": "Too expensive"})
    assert (cancelled["cancel_at_period_end"], cancelled["refund_amount"]) == (True, 0)


def test_post_subscription_cancel__subscription_required(user: ApiClient, refused: Refused) -> None:
    refused(user.post("/subscription/cancel", {"cancel_immediately": True}), 402, "SUBSCRIPTION_REQUIRED")


def test_get_subscription_usage__success(user: ApiClient) -> None:
    usage = user.ok("GET", "/subscription/usage")
    assert (usage["usage"]["trades_executed"], usage["usage"]["trades_limit"]) == (0, 3000)
    assert (usage["overage"], usage["warnings"]) == (False, [])


def test_post_webhooks_stripe__service_unavailable(anybody: ApiClient, refused: Refused) -> None:
    event = {"id": "evt_1", "type": "invoice.paid", "created": 0, "data": {"object": {}}}
    refused(
        anybody.call("POST", "/webhooks/stripe", event, {"Stripe-Signature": "t=0,v1=00"}), 503, "SERVICE_UNAVAILABLE"
    )
