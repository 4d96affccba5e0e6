"""Auth on the embedded platform, with cheap password hashes, and a small client of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from nija_auth.domain.documents import User
from nija_auth.service import SERVICE
from nija_common.events.deliveries import AuditRecorded, MailRequested
from nija_common.storage.unit_of_work import UnitOfWork
from nija_common.testing import TestPlatform, start_platform
from nija_common.values.clock import ManualClock

PASSWORD = "Copper-Meadow-Station-42"
CHEAP = {"NIJA_PASSWORD__MEMORY_KIB": "64", "NIJA_PASSWORD__TIME_COST": "1"}


@dataclass
class AuthClient:
    """Calls of `/auth/*`."""

    platform: TestPlatform

    @property
    def deps(self) -> Any:
        return self.platform.deps("auth")

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        client = self.platform.client("auth", token)
        return await client.request(method, f"/api/v1/auth/{path}", json=body, headers=headers)

    async def register(self, email: str = "ada@nija.example", **changes: Any) -> httpx.Response:
        body = {"email": email, "password": PASSWORD, "full_name": "Ada Trader", "accept_terms": True, **changes}
        return await self.call("POST", "register", body)

    async def login(self, email: str = "ada@nija.example", password: str = PASSWORD, **more: Any) -> httpx.Response:
        return await self.call("POST", "login", {"email": email, "password": password}, **more)

    async def signed_in(self, email: str = "ada@nija.example", password: str = PASSWORD) -> dict[str, Any]:
        answer = await self.login(email, password)
        assert answer.status_code == 200, answer.text
        data: dict[str, Any] = answer.json()["data"]
        return data

    async def refresh(self, signed_in: dict[str, Any]) -> httpx.Response:
        return await self.call("POST", "refresh", {"refresh_token": signed_in["refresh_token"]})

    async def user(self, email: str = "ada@nija.example") -> User:
        user: User = await self.deps.people.user_of(email)
        return user

    async def change_user(self, **changes: Any) -> None:
        """Writes the stored user."""

        async def write(_: Any, __: None, uow: UnitOfWork) -> None:
            uow.save((await self.user()).model_copy(update=changes))

        await self.deps.work.run(write, self.deps, None)

    async def mailed_token(self, email: str = "ada@nija.example") -> str:
        """Asks for a reset and opens the link's token as notifier would."""
        before = len(await self.mails("reset_password"))
        assert (await self.call("POST", "reset-password", {"email": email})).status_code == 200
        await self.platform.run_loop("auth", "answer-resets")
        mail = (await self.mails("reset_password"))[before]
        assert mail.sealed is not None
        token: bytes = self.deps.sealer.open(mail.sealed, bound_to=mail.mail_id)
        return token.decode()

    async def mails(self, template: str) -> list[MailRequested]:
        return [e for e in await self.platform.emitted(MailRequested) if e.template == template]

    async def audited(self, event_type: str) -> list[AuditRecorded]:
        return [e for e in await self.platform.emitted(AuditRecorded) if e.event_type == event_type]


def refused(answer: httpx.Response, status: int, code: str) -> None:
    """The answer is that error, in the envelope."""
    body = answer.json()
    assert (answer.status_code, body["success"], body["error"]["code"]) == (status, False, code), answer.text
    assert set(body["error"]) == {"code", "message", "details"}


@pytest.fixture
def on_disk(tmp_path: Path) -> Callable[[], bytes]:
    """Every byte of every file of the platform's folder."""
    return lambda: b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


@pytest.fixture
def expect_refusal() -> Any:
    return refused


@pytest.fixture
async def auth(tmp_path: Path, clock: ManualClock) -> AsyncIterator[AuthClient]:
    async with start_platform(tmp_path, [SERVICE], clock=clock, env=CHEAP) as platform:
        yield AuthClient(platform)


@pytest.fixture
async def ada(auth: AuthClient) -> str:
    """The id of a registered user."""
    answer = await auth.register()
    assert answer.status_code == 201, answer.text
    user_id: str = answer.json()["data"]["user_id"]
    return user_id
