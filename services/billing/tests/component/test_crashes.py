"""A payment that is cut off between any two of its steps is made once, and never lost.

The vendor here is the stand-in behind a till that remembers keys as Stripe does. A step at which the process dies is a
call that never returns; the platform is then started again on the same folder.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from nija_billing.adapters.offline_payments import OfflinePayments
from nija_billing.deps import Deps
from nija_billing.domain.attempts import LEASE_MS, SEND_AGAIN_MS, By
from nija_billing.domain.orders import Arranged, Cancellation, ChangeLater, Purchase, Receipt, Renewal
from nija_billing.handlers import attempts, purchases
from nija_billing.ports import PaymentsMisused, PaymentsUnavailable
from nija_billing.service import SERVICE
from nija_billing.settings import BillingSettings
from nija_billing.wiring import build
from nija_common.events.identity import UserSnapshot
from nija_common.events.payments import InvoicePaid
from nija_common.runtime.platform import Platform
from nija_common.storage.unit_of_work import UnitOfWork
from nija_common.testing import TestPlatform, start_platform
from nija_common.testing.events import example_of
from nija_common.values.clock import ManualClock
from nija_common.values.tiers import Tier


@dataclass
class Till:
    """What the vendor keeps while our processes come and go: receipts by key, money taken and given back."""

    receipts: dict[str, Receipt] = field(default_factory=dict)
    refunds: dict[str, int] = field(default_factory=dict)
    calls: int = 0
    asked: int = 0
    forgets_keys: bool = False
    dies: str | None = None
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    fails: Exception | None = None

    @property
    def taken(self) -> int:
        return sum(receipt.paid_cents for receipt in self.receipts.values())

    async def step(self, name: str) -> None:
        """Here the process may die."""
        if self.dies == name:
            self.reached.set()
            await asyncio.Event().wait()


class TillPayments(OfflinePayments):
    """The stand-in, with a till."""

    def __init__(self, clock: ManualClock, till: Till) -> None:
        super().__init__(clock)
        self.till = till

    async def _once(self, key: str, receipt: Receipt) -> Receipt:
        self.till.calls += 1
        if self.till.fails is not None:
            raise self.till.fails
        await self.till.step("before the charge")
        name = f"{key}-{self.till.calls}" if self.till.forgets_keys else key
        receipt = self.till.receipts.setdefault(name, receipt)
        await self.till.step("after the charge")
        return receipt

    async def buy(self, customer_id: str, user_id: str, purchase: Purchase, key: str) -> Receipt:
        return await self._once(key, await super().buy(customer_id, user_id, purchase, key))

    async def collect(self, customer_id: str, renewal: Renewal, key: str) -> Receipt:
        return await self._once(key, await super().collect(customer_id, renewal, key))

    async def change_later(self, change: ChangeLater, key: str) -> Arranged:
        return await super().change_later(change, key)

    async def cancel(self, cancellation: Cancellation, key: str) -> Arranged:
        await self.till.step("before the refund")
        self.till.refunds.setdefault(key, cancellation.refund_cents)
        await self.till.step("after the refund")
        return await super().cancel(cancellation, key)

    async def find(self, customer_id: str, purchase: Purchase, key: str) -> Receipt | None:
        self.till.asked += 1
        return next((r for name, r in self.till.receipts.items() if name.startswith(key)), None)


@pytest.fixture
def till() -> Till:
    return Till()


@pytest.fixture
def start(tmp_path: Path, clock: ManualClock, till: Till) -> Any:
    """Starts billing on the folder, as often as a test wants."""

    @asynccontextmanager
    async def made(settings: BillingSettings, platform: Platform) -> AsyncIterator[Deps]:
        async with build(settings, platform, TillPayments(clock, till)) as deps:
            yield deps

    def started(*roles: str) -> AbstractAsyncContextManager[TestPlatform]:
        chosen = {"billing": roles} if roles else None
        return start_platform(tmp_path, [replace(SERVICE, build=made)], clock=clock, roles=chosen)

    return started


async def registered(platform: TestPlatform, clock: ManualClock) -> None:
    await platform.given_events(
        example_of(UserSnapshot, user_id="usr_a", registered_at_ms=clock.now_ms()), source="auth"
    )


async def finished(platform: TestPlatform) -> Any:
    """The account, once the loop (which also turns by itself) has left no payment unfinished."""
    deps = platform.deps("billing")
    await platform.run_loop("billing", "finish-payments")
    while await deps.vendor.running("usr_a") is not None:
        await asyncio.sleep(0.005)
    return await deps.subscriptions.of("usr_a")


async def post(platform: TestPlatform, path: str, body: Any) -> Any:
    client = platform.client("billing", platform.token("usr_a"))
    return await client.post(f"/api/v1/subscription/{path}", json=body)


PRO = {"tier": "pro", "interval": "monthly", "payment_method_id": "pm_card_visa"}


async def cut_off(platform: TestPlatform, till: Till, path: str, body: Any, step: str) -> None:
    """The call, until the process dies at that step."""
    till.dies = step
    running = asyncio.create_task(post(platform, path, body))
    await asyncio.wait_for(till.reached.wait(), 5)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    till.dies = None
    till.reached.clear()


@pytest.mark.parametrize("step", ["before the charge", "after the charge"])
@pytest.mark.parametrize("finder", ["the loop", "the user's next try"])
async def test_a_purchase_cut_off_is_finished_once(
    start: Any, till: Till, clock: ManualClock, step: str, finder: str
) -> None:
    async with start() as platform:
        await registered(platform, clock)
        await cut_off(platform, till, "upgrade", PRO, step)
        assert (await platform.deps("billing").subscriptions.of("usr_a")).plan is None
    clock.advance(LEASE_MS / 1000 + 1)
    async with start("consumer", "api") if finder == "the loop" else start("api") as platform:
        if finder == "the loop":
            stored = await finished(platform)
        else:
            answer = await post(platform, "upgrade", PRO)
            assert (answer.status_code, answer.json()["data"]["amount_due_now"]) == (200, 149.0)
            stored = await platform.deps("billing").subscriptions.of("usr_a")
        assert (stored.tier, stored.plan.paid_cents) == (Tier.PRO, 14_900)
        assert till.taken == 14_900
        assert len(await platform.emitted(InvoicePaid)) == 1
        again = await post(platform, "upgrade", PRO)
        assert (again.status_code, again.json()["error"]["code"]) == (400, "VALIDATION_ERROR")
        assert till.taken == 14_900


class Killed(BaseException):
    """The process is gone: nothing of ours catches this."""


async def test_a_crash_before_the_first_commit_leaves_nothing(start: Any, till: Till, clock: ManualClock) -> None:
    async def dies(deps: Deps, cmd: purchases.ChoosePlan, uow: UnitOfWork) -> None:
        await purchases.want_plan(deps, cmd, uow)
        raise Killed

    cmd = purchases.ChoosePlan(clock.now_ms(), Tier.PRO, "monthly", "pm_card_visa", By(user_id="usr_a"))
    async with start() as platform:
        await registered(platform, clock)
        deps = platform.deps("billing")
        with pytest.raises(Killed):
            await deps.work.run(dies, deps, cmd)
    clock.advance(LEASE_MS / 1000 + 1)
    async with start() as platform:
        stored = await finished(platform)
        assert (stored.plan, till.calls) == (None, 0)
        assert (await post(platform, "upgrade", PRO)).status_code == 200
        assert till.taken == 14_900


@pytest.mark.parametrize("step", ["before the charge", "after the charge"])
async def test_while_the_holder_may_live_nobody_else_goes_on(
    start: Any, till: Till, clock: ManualClock, step: str
) -> None:
    async with start() as platform:
        await registered(platform, clock)
        await cut_off(platform, till, "upgrade", PRO, step)
        running = await platform.deps("billing").vendor.running("usr_a")
        clock.advance(LEASE_MS / 1000 - 1)
        await platform.run_loop("billing", "finish-payments")
        assert await attempts.go_on(platform.deps("billing"), running.id) is None
        assert till.calls == 1


@pytest.mark.parametrize("taken", [True, False])
async def test_long_after_a_crash_the_vendor_is_asked_and_not_sent_to_again(
    start: Any, till: Till, clock: ManualClock, taken: bool
) -> None:
    """A vendor that has forgotten the key would charge a second time."""
    async with start() as platform:
        await registered(platform, clock)
        await cut_off(platform, till, "upgrade", PRO, "after the charge" if taken else "before the charge")
    till.forgets_keys = True
    clock.advance(SEND_AGAIN_MS / 1000 + 1)
    async with start() as platform:
        stored = await finished(platform)
        assert (stored.plan is not None) == taken
        assert (till.taken, till.calls, till.asked) == (14_900 if taken else 0, 1, 1)
        assert await platform.deps("billing").vendor.running("usr_a") is None


@pytest.mark.parametrize("step", ["before the charge", "after the charge"])
async def test_a_renewal_cut_off_is_charged_once(start: Any, till: Till, clock: ManualClock, step: str) -> None:
    async with start() as platform:
        await registered(platform, clock)
        assert (await post(platform, "upgrade", PRO)).status_code == 200
        till.dies = step
        clock.advance(31 * 86_400)
        await platform.run_loop("billing", "announce-changes")
        running = asyncio.create_task(platform.run_loop("billing", "finish-payments"))
        await asyncio.wait_for(till.reached.wait(), 5)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    till.dies = None
    clock.advance(LEASE_MS / 1000 + 1)
    async with start() as platform:
        await finished(platform)
        await platform.run_loop("billing", "announce-changes")
        stored = await finished(platform)
        assert till.taken == 2 * 14_900
        assert (stored.plan.paid_cents, stored.status) == (14_900, "active")


@pytest.mark.parametrize("step", ["before the refund", "after the refund"])
async def test_a_cancellation_cut_off_refunds_once_however_late(
    start: Any, till: Till, clock: ManualClock, step: str
) -> None:
    async with start() as platform:
        await registered(platform, clock)
        assert (await post(platform, "upgrade", PRO)).status_code == 200
        await cut_off(platform, till, "cancel", {"cancel_immediately": True}, step)
    clock.advance(3 * 86_400)
    async with start() as platform:
        stored = await finished(platform)
        assert (stored.plan, stored.status) == (None, "cancelled")
        assert list(till.refunds.values()) == [14_900]


async def test_a_vendor_that_does_not_answer_is_503_and_the_payment_goes_on_later(
    start: Any, till: Till, clock: ManualClock
) -> None:
    async with start() as platform:
        await registered(platform, clock)
        till.fails = PaymentsUnavailable("no route")
        answer = await post(platform, "upgrade", PRO)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
        await platform.run_loop("billing", "finish-payments")
        till.fails = None
        answer = await post(platform, "upgrade", PRO)
        assert answer.status_code == 200
        assert till.taken == 14_900


async def test_post_subscription_upgrade__internal_error(start: Any, till: Till, clock: ManualClock) -> None:
    """A call that the vendor calls wrong is our fault, and changes nothing."""
    async with start() as platform:
        await registered(platform, clock)
        till.fails = PaymentsMisused("sk_live_secret is not valid")
        answer = await post(platform, "upgrade", PRO)
        assert (answer.status_code, answer.json()["error"]["code"]) == (500, "INTERNAL_ERROR")
        assert "secret" not in answer.text
        assert await platform.deps("billing").vendor.running("usr_a") is None


async def test_two_at_once_charge_once(start: Any, till: Till, clock: ManualClock) -> None:
    async with start() as platform:
        await registered(platform, clock)
        answers = await asyncio.gather(*(post(platform, "upgrade", PRO) for _ in range(5)))
        assert sorted(answer.status_code for answer in answers) == [200, 400, 400, 400, 400]
        assert till.taken == 14_900
