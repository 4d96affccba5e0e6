"""Choosing and cancelling plans, over HTTP, with the offline stand-in."""

from __future__ import annotations

from typing import Any

import pytest

from nija_common.events.administration import TierOverrideRequested
from nija_common.events.payments import InvoicePaid
from nija_common.testing import TestPlatform
from nija_common.values.clock import ManualClock
from nija_common.values.tiers import Tier, effective_at
from nija_common.values.times import iso


async def test_the_first_plan_begins_now_and_ends_the_trial(billing: Any, clock: ManualClock) -> None:
    answer = await billing.bought("pro")
    assert answer == {
        "subscription_id": answer["subscription_id"],
        "message": "Subscription upgraded successfully",
        "tier": "pro",
        "interval": "monthly",
        "amount": 149.0,
        "proration_credit": 0.0,
        "amount_due_now": 149.0,
        "effective_immediately": True,
    }
    start = clock.now_ms()
    assert await billing.current() == {
        "subscription_id": answer["subscription_id"],
        "tier": "pro",
        "interval": "monthly",
        "status": "active",
        "current_period_start": iso(start),
        "current_period_end": "2026-02-28T10:42:00Z",
        "cancel_at_period_end": False,
        "trial_active": False,
        "trial_ends_at": iso(start),
        "amount": 149.0,
        "currency": "USD",
        "payment_method": {"type": "card", "last4": "4242", "brand": "visa", "exp_month": 12, "exp_year": 2034},
        "next_billing_date": "2026-02-28T10:42:00Z",
        "next_billing_amount": 149.0,
    }


async def test_what_was_bought_is_told_before_the_answer(billing: Any, platform: TestPlatform) -> None:
    bought = await billing.bought("basic", "yearly")
    told = await billing.told()
    assert (told.status, told.tier, told.interval, told.amount_cents) == ("active", Tier.BASIC, "yearly", 47_000)
    assert told.subscription_id == bought["subscription_id"] and told.ended_at_ms is None
    assert [stretch.live for stretch in told.effective] == [True]
    (paid,) = await platform.emitted(InvoicePaid)
    assert (paid.amount_cents, paid.tier, paid.subscription_id) == (47_000, Tier.BASIC, bought["subscription_id"])
    (audit,) = await billing.audited("subscription_upgraded")
    assert audit.metadata["paid_cents"] == 47_000 and audit.actor == "usr_a"


async def test_a_higher_tier_costs_the_difference_to_the_second(billing: Any, clock: ManualClock) -> None:
    first = await billing.bought("basic")
    stored = await billing.stored()
    total = (stored.plan.period_end_ms - stored.plan.period_start_ms) // 1000
    clock.advance(10 * 86_400 + 1)
    answer = await billing.bought("pro")
    left = total - (10 * 86_400 + 1)
    assert answer["proration_credit"] == -round(4_900 * left / total) / 100
    assert answer["amount_due_now"] == pytest.approx(149.0 + answer["proration_credit"], abs=1e-9)
    assert answer["subscription_id"] == first["subscription_id"]
    assert (await billing.current())["current_period_start"] == iso(clock.now_ms())


async def test_credit_that_is_left_over_pays_for_coming_invoices(
    billing: Any, platform: TestPlatform, clock: ManualClock
) -> None:
    await billing.bought("pro", "yearly")
    answer = await billing.bought("enterprise", "monthly")
    assert (answer["proration_credit"], answer["amount_due_now"]) == (-1430.0, 0.0)
    current = await billing.current()
    assert (await billing.stored()).credit_cents == 143_000 - 49_900
    assert current["next_billing_amount"] == 0.0
    assert [paid.amount_cents for paid in await platform.emitted(InvoicePaid)] == [143_000, 0]
    await billing.pass_days(31)
    assert (await billing.stored()).credit_cents == 143_000 - 2 * 49_900
    await billing.pass_days(31)
    assert (await platform.emitted(InvoicePaid))[-1].amount_cents == 6_700
    assert (await billing.stored()).credit_cents == 0


@pytest.mark.parametrize(("tier", "interval"), [("basic", "monthly"), ("basic", "yearly"), ("pro", "monthly")])
async def test_any_other_change_waits_for_the_periods_end(billing: Any, tier: str, interval: str) -> None:
    await billing.bought("pro", "yearly")
    before = await billing.current()
    answer = await billing.bought(tier, interval)
    assert (answer["effective_immediately"], answer["amount_due_now"], answer["proration_credit"]) == (False, 0.0, 0.0)
    now = await billing.current()
    assert (now["tier"], now["interval"], now["current_period_end"]) == ("pro", "yearly", before["current_period_end"])
    assert now["next_billing_amount"] == answer["amount"]
    await billing.pass_days(366)
    later = await billing.current()
    assert (later["tier"], later["interval"], later["amount"]) == (tier, interval, answer["amount"])
    assert later["current_period_start"] == before["current_period_end"]


