"""Login: tokens, locks, standing, rehashing, and what the audit log learns."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from nija_auth.domain.documents import LoginFailures, Session
from nija_auth.service import SERVICE
from nija_common.testing import start_platform
from nija_common.values.clock import ManualClock

WRONG = "Wrong-Harbour-99x"


async def test_login_answers_with_a_token_that_says_who_and_since_when(auth: Any, ada: str) -> None:
    registered_ms = auth.platform.clock.now_ms()
    auth.platform.clock.advance(1.5)
    answer = await auth.signed_in("ADA@nija.example")
    assert set(answer) == {"access_token", "refresh_token", "token_type", "expires_in", "user"}
    assert (answer["token_type"], answer["expires_in"]) == ("Bearer", 86_400)
    assert answer["user"] == {
        "user_id": ada,
        "email": "ada@nija.example",
        "full_name": "Ada Trader",
        "subscription_tier": "free",
    }
    claims = await auth.platform.app("auth").state.tokens.verify(answer["access_token"])
    assert (claims.user_id, claims.role) == (ada, "user")
    assert claims.registered_at_ms == registered_ms
    assert claims.session_at_ms == registered_ms + 1500
    assert claims.expires_at - claims.issued_at == 86_400


async def test_the_refresh_token_is_nowhere_in_the_store(auth: Any, ada: str, on_disk: Any) -> None:
    answer = await auth.signed_in()
    stored = on_disk()
    assert len(stored) > 10_000
    assert answer["refresh_token"].encode() not in stored
    assert answer["access_token"].encode() not in stored
    assert b"Copper-Meadow-Station-42" not in stored


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"email": "ada@nija.example"},
        {"email": 1, "password": "x"},
        {"email": "a", "password": "b", "otp": "1"},
        [],
        "x",
    ],
)
async def test_a_malformed_login_is_a_validation_error(auth: Any, expect_refusal: Any, body: Any) -> None:
    expect_refusal(await auth.call("POST", "login", body), 400, "VALIDATION_ERROR")


@pytest.mark.parametrize("email", ["ada@nija.example", "nobody@nija.example", "not an e-mail"])
async def test_ten_failures_lock_login_for_fifteen_minutes_for_known_and_unknown_alike(
    auth: Any, ada: str, expect_refusal: Any, email: str
) -> None:
    session = await auth.signed_in()
    for _ in range(10):
        expect_refusal(await auth.login(email, WRONG), 401, "INVALID_CREDENTIALS")
    for password in (WRONG, "Copper-Meadow-Station-42"):
        locked = await auth.login(email, password)
        expect_refusal(locked, 429, "RATE_LIMIT_EXCEEDED")
        assert locked.headers["retry-after"] == "900"
    assert (await auth.refresh(session)).status_code == 200
    auth.platform.clock.advance(899)
    expect_refusal(await auth.login(email), 429, "RATE_LIMIT_EXCEEDED")
    auth.platform.clock.advance(1)
    assert (await auth.login(email)).status_code == (200 if email == "ada@nija.example" else 401)


async def test_failures_at_once_lock_no_later_and_do_not_lift_the_lock(
    auth: Any, ada: str, expect_refusal: Any
) -> None:
    answers = await asyncio.gather(*(auth.login(password=WRONG) for _ in range(25)))
    assert sorted(a.status_code for a in answers) == [401] * 10 + [429] * 15
    expect_refusal(await auth.login(), 429, "RATE_LIMIT_EXCEEDED")


async def test_a_login_forgets_earlier_failures(auth: Any, ada: str) -> None:
    for _ in range(2):
        for _ in range(9):
            assert (await auth.login(password=WRONG)).status_code == 401
        await auth.signed_in()


async def test_the_table_of_failures_names_nobody(auth: Any) -> None:
    # No hash in hexadecimal spells this name, as one in seventy spells "ada".
    assert (await auth.register("lovelace@nija.example")).status_code == 201
    await auth.login("lovelace@nija.example", WRONG)
    (row,) = (await auth.deps.people.storage.find(LoginFailures, "by_expiry", limit=10)).items
    kept = row.model_dump_json()
    assert "lovelace" not in kept
    assert "nija.example" not in kept


@pytest.mark.parametrize(("status", "code"), [("suspended", "ACCOUNT_SUSPENDED"), ("disabled", "ACCOUNT_DISABLED")])
async def test_who_an_administrator_has_shut_out_can_neither_log_in_nor_refresh(
    auth: Any, ada: str, expect_refusal: Any, status: str, code: str
) -> None:
    session = await auth.signed_in()
    await auth.change_user(status=status)
    expect_refusal(await auth.login(), 403, code)
    expect_refusal(await auth.login(password=WRONG), 401, "INVALID_CREDENTIALS")
    expect_refusal(await auth.refresh(session), 403, code)
    assert (await auth.audited("user_login"))[1].metadata["refused"] == code


async def test_logins_are_audited_with_their_outcome_and_origin(auth: Any, ada: str) -> None:
    headers = {"x-nija-client-address": "192.0.2.7", "user-agent": "p" * 5000}
    await auth.login(password=WRONG, headers=headers)
    await auth.login("nobody@nija.example", WRONG, headers=headers)
    await auth.login(headers=headers)
    entries = await auth.audited("user_login")
    assert sorted((e.user_id, e.metadata["success"]) for e in entries) == sorted(
        [(ada, False), ("global", False), (ada, True)]
    )
    assert {e.ip_address for e in entries} == {"192.0.2.7"}
    assert all(e.user_agent is not None and len(e.user_agent) == 300 for e in entries)


async def test_a_hash_of_other_parameters_is_made_anew_at_login(
    tmp_path: Path, clock: ManualClock, auth: Any, ada: str
) -> None:
    strong = {"NIJA_PASSWORD__MEMORY_KIB": "128", "NIJA_PASSWORD__TIME_COST": "2"}
    old = await auth.user()
    async with start_platform(tmp_path / "second", [SERVICE], clock=clock, env=strong) as platform:
        later = type(auth)(platform)

        async def move(_: Any, __: None, uow: Any) -> None:
            uow.save(old.model_copy(update={"version": 0}))

        await later.deps.work.run(move, later.deps, None)
        await later.login(password=WRONG)
        assert (await later.user()).password_hash == old.password_hash
        await later.signed_in()
        assert "m=128,t=2" in (await later.user()).password_hash
        await later.signed_in()


async def test_a_session_opened_while_the_password_changes_does_not_survive_it(auth: Any, ada: str) -> None:
    first = await auth.signed_in()
    body = {"current_password": "Copper-Meadow-Station-42", "new_password": "Quartz-Lantern-Orchard-7"}
    await asyncio.gather(
        auth.call("PUT", "change-password", body, token=first["access_token"]), *(auth.login() for _ in range(6))
    )
    left = (await auth.deps.people.storage.find(Session, "by_user", (ada,), limit=50)).items
    assert len(left) == 1
