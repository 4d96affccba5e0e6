"""What a failed payment and a lost subscription do to trading."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nija_common.events.subscriptions import SubscriptionSnapshot
from nija_common.events.trading import BotStatusChanged
from nija_common.storage.unit_of_work import UnitOfWork
from nija_common.testing import TestPlatform, start_platform
from nija_common.testing.events import example_of
from nija_common.values.clock import ManualClock
from nija_common.values.tiers import Tier, effective
from nija_trading.domain.account import Account, new_account
from nija_trading.service import SERVICE


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def subscription(user_id: str, status: str, tier: Tier, *, live: bool) -> SubscriptionSnapshot:
    stretches = [effective(tier, from_ms=0, live=live)]
    return example_of(SubscriptionSnapshot, user_id=user_id, status=status, tier=tier, effective=stretches)


async def test_a_failed_payment_refuses_what_opens_and_leaves_what_closes(engine: Any) -> None:
    async with engine() as desk:
        await desk.settle()
        key = await desk.webhook_key()
        await desk.start()
        await desk.running()
        await desk.alert(key)
        await desk.positions(1)
        suspended = subscription(desk.user_id, "past_due", Tier.PRO, live=True)
        await desk.platform.given_events(suspended, source="billing")
        assert code(await desk.alert(key, symbol="COINBASE:ETHUSD")) == (403, "ACCOUNT_SUSPENDED")
        assert (await desk.alert(key, "close")).status_code == 200
        await desk.positions(0)
        assert (await desk.api.post("/api/v1/trading/stop", json={})).status_code == 200
        assert code(await desk.start()) == (403, "ACCOUNT_SUSPENDED")
        assert code(await desk.start(paper_trading=False)) == (403, "ACCOUNT_SUSPENDED")
        restored = subscription(desk.user_id, "active", Tier.PRO, live=True)
        await desk.platform.given_events(restored, source="billing")
        assert (await desk.start()).status_code == 200


async def running_bot(platform: TestPlatform, *, paper: bool) -> None:
    async def write(_: Any, __: None, uow: UnitOfWork) -> None:
        uow.save(new_account("usr_a").changed(status="running", broker="coinbase", paper=paper, positions=1))

    deps = platform.deps("trading-engine")
    await deps.work.run(write, deps, None)


@pytest.mark.parametrize(
    ("paper", "live", "expected"),
    [(False, False, "stopped"), (False, True, "running"), (True, False, "running")],
    ids=["live without a subscription", "live with one", "on paper"],
)
async def test_a_lost_subscription_stops_a_live_bot_and_leaves_its_positions(
    tmp_path: Path, clock: ManualClock, paper: bool, live: bool, expected: str
) -> None:
    """Without a worker: what is asked of it is in the documents."""
    env = {"NIJA_MARKET": "replay"}
    async with start_platform(tmp_path, [SERVICE], clock=clock, env=env, roles={"trading-engine": ["api"]}) as platform:
        await running_bot(platform, paper=paper)
        tier = Tier.PRO if live else Tier.FREE
        status = "active" if live else "cancelled"
        await platform.given_events(subscription("usr_a", status, tier, live=live), source="billing")
        account = await platform.deps("trading-engine").storage.get(Account, "usr_a")
        assert (account.status, account.positions, account.active) == (expected, 1, True)
        told = [event.reason for event in await platform.emitted(BotStatusChanged)]
        assert told == ([account.last_error] if expected == "stopped" else [])
