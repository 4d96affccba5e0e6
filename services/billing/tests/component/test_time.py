"""What time does to subscriptions: renewals, failed payments, and administrators' overrides that run out."""

from __future__ import annotations

import random
from typing import Any

import pytest

from nija_common.events.administration import TierOverrideRequested
from nija_common.events.identity import UserSnapshot
from nija_common.events.payments import InvoicePaid, InvoicePaymentFailed
from nija_common.testing import TestPlatform
from nija_common.testing.events import example_of
from nija_common.values.clock import ManualClock
from nija_common.values.tiers import Tier, effective_at
from nija_common.values.times import DAY_MS, iso


def override(clock: ManualClock, tier: Tier | None, days: float | None = None, user: str = "usr_a") -> Any:
    expires = None if days is None else clock.now_ms() + round(days * DAY_MS)
    return TierOverrideRequested(user_id=user, tier=tier, expires_at_ms=expires, by="usr_admin", at_ms=clock.now_ms())


async def test_a_period_is_renewed_once_and_keeps_its_day(billing: Any, platform: TestPlatform) -> None:
    await billing.bought("pro")
    await billing.pass_days(31)
    await billing.loops()
    current = await billing.current()
    assert (current["current_period_start"], current["current_period_end"]) == (
        "2026-02-28T10:42:00Z",
        "2026-03-29T10:42:00Z",
    )
    assert [paid.amount_cents for paid in await platform.emitted(InvoicePaid)][-1] == 14_900
    assert current["status"] == "active"


async def test_nobody_pays_for_months_in_which_the_platform_was_down(
    billing: Any, platform: TestPlatform, clock: ManualClock
) -> None:
    await billing.bought("pro")
    await billing.pass_days(200)
    now_ms = clock.now_ms()
    assert len([paid for paid in await platform.emitted(InvoicePaid) if paid.at_ms == now_ms]) == 1
    assert (await billing.current())["current_period_start"] == iso(clock.now_ms())


async def declined_from_now_on(billing: Any) -> None:
    """The stored card is one that the stand-in declines."""

    async def write(deps: Any, _: None, uow: Any) -> None:
        stored = await deps.subscriptions.of(billing.user_id)
        method = stored.payment_method.model_copy(update={"id": "pm_card_chargeDeclined"})
        uow.save(stored.model_copy(update={"payment_method": method}))

    await billing.deps.work.run(write, billing.deps, None)


async def test_a_renewal_that_is_declined_suspends_is_retried_and_ends(billing: Any, platform: TestPlatform) -> None:
    await billing.bought("pro")
    await declined_from_now_on(billing)
    await billing.pass_days(30, hours=1)
    told = await billing.told()
    assert (told.status, told.tier) == ("past_due", Tier.PRO)
    (failed,) = await platform.emitted(InvoicePaymentFailed)
    assert (failed.amount_cents, failed.reason) == (14_900, "Your card was declined.")
    assert len(await billing.audited("subscription_suspended")) == 1
    for days in (1, 2):
        await billing.pass_days(days)
        assert (await billing.told()).status == "past_due"
    await billing.pass_days(4)
    told = await billing.told()
    assert (told.status, told.tier) == ("cancelled", Tier.FREE)
    invoices = {event.invoice_id for event in await platform.emitted(InvoicePaymentFailed)}
    assert invoices == {failed.invoice_id}


async def test_a_suspended_user_pays_with_another_card_and_is_back(billing: Any) -> None:
    await billing.bought("pro")
    await declined_from_now_on(billing)
    await billing.pass_days(31)
    answer = await billing.bought("pro", method="pm_card_mastercard")
    assert (answer["proration_credit"], answer["amount_due_now"], answer["effective_immediately"]) == (0.0, 149.0, True)
    current = await billing.current()
    assert (current["status"], current["payment_method"]["brand"]) == ("active", "mastercard")


