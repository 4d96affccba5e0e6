"""Refresh, logout, change of password: which sessions end, and who is told."""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any

import pytest

from nija_auth.domain.documents import LoginFailures, PasswordReset, Session
from nija_auth.domain.sessions import REMEMBERED_MS
from nija_auth.handlers.auditing import Origin
from nija_auth.handlers.passwords import _Replace, _replace
from nija_common.events.identity import SessionRevoked, UserSnapshot
from nija_common.storage.unit_of_work import UnitOfWork

PASSWORD, NEW_PASSWORD = "Copper-Meadow-Station-42", "Quartz-Lantern-Orchard-7"


async def claims(auth: Any, token: str) -> Any:
    return await auth.platform.app("auth").state.tokens.verify(token)


async def test_refresh_gives_a_new_access_token_of_the_same_session_and_no_refresh_token(auth: Any, ada: str) -> None:
    session = await auth.signed_in()
    auth.platform.clock.advance(3600)
    for _ in range(2):
        data = (await auth.refresh(session)).json()["data"]
        assert (data["token_type"], data["expires_in"], set(data)) == (
            "Bearer",
            86_400,
            {"access_token", "token_type", "expires_in"},
        )
    old, new = await claims(auth, session["access_token"]), await claims(auth, data["access_token"])
    assert (new.session_id, new.session_at_ms, new.user_id) == (old.session_id, old.session_at_ms, ada)
    assert new.expires_at == old.expires_at + 3600


async def test_post_auth_refresh__token_expired(auth: Any, ada: str, expect_refusal: Any) -> None:
    """A session lasts thirty days and then says so."""
    session = await auth.signed_in()
    auth.platform.clock.advance(30 * 86_400 - 1)
    assert (await auth.refresh(session)).status_code == 200
    auth.platform.clock.advance(1)
    await auth.platform.run_loop("auth", "forget-expired")
    expect_refusal(await auth.refresh(session), 401, "TOKEN_EXPIRED")


@pytest.mark.parametrize("token", ["nonsense", "x" * 4096, "é"])
async def test_an_unknown_refresh_token_is_invalid(auth: Any, expect_refusal: Any, token: str) -> None:
    expect_refusal(await auth.refresh({"refresh_token": token}), 401, "TOKEN_INVALID")


@pytest.mark.parametrize(
    "body", [{}, {"refresh_token": ""}, {"refresh_token": None}, {"refresh_token": "x", "more": 1}]
)
async def test_a_malformed_refresh_is_a_validation_error(auth: Any, expect_refusal: Any, body: Any) -> None:
    expect_refusal(await auth.call("POST", "refresh", body), 400, "VALIDATION_ERROR")


async def test_an_access_token_is_no_refresh_token(auth: Any, ada: str, expect_refusal: Any) -> None:
    session = await auth.signed_in()
    expect_refusal(await auth.refresh({"refresh_token": session["access_token"]}), 401, "TOKEN_INVALID")


@pytest.mark.parametrize("body", [None, {}, {"revoke_all": False}])
async def test_logout_ends_its_session_only(auth: Any, ada: str, expect_refusal: Any, body: Any) -> None:
    mine, other = await auth.signed_in(), await auth.signed_in()
    answer = await auth.call("POST", "logout", body, token=mine["access_token"])
    assert answer.json()["data"] == {"message": "Logged out successfully"}
    expect_refusal(await auth.refresh(mine), 401, "TOKEN_INVALID")
    assert (await auth.refresh(other)).status_code == 200
    (event,) = await auth.platform.emitted(SessionRevoked)
    sid = (await claims(auth, mine["access_token"])).session_id
    assert (event.user_id, event.session_id, event.revoked_until_ms, event.reason) == (ada, sid, None, "logout")
    (entry,) = await auth.audited("user_logout")
    assert (entry.user_id, entry.metadata) == (ada, {"everywhere": False})


async def test_logging_out_again_changes_nothing(auth: Any, ada: str) -> None:
    mine = await auth.signed_in()
    for _ in range(2):
        assert (await auth.call("POST", "logout", {}, token=mine["access_token"])).status_code == 200


async def test_revoke_all_ends_every_session_and_a_login_in_the_same_millisecond_stands(
    auth: Any, ada: str, expect_refusal: Any
) -> None:
    old = [await auth.signed_in() for _ in range(3)]
    for _ in range(3):
        token = old[-1]["access_token"]
        assert (await auth.call("POST", "logout", {"revoke_all": True}, token=token)).status_code == 200
        for session in old:
            expect_refusal(await auth.refresh(session), 401, "TOKEN_INVALID")
        until = (await auth.platform.emitted(SessionRevoked))[-1].revoked_until_ms
        assert until is not None
        for session in old:
            assert (await claims(auth, session["access_token"])).session_at_ms <= until
        assert (await auth.platform.emitted(UserSnapshot))[-1].tokens_valid_after_ms == until
        fresh = await auth.signed_in()
        assert (await auth.refresh(fresh)).status_code == 200
        assert (await claims(auth, fresh["access_token"])).session_at_ms > until
        old.append(fresh)