async def test_the_effective_list_knows_of_a_downgrade_before_it_happens(billing: Any) -> None:
    await billing.bought("enterprise")
    await billing.bought("basic")
    told = await billing.told()
    assert [stretch.tier for stretch in told.effective] == [Tier.ENTERPRISE, Tier.BASIC]
    assert told.effective[1].from_ms == told.period_end_ms


async def test_choosing_the_running_plan_again_withdraws_what_was_coming(billing: Any) -> None:
    await billing.bought("enterprise")
    await billing.bought("basic")
    answer = await billing.bought("enterprise")
    assert (answer["effective_immediately"], answer["amount_due_now"]) == (False, 0.0)
    await billing.ok("POST", "cancel")
    await billing.bought("enterprise")
    assert not (await billing.current())["cancel_at_period_end"]
    assert [stretch.tier for stretch in (await billing.told()).effective] == [Tier.ENTERPRISE]


async def test_the_same_plan_is_refused(billing: Any, expect_refusal: Any) -> None:
    await billing.bought("pro")
    assert set(expect_refusal(await billing.upgrade("pro"), 400, "VALIDATION_ERROR")) == {"tier", "interval"}


@pytest.mark.parametrize(
    ("method", "reason"),
    [
        ("pm_card_chargeDeclined", "card_declined"),
        ("pm_card_chargeDeclinedInsufficientFunds", "card_declined"),
        ("pm_card_authenticationRequired", "authentication_required"),
        ("pm_123abc", "unknown_payment_method"),
    ],
)
async def test_a_payment_that_fails_changes_nothing(
    billing: Any, platform: TestPlatform, expect_refusal: Any, method: str, reason: str
) -> None:
    await billing.bought("basic")
    before, told = await billing.current(), await billing.told()
    details = expect_refusal(await billing.upgrade("pro", method=method), 402, "PAYMENT_FAILED")
    assert details == {"reason": reason}
    assert await billing.current() == before
    assert await billing.told() == told
    assert len(await platform.emitted(InvoicePaid)) == 1


async def test_the_trial_goes_on_when_the_first_payment_fails(billing: Any, expect_refusal: Any) -> None:
    expect_refusal(await billing.upgrade("pro", method="pm_card_chargeDeclined"), 402, "PAYMENT_FAILED")
    assert (await billing.current())["trial_active"] is True


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"tier": "free"}, "tier"),
        ({"tier": "gold"}, "tier"),
        ({"interval": "weekly"}, "interval"),
        ({"payment_method_id": "4242424242424242"}, "payment_method_id"),
        ({"payment_method_id": None}, "payment_method_id"),
        ({"coupon": "FREE"}, "coupon"),
    ],
)
async def test_a_body_that_is_wrong_is_refused_by_field(
    billing: Any, expect_refusal: Any, change: dict[str, Any], field: str
) -> None:
    body = {"tier": "pro", "interval": "monthly", "payment_method_id": "pm_card_visa", **change}
    assert list(expect_refusal(await billing.call("POST", "upgrade", body), 400, "VALIDATION_ERROR")) == [field]


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "upgrade"), ("POST", "cancel"), ("GET", "usage"), ("GET", "current")]
)
async def test_nothing_without_a_token(platform: TestPlatform, expect_refusal: Any, method: str, path: str) -> None:
    answer = await platform.client("billing").request(method, f"/api/v1/subscription/{path}", json={})
    expect_refusal(answer, 401, "TOKEN_INVALID")


async def test_an_account_that_billing_has_not_heard_of_yet_can_pay(platform: TestPlatform, billing: Any) -> None:
    billing.user_id = "usr_new"
    await billing.bought("pro")
    assert (await billing.told()).tier is Tier.PRO


async def test_an_older_unknown_account_is_never_charged_by_guess(
    platform: TestPlatform, expect_refusal: Any, clock: ManualClock
) -> None:
    token = platform.token("usr_lost", registered_at_ms=clock.now_ms() - 600_000)
    body = {"tier": "pro", "interval": "monthly", "payment_method_id": "pm_card_visa"}
    answer = await platform.client("billing", token).post("/api/v1/subscription/upgrade", json=body)
    expect_refusal(answer, 503, "SERVICE_UNAVAILABLE")


