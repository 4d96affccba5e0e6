"""Billing on the embedded platform, with a small client of it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import stripe

from nija_billing.domain.subscription import Subscription
from nija_billing.service import SERVICE
from nija_common.events.base import Event
from nija_common.events.deliveries import AuditRecorded
from nija_common.events.identity import UserSnapshot
from nija_common.events.subscriptions import SubscriptionSnapshot
from nija_common.testing import TestPlatform, start_platform
from nija_common.testing.events import example_of
from nija_common.values.clock import ManualClock

USER = "usr_a"
SECRETS = ("whsec_new", "whsec_old")
WITH_WEBHOOK = {"NIJA_STRIPE_WEBHOOK_SECRET": ", ".join(SECRETS)}


@dataclass
class BillingClient:
    """Calls of `/subscription/*` by one user, and of the webhook."""

    platform: TestPlatform
    user_id: str = USER
    role: str = "user"
    _token: str | None = field(default=None)

    @property
    def deps(self) -> Any:
        return self.platform.deps("billing")

    @property
    def clock(self) -> ManualClock:
        clock: ManualClock = self.platform.clock
        return clock

    async def call(self, method: str, path: str, body: Any = None) -> httpx.Response:
        token = self.platform.token(self.user_id, role=self.role)
        client = self.platform.client("billing", token)
        return await client.request(method, f"/api/v1/subscription/{path}", json=body)

    async def ok(self, method: str, path: str, body: Any = None) -> Any:
        answer = await self.call(method, path, body)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    async def upgrade(
        self, tier: str = "pro", interval: str = "monthly", method: str = "pm_card_visa"
    ) -> httpx.Response:
        return await self.call("POST", "upgrade", {"tier": tier, "interval": interval, "payment_method_id": method})

    async def bought(self, tier: str = "pro", interval: str = "monthly", method: str = "pm_card_visa") -> Any:
        answer = await self.upgrade(tier, interval, method)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    async def current(self) -> Any:
        return await self.ok("GET", "current")

    async def stored(self) -> Subscription:
        found: Subscription = await self.deps.subscriptions.of(self.user_id)
        return found

    async def told(self) -> SubscriptionSnapshot:
        """The newest snapshot of this account."""
        found = [r for r in await self.platform.received(SubscriptionSnapshot) if r.event.user_id == self.user_id]
        return max(found, key=lambda r: r.revision).event

    async def audited(self, event_type: str) -> list[AuditRecorded]:
        return [e for e in await self.platform.emitted(AuditRecorded) if e.event_type == event_type]

    async def pass_days(self, days: float, hours: float = 0) -> None:
        """Time passes, and both loops take their turn."""
        self.clock.advance(days * 86_400 + hours * 3_600)
        await self.loops()

    async def loops(self) -> None:
        for name in ("announce-changes", "finish-payments", "announce-changes"):
            await self.platform.run_loop("billing", name)

    async def given(self, *events: Event, source: str = "auth") -> None:
        await self.platform.given_events(*events, source=source)

    async def webhook(
        self, event: Any, *, secret: str = SECRETS[0], at_s: int | None = None, signature: str | None = None
    ) -> httpx.Response:
        """Sends an event as Stripe does: signed over the raw body."""
        body = event if isinstance(event, str) else json.dumps(event)
        sent_s = self.clock.now_ms() // 1000 if at_s is None else at_s
        header = signature or stripe.WebhookSignature.generate_signature_header(body, secret, sent_s)
        headers = {"Stripe-Signature": header, "Content-Type": "application/json"}
        return await self.platform.client("billing").post("/api/v1/webhooks/stripe", content=body, headers=headers)


def refused(answer: httpx.Response, status: int, code: str) -> Any:
    """The answer is that error, in the envelope; its details."""
    body = answer.json()
    assert (answer.status_code, body["success"], body["error"]["code"]) == (status, False, code), answer.text
    assert set(body["error"]) == {"code", "message", "details"}
    return body["error"]["details"]


@pytest.fixture
def expect_refusal() -> Any:
    return refused


@pytest.fixture
async def platform(tmp_path: Path, clock: ManualClock) -> AsyncIterator[TestPlatform]:
    async with start_platform(tmp_path, [SERVICE], clock=clock, env=WITH_WEBHOOK) as started:
        yield started


@pytest.fixture
async def billing(platform: TestPlatform, clock: ManualClock) -> BillingClient:
    """A client of an account that has registered just now."""
    user = example_of(UserSnapshot, user_id=USER, registered_at_ms=clock.now_ms())
    await platform.given_events(user, source="auth")
    return BillingClient(platform)