@pytest.mark.parametrize("revoke_all", ["true", 1, None])
async def test_a_malformed_logout_ends_nothing(auth: Any, ada: str, expect_refusal: Any, revoke_all: Any) -> None:
    mine = await auth.signed_in()
    answer = await auth.call("POST", "logout", {"revoke_all": revoke_all}, token=mine["access_token"])
    expect_refusal(answer, 400, "VALIDATION_ERROR")
    assert (await auth.refresh(mine)).status_code == 200


async def test_changing_the_password_ends_every_other_session_one_by_one(
    auth: Any, ada: str, expect_refusal: Any
) -> None:
    mine, other = await auth.signed_in(), await auth.signed_in()
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    answer = await auth.call("PUT", "change-password", body, token=mine["access_token"])
    assert answer.json()["data"] == {"message": "Password changed successfully"}
    assert (await auth.refresh(mine)).status_code == 200
    expect_refusal(await auth.refresh(other), 401, "TOKEN_INVALID")
    (event,) = await auth.platform.emitted(SessionRevoked)
    sid = (await claims(auth, other["access_token"])).session_id
    assert (event.session_id, event.revoked_until_ms, event.reason) == (sid, None, "password_changed")
    expect_refusal(await auth.login(), 401, "INVALID_CREDENTIALS")
    await auth.signed_in(password=NEW_PASSWORD)
    assert len(await auth.audited("password_changed")) == 1


@pytest.mark.parametrize(
    ("current", "new", "status", "code"),
    [
        ("nope-nope-nope", NEW_PASSWORD, 401, "INVALID_CREDENTIALS"),
        (PASSWORD, "password1234", 400, "WEAK_PASSWORD"),
        (PASSWORD, "short", 400, "WEAK_PASSWORD"),
        (PASSWORD, "ada@nija.example", 400, "WEAK_PASSWORD"),
        (PASSWORD, "", 400, "VALIDATION_ERROR"),
        (PASSWORD, None, 400, "VALIDATION_ERROR"),
    ],
)
async def test_a_refused_change_of_password_changes_nothing(
    auth: Any, ada: str, expect_refusal: Any, current: str, new: Any, status: int, code: str
) -> None:
    mine, other = await auth.signed_in(), await auth.signed_in()
    body = {"current_password": current, "new_password": new}
    expect_refusal(await auth.call("PUT", "change-password", body, token=mine["access_token"]), status, code)
    assert (await auth.refresh(other)).status_code == 200
    await auth.signed_in()


async def test_a_change_of_password_makes_a_mailed_link_useless(auth: Any, ada: str, expect_refusal: Any) -> None:
    mine, link = await auth.signed_in(), await auth.mailed_token()
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    assert (await auth.call("PUT", "change-password", body, token=mine["access_token"])).status_code == 200
    answer = await auth.call("POST", "reset-password/confirm", {"token": link, "new_password": PASSWORD})
    expect_refusal(answer, 401, "TOKEN_INVALID")


@pytest.mark.parametrize(("method", "path"), [("POST", "logout"), ("PUT", "change-password")])
async def test_the_signed_in_routes_ask_for_a_token_first(
    auth: Any, expect_refusal: Any, method: str, path: str
) -> None:
    expect_refusal(await auth.call(method, path, {}), 401, "TOKEN_INVALID")


async def test_what_is_over_is_removed_after_a_while_and_nothing_else(auth: Any, ada: str) -> None:
    await auth.signed_in()
    await auth.mailed_token()
    await auth.login(password="Wrong-Harbour-99x")
    storage = auth.deps.people.storage

    async def rows() -> list[int]:
        await auth.platform.run_loop("auth", "forget-expired")
        return [await storage.count(kind, "by_expiry") for kind in (Session, LoginFailures, PasswordReset)]

    assert await rows() == [1, 1, 1]
    auth.platform.clock.advance(15 * 60 + 1)
    assert await rows() == [1, 0, 1]
    auth.platform.clock.advance(3600 + REMEMBERED_MS / 1000)
    assert await rows() == [1, 0, 0]
    auth.platform.clock.advance(30 * 86_400)
    assert await rows() == [0, 0, 0]


