"""Billing on the embedded platform: users in, snapshots and answers out."""

from __future__ import annotations

import json
from pathlib import Path

from nija_common.events.identity import UserSnapshot
from nija_common.events.subscriptions import SubscriptionSnapshot
from nija_common.testing import TestPlatform
from nija_common.testing.events import example_of
from nija_common.values.clock import ManualClock
from nija_common.values.tiers import TRIAL_DAYS, registration_defaults
from nija_common.values.times import DAY_MS, iso

MINUTE_S = 60.0


def user(clock: ManualClock, **changes: object) -> UserSnapshot:
    return example_of(UserSnapshot, user_id="usr_a", registered_at_ms=clock.now_ms(), **changes)


async def test_the_first_snapshot_says_what_registration_defaults_say(
    platform: TestPlatform, clock: ManualClock
) -> None:
    await platform.given_events(user(clock), source="auth")
    (snapshot,) = await platform.emitted(SubscriptionSnapshot)
    assert snapshot.effective == registration_defaults(clock.now_ms())
    assert (snapshot.status, snapshot.tier.value, snapshot.subscription_id) == ("trialing", "free", None)


async def test_a_changed_user_gets_no_second_trial(platform: TestPlatform, clock: ManualClock) -> None:
    await platform.given_events(user(clock), source="auth")
    clock.advance(MINUTE_S)
    await platform.given_events(user(clock, status="suspended"), source="auth")
    assert len(await platform.emitted(SubscriptionSnapshot)) == 1


async def test_the_end_of_the_trial_is_announced_once(platform: TestPlatform, clock: ManualClock) -> None:
    await platform.given_events(user(clock), source="auth")
    await platform.run_loop("billing", "announce-changes")
    assert len(await platform.emitted(SubscriptionSnapshot)) == 1
    clock.advance(TRIAL_DAYS * 86_400)
    for _ in range(3):
        await platform.run_loop("billing", "announce-changes")
    first, second = await platform.received(SubscriptionSnapshot)
    assert (first.event.status, second.event.status) == ("trialing", "none")
    assert second.revision > first.revision
    assert second.event.effective == first.event.effective


async def test_current_tells_a_trial_and_its_end_truthfully(platform: TestPlatform, clock: ManualClock) -> None:
    registered = clock.now_ms()
    await platform.given_events(user(clock), source="auth")
    path = "/api/v1/subscription/current"
    during = (await platform.client("billing", platform.token("usr_a")).get(path)).json()["data"]
    assert during == {
        "subscription_id": None,
        "tier": "free",
        "interval": None,
        "status": "trialing",
        "current_period_start": None,
        "current_period_end": None,
        "cancel_at_period_end": False,
        "trial_active": True,
        "trial_ends_at": iso(registered + TRIAL_DAYS * DAY_MS),
        "amount": 0.0,
        "currency": "USD",
        "payment_method": None,
        "next_billing_date": None,
        "next_billing_amount": None,
    }
    clock.advance(TRIAL_DAYS * 86_400)
    after = (await platform.client("billing", platform.token("usr_a")).get(path)).json()["data"]
    assert after == {**during, "status": "none", "trial_active": False}


async def test_current_answers_before_billing_has_heard_of_a_new_account(platform: TestPlatform) -> None:
    answer = await platform.client("billing", platform.token("usr_new")).get("/api/v1/subscription/current")
    assert (answer.status_code, answer.json()["data"]["status"]) == (200, "trialing")


async def test_current_never_guesses_about_an_older_unknown_account(platform: TestPlatform, clock: ManualClock) -> None:
    token = platform.token("usr_lost", registered_at_ms=clock.now_ms() - 600_000)
    answer = await platform.client("billing", token).get("/api/v1/subscription/current")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")


async def test_current_needs_a_token(platform: TestPlatform) -> None:
    answer = await platform.client("billing").get("/api/v1/subscription/current")
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "TOKEN_INVALID")


async def test_plans_need_no_token_and_hold_the_published_prices(platform: TestPlatform) -> None:
    answer = await platform.client("billing").get("/api/v1/subscription/plans")
    plans = answer.json()["data"]["plans"]
    assert [(p["tier"], p["price_monthly"], p["price_yearly"]) for p in plans] == [
        ("free", 0, 0),
        ("basic", 49, 470),
        ("pro", 149, 1430),
        ("enterprise", 499, 4790),
    ]


async def test_plans_are_the_references_own_to_the_letter(platform: TestPlatform, shared_folder: Path) -> None:
    operations = json.loads((shared_folder / "contract/operations.json").read_text())["operations"]
    wanted = next(o for o in operations if o["path"] == "/subscription/plans")["response"]["data"]
    answer = await platform.client("billing").get("/api/v1/subscription/plans")
    assert answer.json()["data"] == wanted
