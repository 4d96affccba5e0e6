"""Reset of a forgotten password: the link, what it ends, and that nobody learns who has an account."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from nija_common.events.identity import SessionRevoked, UserSnapshot

NEW_PASSWORD = "Quartz-Lantern-Orchard-7"


async def confirm(auth: Any, token: str, password: str = NEW_PASSWORD) -> Any:
    return await auth.call("POST", "reset-password/confirm", {"token": token, "new_password": password})


async def test_the_mail_carries_the_token_sealed_and_the_store_only_its_hash(auth: Any, ada: str, on_disk: Any) -> None:
    token = await auth.mailed_token()
    (mail,) = await auth.mails("reset_password")
    assert (mail.user_id, mail.to, mail.template) == (ada, "ada@nija.example", "reset_password")
    assert mail.expires_at_ms == auth.platform.clock.now_ms() + 3_600_000
    assert token not in mail.model_dump_json()
    assert token.encode() not in on_disk()
    (entry,) = await auth.audited("password_reset_requested")
    assert entry.user_id == ada


async def test_post_auth_reset_password_confirm__success(auth: Any, ada: str, expect_refusal: Any) -> None:
    """A confirmed reset sets the password, ends every session and lifts the lock."""
    sessions = [await auth.signed_in() for _ in range(2)]
    for _ in range(10):
        await auth.login(password="Wrong-Harbour-99x")
    expect_refusal(await auth.login(), 429, "RATE_LIMIT_EXCEEDED")
    answer = await confirm(auth, await auth.mailed_token())
    assert answer.json()["data"] == {"message": "Password changed successfully"}
    for session in sessions:
        expect_refusal(await auth.refresh(session), 401, "TOKEN_INVALID")
    (revoked,) = await auth.platform.emitted(SessionRevoked)
    assert (revoked.session_id, revoked.reason) == (None, "password_reset")
    assert (await auth.platform.emitted(UserSnapshot))[-1].tokens_valid_after_ms == revoked.revoked_until_ms
    expect_refusal(await auth.login(), 401, "INVALID_CREDENTIALS")
    await auth.signed_in(password=NEW_PASSWORD)
    assert len(await auth.audited("password_reset_confirmed")) == 1


async def test_a_link_works_once_also_when_followed_twice_at_the_same_time(
    auth: Any, ada: str, expect_refusal: Any
) -> None:
    token = await auth.mailed_token()
    answers = await asyncio.gather(*(confirm(auth, token) for _ in range(4)))
    assert sorted(a.status_code for a in answers) == [200, 401, 401, 401]
    expect_refusal(await confirm(auth, token), 401, "TOKEN_INVALID")


async def test_post_auth_reset_password_confirm__token_expired(auth: Any, ada: str, expect_refusal: Any) -> None:
    """A link expires after an hour and says so."""
    token = await auth.mailed_token()
    auth.platform.clock.advance(3600)
    await auth.platform.run_loop("auth", "forget-expired")
    expect_refusal(await confirm(auth, token), 401, "TOKEN_EXPIRED")
    await auth.signed_in()


async def test_post_auth_reset_password_confirm__weak_password(auth: Any, ada: str, expect_refusal: Any) -> None:
    """A weak new password leaves the link good."""
    token = await auth.mailed_token()
    expect_refusal(await confirm(auth, token, "password1234"), 400, "WEAK_PASSWORD")
    assert (await confirm(auth, token)).status_code == 200


@pytest.mark.parametrize(
    "body", [{}, {"token": "x"}, {"token": "", "new_password": "y"}, {"token": 1, "new_password": "y"}]
)
async def test_a_malformed_confirmation_is_a_validation_error(auth: Any, expect_refusal: Any, body: Any) -> None:
    expect_refusal(await auth.call("POST", "reset-password/confirm", body), 400, "VALIDATION_ERROR")


async def test_an_unknown_link_is_invalid(auth: Any, expect_refusal: Any) -> None:
    expect_refusal(await confirm(auth, "nonsense"), 401, "TOKEN_INVALID")


async def test_two_links_and_the_use_of_one_ends_the_other(auth: Any, ada: str, expect_refusal: Any) -> None:
    first = await auth.mailed_token()
    auth.platform.clock.advance(61)
    second = await auth.mailed_token()
    assert (await confirm(auth, second)).status_code == 200
    expect_refusal(await confirm(auth, first), 401, "TOKEN_INVALID")


async def test_an_account_gets_one_reset_mail_a_minute(auth: Any, ada: str) -> None:
    for _ in range(5):
        await auth.call("POST", "reset-password", {"email": "ada@nija.example"})
    await auth.platform.run_loop("auth", "answer-resets")
    await auth.platform.run_loop("auth", "answer-resets")
    assert len(await auth.mails("reset_password")) == 1
    assert await auth.deps.people.reset_requests() == []


async def test_a_stranger_and_a_disabled_account_get_no_mail(auth: Any, ada: str) -> None:
    await auth.change_user(status="disabled")
    for email in ("ada@nija.example", "nobody@nija.example", "not an e-mail"):
        assert (await auth.call("POST", "reset-password", {"email": email})).status_code == 200
    await auth.platform.run_loop("auth", "answer-resets")
    assert await auth.mails("reset_password") == []
    assert await auth.deps.people.reset_requests() == []
