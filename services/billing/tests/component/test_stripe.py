"""The Stripe adapter against Stripe's own mock server, which checks every call against Stripe's API description.

The mock keeps nothing and declines nothing: what comes back are its examples. What a decline means is shown on Stripe's
own exceptions.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import stripe

from nija_billing.adapters.stripe_errors import translated
from nija_billing.domain.orders import Cancellation, ChangeLater, Purchase
from nija_billing.ports import PaymentDeclined, Payments, PaymentsMisused, PaymentsUnavailable
from nija_billing.service import SERVICE
from nija_billing.settings import BillingSettings
from nija_billing.wiring import payments_of
from nija_common.errors import SettingsError
from nija_common.events.identity import UserSnapshot
from nija_common.runtime.settings import load
from nija_common.testing import start_platform
from nija_common.testing.events import example_of
from nija_common.testing.processes import free_ports
from nija_common.values.clock import ManualClock
from nija_common.values.tiers import Tier

# Stripe's package hands its bodies to httpx in a way that httpx deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>':DeprecationWarning")

KEY = "sk_test_123"


def settings(url: str, key: str = KEY) -> BillingSettings:
    return load(BillingSettings, {"NIJA_STRIPE_API_KEY": key, "NIJA_STRIPE_API_BASE": url})


@pytest.fixture
async def payments(stripe_url: str, clock: ManualClock) -> AsyncIterator[Payments]:
    async with payments_of(settings(stripe_url), clock) as made:
        yield made


def purchase(**changes: Any) -> Purchase:
    order = {
        "tier": "enterprise",
        "interval": "yearly",
        "payment_method_id": "pm_card_visa",
        "amount_cents": 479_000,
        "unused_cents": 4_560,
        "balance_cents": 0,
        "subscription_id": None,
        "replaces": None,
        "schedule_id": None,
        "at_ms": 1_769_683_320_000,
        "period_start_ms": 1_769_683_320_000,
        "period_end_ms": 1_801_219_320_000,
    }
    return Purchase.model_validate({**order, **changes})


async def test_a_customer_and_a_subscription_are_made(payments: Payments) -> None:
    customer = await payments.customer("usr_a")
    assert customer.startswith("cus_")
    receipt = await payments.buy(customer, "usr_a", purchase(), "nija-att_1")
    assert receipt.subscription_id.startswith("sub_") and receipt.invoice_id.startswith("in_")
    assert receipt.collected_by == "vendor" and receipt.period_start_ms > 0
    assert receipt.payment_method.type == "card" and len(receipt.payment_method.last4 or "") == 4
    assert receipt.at_s > 1_700_000_000


async def test_a_running_subscription_is_changed_with_its_credit_on_the_invoice(payments: Payments) -> None:
    order = purchase(subscription_id="sub_running", schedule_id="sub_sched_1", replaces="sub_failed")
    receipt = await payments.buy("cus_1", "usr_a", order, "nija-att_2")
    assert receipt.subscription_id == "sub_running"


async def test_a_change_at_the_periods_end_is_scheduled_and_withdrawn(payments: Payments) -> None:
    change = ChangeLater(
        subscription_id="sub_running",
        schedule_id=None,
        tier=Tier.BASIC,
        interval="monthly",
        period_start_ms=1_769_683_320_000,
        period_end_ms=1_772_275_320_000,
        withdraw=False,
    )
    made = await payments.change_later(change, "nija-att_3")
    assert made.schedule_id is not None and made.schedule_id.startswith("sub_sched_")
    back = change.model_copy(update={"schedule_id": made.schedule_id, "withdraw": True})
    assert (await payments.change_later(back, "nija-att_4")).schedule_id is None


@pytest.mark.parametrize("immediately", [True, False])
async def test_a_subscription_is_cancelled(payments: Payments, immediately: bool) -> None:
    order = Cancellation(
        subscription_id="sub_running",
        schedule_id="sub_sched_1",
        immediately=immediately,
        refund_cents=1_000 if immediately else 0,
        at_ms=1_769_683_320_000,
        period_end_ms=1_772_275_320_000,
    )
    assert (await payments.cancel(order, "nija-att_5")).schedule_id is None


async def test_a_purchase_that_stripe_has_not_taken_is_not_found(payments: Payments) -> None:
    assert await payments.find("cus_1", purchase(), "nija-att_6") is None


async def test_a_whole_upgrade_goes_through_stripe(stripe_url: str, tmp_path: Path, clock: ManualClock) -> None:
    env = {"NIJA_STRIPE_API_KEY": KEY, "NIJA_STRIPE_API_BASE": stripe_url}
    async with start_platform(tmp_path, [SERVICE], clock=clock, env=env) as platform:
        user = example_of(UserSnapshot, user_id="usr_a", registered_at_ms=clock.now_ms())
        await platform.given_events(user, source="auth")
        body = {"tier": "pro", "interval": "monthly", "payment_method_id": "pm_card_visa"}
        client = platform.client("billing", platform.token("usr_a"))
        answer = await client.post("/api/v1/subscription/upgrade", json=body)
        assert (answer.status_code, answer.json()["data"]["amount_due_now"]) == (200, 149.0), answer.text
        stored = await platform.deps("billing").subscriptions.of("usr_a")
        assert stored.customer_id.startswith("cus_")
        assert (stored.plan.tier, stored.plan.collected_by, stored.plan.charge_at_ms) == (Tier.PRO, "vendor", None)


async def test_a_key_that_stripe_does_not_take_is_misuse(stripe_url: str, clock: ManualClock) -> None:
    async with payments_of(settings(stripe_url, "wrong"), clock) as made:
        with pytest.raises(PaymentsMisused) as refused:
            await made.customer("usr_a")
        assert "wrong" not in str(refused.value)


async def test_a_stripe_that_cannot_be_reached_is_unavailable(clock: ManualClock) -> None:
    (port,) = free_ports(1)
    async with payments_of(settings(f"http://127.0.0.1:{port}"), clock) as made:
        with pytest.raises(PaymentsUnavailable):
            await made.customer("usr_a")


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (stripe.CardError("Your card was declined.", None, "card_declined"), PaymentDeclined),  # type: ignore[no-untyped-call]
        (stripe.CardError("Needs 3DS.", None, "subscription_payment_intent_requires_action"), PaymentDeclined),  # type: ignore[no-untyped-call]
        (stripe.InvalidRequestError("No such PaymentMethod: 'pm_x'", "id", "resource_missing"), PaymentDeclined),  # type: ignore[no-untyped-call]
        (stripe.InvalidRequestError("Invalid integer", "quantity", "parameter_invalid_integer"), PaymentsMisused),  # type: ignore[no-untyped-call]
        (stripe.AuthenticationError("Invalid API Key provided: sk_live_x"), PaymentsMisused),
        (stripe.PermissionError("not allowed"), PaymentsMisused),
        (stripe.IdempotencyError("other parameters"), PaymentsMisused),
        (stripe.RateLimitError("slow down"), PaymentsUnavailable),
        (stripe.APIConnectionError("reset"), PaymentsUnavailable),  # type: ignore[no-untyped-call]
        (stripe.APIError("internal"), PaymentsUnavailable),
        (TimeoutError(), PaymentsUnavailable),
    ],
)
async def test_each_of_stripes_errors_has_its_meaning(error: Exception, meaning: type[Exception]) -> None:
    with pytest.raises(meaning) as raised:
        async with translated():
            raise error
    assert "sk_live" not in str(raised.value)


def test_secrets_are_several_and_never_shown() -> None:
    given = load(BillingSettings, {"NIJA_STRIPE_WEBHOOK_SECRET": "whsec_a, whsec_b,", "NIJA_STRIPE_API_KEY": KEY})
    assert given.webhook_secrets == ("whsec_a", "whsec_b")
    assert "whsec_a" not in repr(given) and KEY not in repr(given)
    with pytest.raises(SettingsError):
        load(BillingSettings, {"NIJA_STRIPE_API_BASE": "stripe.example"})
