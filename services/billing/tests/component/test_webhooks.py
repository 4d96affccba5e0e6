"""Stripe's webhook: forged, old, repeated, out of order, and in the middle of a crash."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
import stripe

from nija_billing.adapters.stripe_webhooks import StripeWebhooks
from nija_billing.domain.changes import followed
from nija_billing.domain.subscription import new_subscription
from nija_billing.domain.vendor import VendorSubscription, heard
from nija_billing.handlers import notices
from nija_billing.service import SERVICE
from nija_common.events.payments import InvoicePaid, InvoicePaymentFailed
from nija_common.events.subscriptions import SubscriptionSnapshot
from nija_common.storage.unit_of_work import UnitOfWork
from nija_common.testing import TestPlatform, start_platform
from nija_common.values.clock import ManualClock
from nija_common.values.tiers import Tier, effective_at

DAY_S = 86_400


def subscription_event(
    kind: str, subscription_id: str, at_s: int, *, tier: str = "pro", start_s: int | None = None, **changes: Any
) -> dict[str, Any]:
    """An event about a subscription, as Stripe's newer API versions write it."""
    start = at_s if start_s is None else start_s
    item = {
        "price": {"lookup_key": f"nija_{tier}_monthly", "unit_amount": {"basic": 4900, "pro": 14900}[tier]},
        "current_period_start": start,
        "current_period_end": start + 31 * DAY_S,
    }
    thing: dict[str, Any] = {"id": subscription_id, "object": "subscription", "customer": "cus_1"}
    thing["metadata"] = {"user_id": "usr_a"}
    thing |= {"items": {"data": [item]}, "cancel_at_period_end": False, **changes}
    event_id = f"evt_{kind}_{at_s}"
    return {
        "id": event_id,
        "object": "event",
        "type": f"customer.subscription.{kind}",
        "created": at_s,
        "data": {"object": thing},
    }


def invoice_event(outcome: str, subscription_id: str, at_s: int, **changes: Any) -> dict[str, Any]:
    """An event about an invoice of a running subscription."""
    line = {
        "amount": 14_900,
        "period": {"start": at_s, "end": at_s + 31 * DAY_S},
        "pricing": {"price_details": {"price": "price_1", "product": "nija_pro"}},
    }
    details = {"subscription": subscription_id, "metadata": {"user_id": "usr_a", "tier": "pro", "interval": "monthly"}}
    thing = {
        "id": f"in_{at_s}",
        "object": "invoice",
        "customer": "cus_1",
        "amount_paid": 14_900 if outcome == "succeeded" else 0,
        "amount_due": 14_900,
        "ending_balance": 0,
        "billing_reason": "subscription_cycle",
        "parent": {"subscription_details": details},
        "lines": {"data": [line]},
        **changes,
    }
    return {
        "id": f"evt_{outcome}_{at_s}",
        "object": "event",
        "type": f"invoice.payment_{outcome}",
        "created": at_s,
        "data": {"object": thing},
    }


@pytest.fixture
async def plan(billing: Any) -> str:
    """The id of a running subscription, and a day later."""
    bought = await billing.bought("pro")
    billing.clock.advance(DAY_S)
    return str(bought["subscription_id"])


