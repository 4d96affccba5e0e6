"""The first administrator: made or promoted, beside a running platform too."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from nija_auth.handlers.admins import CreateAdmin, create_admin
from nija_auth.service import SERVICE
from nija_common.errors import NijaError, SettingsError
from nija_common.events.identity import SessionRevoked, UserSnapshot
from nija_common.testing import start_platform
from nija_common.values.clock import ManualClock

NEW_PASSWORD = "Quartz-Lantern-Orchard-7"


async def test_a_new_administrator_signs_in_with_the_role(auth: Any) -> None:
    user = await create_admin(auth.deps, CreateAdmin("Root@nija.example", NEW_PASSWORD))
    token = (await auth.signed_in("root@nija.example", NEW_PASSWORD))["access_token"]
    assert (await auth.platform.app("auth").state.tokens.verify(token)).role == "admin"
    (snapshot,) = await auth.platform.emitted(UserSnapshot)
    assert (snapshot.user_id, snapshot.role) == (user.id, "admin")
    (entry,) = await auth.audited("admin_created")
    assert entry.user_id == user.id


async def test_a_promoted_account_has_the_new_password_and_its_sessions_lock_and_links_end(
    auth: Any, ada: str, expect_refusal: Any
) -> None:
    session, link = await auth.signed_in(), await auth.mailed_token()
    for _ in range(10):
        await auth.login(password="Wrong-Harbour-99x")
    user = await create_admin(auth.deps, CreateAdmin("ADA@nija.example", NEW_PASSWORD))
    assert (user.id, user.role) == (ada, "admin")
    expect_refusal(await auth.refresh(session), 401, "TOKEN_INVALID")
    answer = await auth.call("POST", "reset-password/confirm", {"token": link, "new_password": NEW_PASSWORD})
    expect_refusal(answer, 401, "TOKEN_INVALID")
    await auth.signed_in(password=NEW_PASSWORD)
    (event,) = await auth.platform.emitted(SessionRevoked)
    assert (event.session_id, event.reason) == (None, "role_changed")
    assert (await auth.platform.emitted(UserSnapshot))[-1].role == "admin"


@pytest.mark.parametrize(("email", "password"), [("nonsense", NEW_PASSWORD), ("r@nija.example", "password1234")])
async def test_a_refused_administrator_is_not_made(auth: Any, email: str, password: str) -> None:
    with pytest.raises(NijaError):
        await create_admin(auth.deps, CreateAdmin(email, password))
    assert await auth.platform.emitted(UserSnapshot) == []


async def test_made_twice_and_at_once_it_is_one_account_with_the_last_password(auth: Any) -> None:
    made = await asyncio.gather(
        *(create_admin(auth.deps, CreateAdmin("root@nija.example", NEW_PASSWORD)) for _ in range(4))
    )
    assert len({user.id for user in made}) == 1
    await create_admin(auth.deps, CreateAdmin("root@nija.example", "Velvet-Anchor-Thistle-9"))
    await auth.signed_in("root@nija.example", "Velvet-Anchor-Thistle-9")
    assert (await auth.login("root@nija.example", NEW_PASSWORD)).status_code == 401


def first_admin(email: str | None, password: str | None) -> dict[str, str]:
    given = {"NIJA_FIRST_ADMIN__EMAIL": email, "NIJA_FIRST_ADMIN__PASSWORD": password}
    cheap = {"NIJA_PASSWORD__MEMORY_KIB": "64", "NIJA_PASSWORD__TIME_COST": "1"}
    return cheap | {name: value for name, value in given.items() if value is not None}


async def test_the_administrator_of_the_settings_is_made_once_and_a_restart_takes_back_no_change(
    tmp_path: Path, clock: ManualClock, auth: Any
) -> None:
    env = first_admin("root@nija.example", NEW_PASSWORD)
    changed = "Velvet-Anchor-Thistle-9"
    async with start_platform(tmp_path / "own", [SERVICE], clock=clock, env=env) as platform:
        client = type(auth)(platform)
        token = (await client.signed_in("root@nija.example", NEW_PASSWORD))["access_token"]
        assert (await platform.app("auth").state.tokens.verify(token)).role == "admin"
        body = {"current_password": NEW_PASSWORD, "new_password": changed}
        assert (await client.call("PUT", "change-password", body, token=token)).status_code == 200
    async with start_platform(tmp_path / "own", [SERVICE], clock=clock, env=env) as platform:
        client = type(auth)(platform)
        await client.signed_in("root@nija.example", changed)
        assert len(await client.audited("admin_created")) == 1


@pytest.mark.parametrize(
    ("email", "password", "named"),
    [
        ("root@nija.example", None, "both, or neither"),
        (None, NEW_PASSWORD, "both, or neither"),
        ("nonsense", NEW_PASSWORD, "NIJA_FIRST_ADMIN__EMAIL"),
        ("root@nija.example", "password1234", "NIJA_FIRST_ADMIN__PASSWORD"),
    ],
)
async def test_a_wrong_administrator_in_the_settings_stops_the_start_and_is_named(
    tmp_path: Path, clock: ManualClock, email: str | None, password: str | None, named: str
) -> None:
    with pytest.raises((SettingsError, ExceptionGroup)) as refusal:
        async with start_platform(tmp_path, [SERVICE], clock=clock, env=first_admin(email, password)):
            raise AssertionError("started")
    assert named in repr(refusal.value)
    assert password is None or password not in repr(refusal.value)