async def test_cancelling_keeps_the_plan_until_the_period_ends(billing: Any, expect_refusal: Any) -> None:
    await billing.bought("pro")
    end = (await billing.current())["current_period_end"]
    body = {"cancel_immediately": False, "reason": "Too expensive", "feedback": "Great product but out of budget"}
    answer = await billing.ok("POST", "cancel", body)
    assert answer == {
        "message": "Subscription cancelled",
        "cancel_at_period_end": True,
        "access_until": end,
        "refund_amount": 0.0,
    }
    assert await billing.ok("POST", "cancel", body) == answer
    assert [stretch.tier for stretch in (await billing.told()).effective] == [Tier.PRO, Tier.FREE]
    current = await billing.current()
    assert (current["status"], current["cancel_at_period_end"]) == ("active", True)
    assert (current["next_billing_date"], current["next_billing_amount"]) == (None, None)
    (audit,) = await billing.audited("subscription_cancelled")
    assert audit.metadata["reason"] == "Too expensive: Great product but out of budget"
    await billing.pass_days(31)
    gone, told = await billing.current(), await billing.told()
    assert (gone["status"], gone["tier"], gone["subscription_id"]) == ("cancelled", "free", None)
    assert told.ended_at_ms is not None and iso(told.ended_at_ms) == end
    expect_refusal(await billing.call("POST", "cancel"), 402, "SUBSCRIPTION_REQUIRED")


async def test_cancelling_at_once_gives_back_what_is_left(billing: Any, clock: ManualClock) -> None:
    await billing.bought("pro")
    plan = (await billing.stored()).plan
    total = (plan.period_end_ms - plan.period_start_ms) // 1000
    clock.advance(12 * 86_400)
    answer = await billing.ok("POST", "cancel", {"cancel_immediately": True})
    assert answer == {
        "message": "Subscription cancelled",
        "cancel_at_period_end": False,
        "access_until": iso(clock.now_ms()),
        "refund_amount": round(14_900 * (total - 12 * 86_400) / total) / 100,
    }
    told = await billing.told()
    assert (told.status, told.tier, told.ended_at_ms) == ("cancelled", Tier.FREE, clock.now_ms())
    assert not effective_at(told.effective, clock.now_ms()).live
    (audit,) = await billing.audited("subscription_refunded")
    assert audit.metadata["amount_cents"] == round(answer["refund_amount"] * 100)


async def test_a_plan_paid_for_with_credit_gives_no_money_back(billing: Any) -> None:
    await billing.bought("pro", "yearly")
    await billing.bought("enterprise", "monthly")
    assert (await billing.ok("POST", "cancel", {"cancel_immediately": True}))["refund_amount"] == 0.0


async def test_cancelled_at_the_end_may_still_be_cancelled_at_once(billing: Any) -> None:
    await billing.bought("pro")
    await billing.ok("POST", "cancel")
    assert (await billing.ok("POST", "cancel", {"cancel_immediately": True}))["refund_amount"] == 149.0


async def test_in_a_trial_there_is_nothing_to_cancel(billing: Any, expect_refusal: Any) -> None:
    expect_refusal(await billing.call("POST", "cancel", {"cancel_immediately": True}), 402, "SUBSCRIPTION_REQUIRED")


@pytest.mark.parametrize("body", [{"cancel_immediately": "perhaps"}, {"why": "x"}, {"reason": "x" * 201}])
async def test_a_wrong_cancellation_is_refused(billing: Any, expect_refusal: Any, body: Any) -> None:
    expect_refusal(await billing.call("POST", "cancel", body), 400, "VALIDATION_ERROR")


async def test_an_override_can_be_given_up_and_refunds_nothing(billing: Any, clock: ManualClock) -> None:
    given = TierOverrideRequested(
        user_id="usr_a", tier=Tier.PRO, expires_at_ms=None, by="usr_admin", at_ms=clock.now_ms()
    )
    await billing.given(given)
    later = await billing.ok("POST", "cancel")
    assert later == {
        "message": "Subscription cancelled",
        "cancel_at_period_end": True,
        "access_until": "2026-02-01T00:00:00Z",
        "refund_amount": 0.0,
    }
    now = await billing.ok("POST", "cancel", {"cancel_immediately": True})
    assert (now["refund_amount"], now["cancel_at_period_end"]) == (0.0, False)
    assert (await billing.told()).tier is Tier.FREE


async def test_the_first_plan_after_a_cancelled_one_is_a_new_subscription(billing: Any) -> None:
    first = await billing.bought("pro")
    await billing.ok("POST", "cancel", {"cancel_immediately": True})
    second = await billing.bought("pro")
    assert second["subscription_id"] != first["subscription_id"]
    assert (await billing.told()).ended_at_ms is None