def now_s(billing: Any) -> int:
    return int(billing.clock.now_ms() // 1000)


async def test_post_webhooks_stripe__success(billing: Any, plan: str, platform: TestPlatform) -> None:
    """A failed payment suspends, and a paid one restores."""
    answer = await billing.webhook(invoice_event("failed", plan, now_s(billing)))
    assert (answer.status_code, answer.json()["data"]) == (200, {"received": True})
    told = await billing.told()
    assert (told.status, told.tier) == ("past_due", Tier.PRO)
    (failed,) = await platform.emitted(InvoicePaymentFailed)
    assert (failed.amount_cents, failed.subscription_id) == (14_900, plan)
    assert len(await billing.audited("subscription_suspended")) == 1
    await billing.webhook(invoice_event("succeeded", plan, now_s(billing) + 1))
    assert (await billing.told()).status == "active"


async def test_a_declined_change_of_plan_suspends_nobody(billing: Any, plan: str) -> None:
    event = invoice_event("failed", plan, now_s(billing), billing_reason="subscription_update")
    assert (await billing.webhook(event)).status_code == 200
    assert (await billing.told()).status == "active"


async def test_a_deleted_subscription_is_over_for_good(billing: Any, plan: str, clock: ManualClock) -> None:
    await billing.webhook(subscription_event("deleted", plan, now_s(billing)))
    told = await billing.told()
    assert (told.status, told.tier, told.subscription_id) == ("cancelled", Tier.FREE, None)
    assert told.ended_at_ms == now_s(billing) * 1000
    assert not effective_at(told.effective, clock.now_ms()).live
    for later in (
        invoice_event("succeeded", plan, now_s(billing) + 5),
        subscription_event("updated", plan, now_s(billing) + 6),
    ):
        assert (await billing.webhook(later)).status_code == 200
    assert await billing.told() == told


async def test_an_update_changes_tier_period_and_cancellation(billing: Any, plan: str) -> None:
    at_s = now_s(billing)
    await billing.webhook(subscription_event("updated", plan, at_s, tier="basic", cancel_at_period_end=True))
    told = await billing.told()
    assert (told.tier, told.cancel_at_period_end, told.amount_cents) == (Tier.BASIC, True, 4_900)
    assert told.period_end_ms == (at_s + 31 * DAY_S) * 1000
    assert [stretch.tier for stretch in told.effective] == [Tier.BASIC, Tier.FREE]


async def test_a_payment_of_a_new_subscription_activates_it_before_our_own_answer(
    billing: Any, platform: TestPlatform
) -> None:
    await billing.webhook(invoice_event("succeeded", "sub_new", now_s(billing)))
    told = await billing.told()
    assert (told.status, told.tier, told.subscription_id) == ("active", Tier.PRO, "sub_new")
    assert (await billing.current())["trial_active"] is False
    (paid,) = await platform.emitted(InvoicePaid)
    assert paid.amount_cents == 14_900


async def test_an_invoice_is_told_once_whoever_tells_it(billing: Any, plan: str, platform: TestPlatform) -> None:
    (own,) = await platform.emitted(InvoicePaid)
    await billing.webhook(invoice_event("succeeded", plan, now_s(billing), id=own.invoice_id))
    assert len(await platform.emitted(InvoicePaid)) == 1


async def test_bodies_of_older_api_versions_are_understood(billing: Any, plan: str) -> None:
    event = invoice_event("failed", plan, now_s(billing), parent=None, subscription=plan)
    assert (await billing.webhook(event)).status_code == 200
    assert (await billing.told()).status == "past_due"
    thing = {"id": plan, "customer": "cus_1", "current_period_start": 1_800_000_000}
    thing |= {"current_period_end": 1_800_000_000 + 31 * DAY_S}
    thing |= {"items": {"data": [{"plan": {"product": "nija_basic", "interval": "month"}}]}}
    old = {"id": "evt_old", "type": "customer.subscription.updated", "created": now_s(billing) + 1}
    assert (await billing.webhook({**old, "data": {"object": thing}})).status_code == 200
    assert (await billing.told()).tier is Tier.BASIC


async def test_a_repeated_event_and_an_unknown_type_change_nothing(billing: Any, plan: str) -> None:
    event = invoice_event("failed", plan, now_s(billing))
    for _ in range(3):
        assert (await billing.webhook(event)).status_code == 200
    before = await billing.stored()
    unknown = {"id": "evt_x", "type": "charge.refunded", "created": 1, "data": {"object": {}}}
    assert (await billing.webhook(unknown)).status_code == 200
    assert await billing.stored() == before
    assert len(await billing.platform.emitted(InvoicePaymentFailed)) == 1


async def test_events_about_nobody_here_are_taken_without_effect(billing: Any) -> None:
    event = invoice_event("failed", "sub_foreign", now_s(billing), parent=None, subscription="sub_foreign")
    assert (await billing.webhook(event)).status_code == 200
    no_subscription = invoice_event("failed", "x", now_s(billing), parent=None)
    assert (await billing.webhook(no_subscription)).status_code == 200


@pytest.mark.parametrize("secret", ["whsec_new", "whsec_old"])
async def test_during_a_roll_both_secrets_are_good(billing: Any, plan: str, secret: str) -> None:
    answer = await billing.webhook(invoice_event("failed", plan, now_s(billing)), secret=secret)
    assert answer.status_code == 200
    assert (await billing.told()).status == "past_due"


@pytest.mark.parametrize("secret", ["whsec_other", "whsec_ne", ""])
async def test_another_secret_is_refused(billing: Any, plan: str, expect_refusal: Any, secret: str) -> None:
    answer = await billing.webhook(invoice_event("failed", plan, now_s(billing)), secret=secret)
    expect_refusal(answer, 400, "VALIDATION_ERROR")
    assert (await billing.told()).status == "active"


@pytest.mark.parametrize("offset", [-301, 301])
async def test_a_replay_outside_of_five_minutes_is_refused(
    billing: Any, plan: str, expect_refusal: Any, offset: int
) -> None:
    answer = await billing.webhook(invoice_event("failed", plan, now_s(billing)), at_s=now_s(billing) + offset)
    expect_refusal(answer, 400, "VALIDATION_ERROR")
    within = await billing.webhook(invoice_event("failed", plan, now_s(billing)), at_s=now_s(billing) + offset // 2)
    assert within.status_code == 200


@pytest.mark.parametrize("signature", ["", "t=1", "nonsense", "t=1,v1=", "t=x,v1=00", "v1=00"])
async def test_a_signature_that_is_none_is_refused(billing: Any, expect_refusal: Any, signature: str) -> None:
    answer = await billing.webhook("{}", signature=signature or "v0=1")
    expect_refusal(answer, 400, "VALIDATION_ERROR")


@pytest.mark.parametrize("change", ["body", "space"])
async def test_the_signature_is_of_the_raw_bytes(billing: Any, plan: str, expect_refusal: Any, change: str) -> None:
    body = json.dumps(invoice_event("failed", plan, now_s(billing)))
    sent = await billing.webhook(body)
    header = sent.request.headers["stripe-signature"]
    other = body.replace("14900", "1") if change == "body" else body + " "
    expect_refusal(await billing.webhook(other, signature=header), 400, "VALIDATION_ERROR")


@pytest.mark.parametrize("body", ["not json", "[]", "{}", '{"id":1,"type":"invoice.payment_failed","data":{}}'])
async def test_post_webhooks_stripe__bad_input(billing: Any, expect_refusal: Any, body: str) -> None:
    """Signed nonsense is refused, and no fault."""
    expect_refusal(await billing.webhook(body), 400, "VALIDATION_ERROR")


async def test_without_a_secret_the_webhook_takes_nothing(
    tmp_path: Path, clock: ManualClock, expect_refusal: Any
) -> None:
    async with start_platform(tmp_path, [SERVICE], clock=clock) as platform:
        answer = await platform.client("billing").post("/api/v1/webhooks/stripe", content=b"{}")
        expect_refusal(answer, 503, "SERVICE_UNAVAILABLE")


def five(subscription_id: str, at_s: int) -> list[dict[str, Any]]:
    """A short life: changed, failed, paid after all, renewed, deleted."""
    return [
        subscription_event("updated", subscription_id, at_s + 1, tier="basic"),
        invoice_event("failed", subscription_id, at_s + 2),
        invoice_event("succeeded", subscription_id, at_s + 3),
        subscription_event("updated", subscription_id, at_s + 4, tier="pro", start_s=at_s + 3),
        subscription_event("deleted", subscription_id, at_s + 5),
    ]


@pytest.mark.parametrize("with_end", [True, False])
def test_all_120_orders_of_five_events_end_in_one_state(with_end: bool) -> None:
    """Duplicates inside; for an account that billing knows nothing of, where order matters most."""
    at_s, now_ms = 1_769_700_000, 1_769_700_100_000
    events = five("sub_1", at_s)
    if not with_end:
        events[-1] = invoice_event("failed", "sub_1", at_s + 5)
    webhooks = StripeWebhooks(["whsec"])
    finals = set()
    for order in itertools.permutations(events):
        account = new_subscription("usr_a", 1_769_683_320_000, now_ms)
        record = VendorSubscription(id="sub_1", user_id="usr_a")
        for event in [*order[:3], order[0], *order[3:], order[2]]:
            body = json.dumps(event)
            notice = webhooks.read(body.encode(), _signed(body, at_s), at_s * 1000)
            assert notice is not None
            record = heard(record, notice)
            account = followed(account, record, now_ms)
        finals.add(account.model_dump_json() + record.model_dump_json())
    (final,) = finals
    assert ('"status":"cancelled"' if with_end else '"status":"past_due"') in final


def _signed(body: str, at_s: int) -> str:
    return str(stripe.WebhookSignature.generate_signature_header(body, "whsec", at_s))


@pytest.mark.parametrize("seed", range(6))
async def test_orders_end_in_one_state_through_http_as_well(billing: Any, plan: str, seed: int) -> None:
    events = five(plan, now_s(billing))
    order = list(itertools.permutations(events))[seed * 23]
    for event in (*order, *order[:2]):
        assert (await billing.webhook(event)).status_code == 200
    told = await billing.told()
    assert (told.status, told.tier, told.ended_at_ms) == ("cancelled", Tier.FREE, (now_s(billing) + 5) * 1000)


class Killed(BaseException):
    """The process is gone: nothing of ours catches this."""


@pytest.mark.parametrize("step", ["before the commit", "after the commit"])
async def test_a_crash_in_between_has_the_effect_once(
    billing: Any, plan: str, platform: TestPlatform, step: str
) -> None:
    """What Stripe does after no answer: it sends the event again."""
    event = json.dumps(invoice_event("failed", plan, now_s(billing)))
    signature = _header(billing, event)
    notice = billing.deps.webhooks.read(event.encode(), signature, billing.clock.now_ms())

    async def dies(deps: Any, command: Any, uow: UnitOfWork) -> None:
        await notices.apply_notice(deps, command, uow)
        raise Killed

    if step == "before the commit":
        with pytest.raises(Killed):
            await billing.deps.work.run(dies, billing.deps, notice)
        assert (await billing.stored()).status == "active"
    else:
        await billing.deps.work.run(notices.apply_notice, billing.deps, notice)
    assert (await billing.webhook(event)).status_code == 200
    assert (await billing.stored()).status == "past_due"
    assert len(await platform.emitted(InvoicePaymentFailed)) == 1
    assert len([s for s in await platform.emitted(SubscriptionSnapshot) if s.status == "past_due"]) == 1


def _header(billing: Any, body: str) -> str:
    return str(stripe.WebhookSignature.generate_signature_header(body, "whsec_new", now_s(billing)))
