"""Registration: the answer, what it tells others, and everything it refuses."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from nija_common.events.identity import UserSnapshot
from nija_common.events.subscriptions import SubscriptionSnapshot
from nija_common.testing.events import example_of
from nija_common.values.tiers import Tier
from nija_common.values.times import iso

HEADERS = {"x-nija-client-address": "192.0.2.7", "user-agent": "probe/1"}


async def test_registering_answers_with_the_account_and_tells_the_others(auth: Any) -> None:
    answer = await auth.call(
        "POST",
        "register",
        {
            "email": "Ada@NIJA.example",
            "password": "Copper-Meadow-Station-42",
            "full_name": " Ada T ",
            "accept_terms": True,
        },
        headers=HEADERS,
    )
    now_ms = auth.platform.clock.now_ms()
    data = answer.json()["data"]
    assert answer.status_code == 201
    assert data == {
        "user_id": data["user_id"],
        "email": "Ada@nija.example",
        "full_name": "Ada T",
        "subscription_tier": "free",
        "trial_active": True,
        "trial_ends_at": iso(now_ms + 14 * 86_400_000),
        "created_at": iso(now_ms),
    }
    (snapshot,) = await auth.platform.emitted(UserSnapshot)
    assert (snapshot.user_id, snapshot.role, snapshot.status) == (data["user_id"], "user", "active")
    assert (snapshot.registered_at_ms, snapshot.tokens_valid_after_ms) == (now_ms, 0)
    (welcome,) = await auth.mails("welcome")
    assert (welcome.user_id, welcome.to, welcome.sealed) == (data["user_id"], "Ada@nija.example", None)
    assert welcome.fields == {"full_name": "Ada T", "trial_ends": "2026-02-12"}
    (entry,) = await auth.audited("user_registered")
    assert (entry.user_id, entry.ip_address, entry.user_agent) == (data["user_id"], "192.0.2.7", "probe/1")


async def test_the_password_is_kept_as_argon2id_with_the_settings_parameters(auth: Any, ada: str) -> None:
    user = await auth.user()
    assert user.password_hash.startswith("$argon2id$v=19$m=64,t=1,p=1$")
    assert (await auth.call("POST", "login", {"email": user.email, "password": "x"})).status_code == 401


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"email": "nonsense"}, "INVALID_EMAIL"),
        ({"password": "password1234"}, "WEAK_PASSWORD"),
        ({"password": "Short-77-xq"}, "WEAK_PASSWORD"),
        ({"password": "zq7kfw0plvxmtrb" * 9}, "WEAK_PASSWORD"),
        ({"password": "ada@nija.example"}, "WEAK_PASSWORD"),
        ({"accept_terms": False}, "TERMS_NOT_ACCEPTED"),
        ({"accept_terms": "yes"}, "VALIDATION_ERROR"),
        ({"full_name": "  "}, "VALIDATION_ERROR"),
        ({"full_name": None}, "VALIDATION_ERROR"),
        ({"password": 123456789012}, "VALIDATION_ERROR"),
        ({"password": "x" * 1025}, "VALIDATION_ERROR"),
        ({"email": "a" * 321}, "VALIDATION_ERROR"),
        ({"role": "admin"}, "VALIDATION_ERROR"),
        ({"is_admin": True}, "VALIDATION_ERROR"),
    ],
)
async def test_a_refused_registration_changes_nothing_and_repeats_no_password(
    auth: Any, expect_refusal: Any, changes: dict[str, Any], code: str
) -> None:
    answer = await auth.register(**changes)
    expect_refusal(answer, 400, code)
    assert str(changes.get("password", "Copper-Meadow")) not in answer.text
    assert await auth.user() is None
    assert await auth.platform.emitted(UserSnapshot) == []


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("register", "email"),
        ("register", "password"),
        ("register", "full_name"),
        ("login", "email"),
        ("login", "password"),
        ("refresh", "refresh_token"),
        ("reset-password", "email"),
        ("reset-password/confirm", "token"),
        ("reset-password/confirm", "new_password"),
    ],
)
async def test_text_that_is_no_unicode_is_refused(auth: Any, expect_refusal: Any, path: str, field: str) -> None:
    fields = {
        "register": ("email", "password", "full_name"),
        "login": ("email", "password"),
        "reset-password/confirm": ("token", "new_password"),
    }.get(path, (field,))
    body: dict[str, Any] = dict.fromkeys(fields, "some text") | {field: "half a pair: \ud800"}
    if path == "register":
        body["accept_terms"] = True
    answer = await auth.platform.client("auth").post(
        f"/api/v1/auth/{path}", content=json.dumps(body), headers={"content-type": "application/json"}
    )
    expect_refusal(answer, 400, "VALIDATION_ERROR")
    assert list(answer.json()["error"]["details"]) == [field]


async def test_an_email_is_taken_whatever_its_case(auth: Any, ada: str, expect_refusal: Any) -> None:
    expect_refusal(await auth.register("ADA@nija.EXAMPLE"), 409, "EMAIL_ALREADY_EXISTS")


async def test_of_many_registrations_of_one_email_at_once_one_succeeds(auth: Any) -> None:
    answers = await asyncio.gather(
        *(auth.register("Eve@nija.example" if n % 2 else "eve@nija.example") for n in range(8))
    )
    assert sorted(a.status_code for a in answers) == [201] + [409] * 7
    assert len(await auth.platform.emitted(UserSnapshot)) == 1


async def test_login_shows_the_tier_that_billing_says_and_an_older_snapshot_changes_nothing(
    auth: Any, ada: str
) -> None:
    assert (await auth.signed_in())["user"]["subscription_tier"] == "free"
    paid = example_of(SubscriptionSnapshot, user_id=ada, tier=Tier.PRO)
    await auth.platform.given_events(paid, source="billing")
    assert (await auth.signed_in())["user"]["subscription_tier"] == "pro"
    known = await auth.deps.people.paid_tier(ada)
    await auth.platform.given_events(example_of(SubscriptionSnapshot, user_id=ada, tier=Tier.FREE), source="replayed")
    assert (await auth.deps.people.paid_tier(ada)).revision >= known.revision
