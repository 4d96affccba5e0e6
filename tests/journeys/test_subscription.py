"""Paying, on the whole platform: limits follow at once, nothing is charged twice, and cancelling takes it back."""

from __future__ import annotations

import pytest

from nija_common.testing.client import ApiClient
from nija_common.testing.platforms import Distributed, Embedded, wait_for


def limit(user: ApiClient) -> int:
    """The calls a minute that the gateway allows."""
    return int(user.get("/subscription/current").headers["x-ratelimit-limit"])


def limit_becomes(user: ApiClient, calls: int) -> None:
    """Soon after the answer, as the gateway is told through the bus; a call that is refused says the limit too."""
    wait_for(f"{calls} calls a minute", lambda: limit(user) == calls, every=0.05)


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("platform", ["embedded"], indirect=True)
def test_who_pays_has_the_new_limits_at_once_and_who_cancels_loses_them(platform: Embedded | Distributed) -> None:
    with ApiClient(platform.url).register() as user:
        assert limit(user) == 100
        assert user.post("/subscription/cancel").code == "SUBSCRIPTION_REQUIRED"
        assert (
            user.post("/trading/start", {"broker": "coinbase", "paper_trading": False}).code == "SUBSCRIPTION_REQUIRED"
        )
        plan = {"tier": "basic", "interval": "monthly", "payment_method_id": "pm_card_chargeDeclined"}
        assert user.post("/subscription/upgrade", plan).code == "PAYMENT_FAILED"
        plan["payment_method_id"] = "pm_card_visa"
        assert user.ok("POST", "/subscription/upgrade", plan)["amount_due_now"] == 49.0
        limit_becomes(user, 30)
        assert (
            user.post("/trading/start", {"broker": "coinbase", "paper_trading": False}).code == "NO_BROKER_CONFIGURED"
        )
        assert user.post("/subscription/upgrade", plan).code == "VALIDATION_ERROR"
        bought = user.ok("POST", "/subscription/upgrade", {**plan, "tier": "enterprise", "interval": "yearly"})
        assert bought["amount_due_now"] == pytest.approx(4790.0 + bought["proration_credit"])
        limit_becomes(user, 500)
        assert user.ok("GET", "/subscription/usage")["usage"]["brokers_limit"] is None
        assert user.call("POST", "/webhooks/stripe", {"id": "evt_1"}).code == "SERVICE_UNAVAILABLE"
        cancelled = user.ok("POST", "/subscription/cancel", {"cancel_immediately": True})
        assert 0 < cancelled["refund_amount"] <= bought["amount_due_now"]
        limit_becomes(user, 10)
