"""Toy services behind a real gateway on the embedded platform."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from nija_common.events.identity import SessionRevoked, UserSnapshot
from nija_common.events.subscriptions import SubscriptionSnapshot
from nija_common.runtime.manifest import Role, Service
from nija_common.runtime.server import address_of, listen, serving
from nija_common.runtime.settings import Block
from nija_common.testing.running import TestPlatform, start_platform
from nija_common.values.clock import ManualClock
from nija_common.values.tiers import Tier, effective
from nija_gateway.api.protocol import relay_protocol
from nija_gateway.service import SERVICE

SERVICES = ("auth", "accounts", "analytics", "billing", "trading-engine", "notifier")


@dataclass
class Seen:
    """A request as it reached a toy service."""

    method: str
    path: str
    query: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def header(self, name: str) -> str | None:
        values = [value.decode() for key, value in self.headers if key == name.encode()]
        return ", ".join(values) if values else None


Answering = Callable[[Any, Any, Any], Awaitable[None]]


@dataclass
class Toy:
    """One ASGI app in place of all services: remembers what reached it, answers as the test says."""

    seen: list[Seen] = field(default_factory=list)
    status: int = 200
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    answering: Answering | None = None
    calls: int = 0

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        self.calls += 1
        if self.answering is not None:
            await self.answering(scope, receive, send)
            return
        if scope["type"] == "websocket":
            await self._echo(scope, receive, send)
            return
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
        self.seen.append(Seen(scope["method"], scope["path"], scope["query_string"], list(scope["headers"]), body))
        answer = orjson.dumps({"success": True, "data": {"bytes": len(body)}, "timestamp": "2026-01-29T10:42:00Z"})
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": self.status, "headers": [*headers, *self.headers]})
        await send({"type": "http.response.body", "body": answer})

    async def _echo(self, scope: Any, receive: Any, send: Any) -> None:
        self.seen.append(Seen("SOCKET", scope["path"], scope["query_string"], list(scope["headers"]), b""))
        await receive()
        await send({"type": "websocket.accept"})
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                self.seen.append(Seen("CLOSED", str(message.get("code")), b"", [], b""))
                return
            text = message.get("text") or ""
            if text.startswith("close "):
                await send({"type": "websocket.close", "code": int(text[6:]), "reason": "as asked"})
                return
            await send({"type": "websocket.send", "text": text.upper()})


class NoSettings(Block):
    """A toy has none."""


def toy_service(name: str, toy: Toy) -> Service:
    @asynccontextmanager
    async def build(_settings: Any, _platform: Any) -> AsyncIterator[Toy]:
        yield toy

    return Service(name=name, settings=NoSettings, build=build, roles={"api": Role(asgi=lambda t: t.app)})


def user_snapshot(user_id: str, **changes: Any) -> UserSnapshot:
    return UserSnapshot(**{**UserSnapshot.example, "user_id": user_id, **changes})


def subscription(user_id: str, tier: Tier, *later: Any) -> SubscriptionSnapshot:
    stretches = (effective(tier, from_ms=0, live=True), *later)
    return SubscriptionSnapshot.model_validate(
        {**SubscriptionSnapshot.example, "user_id": user_id, "tier": tier, "effective": stretches}
    )


def revoked(user_id: str, session_id: str | None = None, until_ms: int | None = None) -> SessionRevoked:
    return SessionRevoked(user_id=user_id, session_id=session_id, revoked_until_ms=until_ms, reason="logout")


@dataclass
class Gateway:
    """A running gateway and what stands behind it."""

    platform: TestPlatform
    toy: Toy
    clock: ManualClock
    address: str | None = None
    """Where it listens, if it is a server with the relay edge in front."""
    clients: list[httpx.AsyncClient] = field(default_factory=list)

    subscription = staticmethod(subscription)
    revoked = staticmethod(revoked)

    @property
    def app(self) -> Any:
        return self.platform.app("gateway")

    def client(self, user_id: str | None = None, **claims: Any) -> Any:
        token = self.platform.token(user_id, **claims) if user_id else None
        if self.address is None:
            return self.platform.client("gateway", token)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.clients.append(httpx.AsyncClient(base_url=self.address, headers=headers))
        return self.clients[-1]

    async def known(self, user_id: str, tier: Tier = Tier.ENTERPRISE, **changes: Any) -> None:
        """Auth and billing have announced the account."""
        await self.platform.given_events(user_snapshot(user_id, **changes), source="auth")
        await self.platform.given_events(subscription(user_id, tier), source="billing")


Start = Callable[..., AbstractAsyncContextManager[Gateway]]


@pytest.fixture
def start(tmp_path: Path, clock: ManualClock) -> Start:
    """Starts a gateway with every service a toy: in process, or (`over_http`) behind a real server; itself called as an
    app, or (`relayed`) a server with the relay edge in front."""

    @asynccontextmanager
    async def starting(
        env: Mapping[str, str] | None = None, *, over_http: bool = False, relayed: bool = False
    ) -> AsyncIterator[Gateway]:
        toy, variables = Toy(), dict(env or {})
        async with AsyncExitStack() as stack:
            services = [SERVICE]
            if over_http or relayed:
                sock = listen("127.0.0.1", 0)
                address = address_of(sock)
                await stack.enter_async_context(serving(toy.app, sock))
                for name in SERVICES:
                    variables.setdefault(f"NIJA_UPSTREAMS__{name.upper().replace('-', '_')}", address)
            else:
                services += [toy_service(name, toy) for name in SERVICES if name != "auth"]
            platform = await stack.enter_async_context(start_platform(tmp_path, services, clock=clock, env=variables))
            if not (over_http or relayed):
                platform.node.local.apps["auth"] = toy.app
            running = Gateway(platform, toy, clock)
            if relayed:
                front = listen("127.0.0.1", 0)
                running.address = address_of(front)
                await stack.enter_async_context(serving(running.app, front, http=relay_protocol(running.app)))
            yield running
            for client in running.clients:
                await client.aclose()

    return starting


@pytest.fixture(params=[False, True], ids=["as-an-app", "relayed"])
async def either(request: pytest.FixtureRequest, start: Start) -> AsyncIterator[Gateway]:
    """A gateway by each of its edges."""
    async with start(relayed=request.param) as running:
        yield running


@pytest.fixture
async def gateway(start: Start) -> AsyncIterator[Gateway]:
    """A gateway with toys in the same process and the default limits."""
    async with start() as running:
        yield running