async def test_a_suspended_plan_cancels_at_once_and_refunds_nothing(billing: Any) -> None:
    await billing.bought("pro")
    await declined_from_now_on(billing)
    await billing.pass_days(31)
    answer = await billing.ok("POST", "cancel")
    assert (answer["cancel_at_period_end"], answer["refund_amount"]) == (False, 0.0)
    assert (await billing.told()).status == "cancelled"


async def test_an_override_is_in_force_ends_the_trial_and_may_trade_live(billing: Any, clock: ManualClock) -> None:
    await billing.given(override(clock, Tier.ENTERPRISE, days=3))
    told = await billing.told()
    assert (told.tier, told.status, told.subscription_id, told.amount_cents) == (
        Tier.ENTERPRISE,
        "active",
        None,
        None,
    )
    assert [(s.tier, s.live) for s in told.effective] == [(Tier.ENTERPRISE, True), (Tier.FREE, False)]
    current = await billing.current()
    assert (current["tier"], current["trial_active"], current["amount"]) == ("enterprise", False, 0.0)
    (audit,) = await billing.audited("tier_override_set")
    assert (audit.actor, audit.metadata["tier"]) == ("usr_admin", "enterprise")
    await billing.pass_days(3)
    told = await billing.told()
    assert (told.tier, told.status) == (Tier.FREE, "none")
    assert effective_at(told.effective, clock.now_ms()).tier is Tier.FREE


async def test_a_lifted_override_leaves_what_was_paid_for(billing: Any, clock: ManualClock) -> None:
    await billing.bought("basic")
    await billing.given(override(clock, Tier.ENTERPRISE))
    told = await billing.told()
    assert (told.tier, told.amount_cents, told.interval) == (Tier.ENTERPRISE, 4_900, "monthly")
    await billing.given(override(clock, None))
    told = await billing.told()
    assert (told.tier, [s.tier for s in told.effective]) == (Tier.BASIC, [Tier.BASIC])
    assert len(await billing.audited("tier_override_lifted")) == 1


async def test_an_override_to_free_takes_live_trading_away(billing: Any, clock: ManualClock) -> None:
    await billing.bought("pro")
    await billing.given(override(clock, Tier.FREE))
    assert [(s.tier, s.live) for s in (await billing.told()).effective] == [(Tier.FREE, False)]


async def test_a_plan_bought_under_an_override_runs_below_it(billing: Any, clock: ManualClock) -> None:
    await billing.given(override(clock, Tier.PRO, days=2))
    assert (await billing.bought("basic"))["proration_credit"] == 0.0
    assert [s.tier for s in (await billing.told()).effective] == [Tier.PRO, Tier.BASIC]


@pytest.mark.parametrize("lifted", [False, True])
async def test_an_override_may_come_before_the_account(
    billing: Any, platform: TestPlatform, clock: ManualClock, lifted: bool
) -> None:
    """Users and overrides are two topics, and nothing orders them."""
    await billing.given(override(clock, Tier.BASIC, user="usr_b"), override(clock, Tier.PRO, user="usr_b"))
    if lifted:
        await billing.given(override(clock, None, user="usr_b"))
    await billing.given(example_of(UserSnapshot, user_id="usr_b", registered_at_ms=clock.now_ms()))
    billing.user_id = "usr_b"
    assert (await billing.told()).tier is (Tier.FREE if lifted else Tier.PRO)


async def test_an_override_that_is_over_when_it_arrives_changes_nothing(billing: Any, clock: ManualClock) -> None:
    before = await billing.stored()
    await billing.given(override(clock, Tier.PRO, days=-1))
    assert await billing.stored() == before


async def test_any_time_between_two_turns_gives_the_same_plan(billing: Any) -> None:
    """The loop may look often or seldom: the plan that runs is the same."""
    await billing.bought("enterprise")
    await billing.bought("basic")
    dice = random.Random(4)
    days = 0.0
    while days < 65:
        step = dice.uniform(0.2, 12)
        days += step
        await billing.pass_days(step)
    current = await billing.current()
    assert (current["tier"], current["amount"], current["current_period_start"][:10]) == ("basic", 49.0, "2026-03-29")