async def test_who_is_suspended_hears_that_at_the_next_refresh_though_the_session_has_ended(
    auth: Any, ada: str, expect_refusal: Any
) -> None:
    session = await auth.signed_in()
    await auth.call("POST", "logout", {"revoke_all": True}, token=session["access_token"])
    expect_refusal(await auth.refresh(session), 401, "TOKEN_INVALID")
    await auth.change_user(status="suspended")
    expect_refusal(await auth.refresh(session), 403, "ACCOUNT_SUSPENDED")


@pytest.mark.parametrize("revoke_all", [True, False])
async def test_an_ended_session_changes_no_password(auth: Any, ada: str, expect_refusal: Any, revoke_all: bool) -> None:
    ended, standing = await auth.signed_in(), await auth.signed_in()
    await auth.call("POST", "logout", {"revoke_all": revoke_all}, token=ended["access_token"])
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    expect_refusal(await auth.call("PUT", "change-password", body, token=ended["access_token"]), 401, "TOKEN_INVALID")
    assert (await auth.refresh(standing)).status_code == (401 if revoke_all else 200)
    await auth.signed_in()


async def test_a_login_committed_in_another_process_meanwhile_makes_the_change_of_password_look_again(
    auth: Any, ada: str, expect_refusal: Any
) -> None:
    mine = await auth.signed_in()
    sid = (await claims(auth, mine["access_token"])).session_id
    user = await auth.user()
    late: list[Any] = []

    async def change(deps: Any, command: Any, uow: UnitOfWork) -> None:
        await _replace(deps, command, uow)
        if not late:
            # What another process would do here: it neither waits for this one nor sees what it has collected.
            elsewhere = asyncio.create_task(auth.signed_in(), context=contextvars.Context())
            late.append(await elsewhere)

    replace = _Replace(user.id, user.password_hash, "new", sid, Origin())
    await auth.deps.work.run(change, auth.deps, replace)
    expect_refusal(await auth.refresh(late[0]), 401, "TOKEN_INVALID")
    assert (await auth.refresh(mine)).status_code == 200


async def test_a_user_with_thousands_of_sessions_can_still_change_the_password(auth: Any, ada: str) -> None:
    mine = await auth.signed_in()
    template = (await auth.deps.people.standing_sessions(await auth.user()))[0]
    count = 3000

    async def write(_: Any, __: None, uow: UnitOfWork) -> None:
        uow.save(
            *(
                template.model_copy(update={"id": f"ses_{n}", "refresh_hash": f"{n}", "version": 0})
                for n in range(count)
            )
        )

    await auth.deps.work.run(write, auth.deps, None)
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    answer = await auth.call("PUT", "change-password", body, token=mine["access_token"])
    assert answer.status_code == 200
    assert len(await auth.platform.emitted(SessionRevoked)) == count


async def test_a_wrong_current_password_is_audited_and_locks_no_login(auth: Any, ada: str) -> None:
    mine = await auth.signed_in()
    body = {"current_password": "nope-nope-nope", "new_password": NEW_PASSWORD}
    for _ in range(11):
        assert (await auth.call("PUT", "change-password", body, token=mine["access_token"])).status_code == 401
    assert [entry.user_id for entry in await auth.audited("password_change_refused")] == [ada] * 11
    await auth.signed_in()


async def test_a_refresh_while_logging_out_leaves_nothing_that_lives_on(
    auth: Any, ada: str, expect_refusal: Any
) -> None:
    for _ in range(5):
        mine = await auth.signed_in()
        sid = (await claims(auth, mine["access_token"])).session_id
        logout = auth.call("POST", "logout", {}, token=mine["access_token"])
        answers = await asyncio.gather(auth.refresh(mine), logout, *(auth.refresh(mine) for _ in range(4)))
        for answer in (answers[0], *answers[2:]):
            if answer.status_code == 200:
                # Of the ended session: gateway and notifier refuse it by that.
                assert (await claims(auth, answer.json()["data"]["access_token"])).session_id == sid
            else:
                expect_refusal(answer, 401, "TOKEN_INVALID")
        expect_refusal(await auth.refresh(mine), 401, "TOKEN_INVALID")
        assert (await auth.platform.emitted(SessionRevoked))[-1].session_id == sid


async def test_changes_of_password_at_once_one_wins(auth: Any, ada: str) -> None:
    mine = await auth.signed_in()
    wanted = [f"Quartz-Lantern-Orchard-{n}" for n in range(4)]
    answers = await asyncio.gather(
        *(
            auth.call(
                "PUT",
                "change-password",
                {"current_password": PASSWORD, "new_password": new},
                token=mine["access_token"],
            )
            for new in wanted
        )
    )
    assert sorted(a.status_code for a in answers) == [200, 401, 401, 401]
    (winner,) = [new for new, answer in zip(wanted, answers, strict=True) if answer.status_code == 200]
    await auth.signed_in(password=winner)
