"""Usage of a period: counted from events, once each, against the limits of the tier in force."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from nija_common.events.administration import ApiUsageCounted
from nija_common.events.base import Event
from nija_common.events.trading import BrokerConnected, BrokerRemoved, PositionClosed, PositionOpened, TradeOpened
from nija_common.testing import TestPlatform
from nija_common.testing.events import example_of
from nija_common.testing.redelivery import messages_of, redelivered
from nija_common.values.clock import ManualClock
from nija_common.values.times import DAY_MS


def calls(clock: ManualClock, count: int, user: str = "usr_a") -> ApiUsageCounted:
    now = clock.now_ms()
    return example_of(ApiUsageCounted, user_id=user, from_ms=now, to_ms=now + 60_000, calls=count)


def trading(kind: type[Event], clock: ManualClock, **changes: Any) -> Event:
    return example_of(kind, user_id="usr_a", at_ms=clock.now_ms(), **changes)


async def count(billing: Any, events: Sequence[Event], source: str = "trading-engine") -> None:
    await billing.given(*events, source=source)


async def test_a_trial_counts_by_calendar_month_against_pro(billing: Any) -> None:
    assert await billing.ok("GET", "usage") == {
        "period_start": "2026-01-01T00:00:00Z",
        "period_end": "2026-02-01T00:00:00Z",
        "usage": {
            "api_calls": 0,
            "api_calls_limit": 100_000,
            "trades_executed": 0,
            "trades_limit": 3_000,
            "positions_opened": 0,
            "max_concurrent_positions": 0,
            "max_concurrent_positions_limit": 10,
            "brokers_connected": 0,
            "brokers_limit": 5,
        },
        "overage": False,
        "warnings": [],
    }


async def test_everything_is_counted(billing: Any, clock: ManualClock) -> None:
    await count(billing, [calls(clock, 40), calls(clock, 2), calls(clock, 7, user="global")], source="gateway")
    await count(
        billing,
        [
            *(trading(TradeOpened, clock) for _ in range(3)),
            *(trading(PositionOpened, clock) for _ in range(3)),
            trading(PositionClosed, clock),
            trading(PositionOpened, clock),
            trading(BrokerConnected, clock, broker_id="brk_1"),
            trading(BrokerConnected, clock, broker_id="brk_2"),
            trading(BrokerRemoved, clock, broker_id="brk_1"),
        ],
    )
    used = (await billing.ok("GET", "usage"))["usage"]
    assert (used["api_calls"], used["trades_executed"], used["positions_opened"]) == (42, 3, 4)
    assert (used["max_concurrent_positions"], used["brokers_connected"]) == (3, 1)


async def test_from_80_per_cent_it_warns_and_above_the_limit_it_is_overage(billing: Any, clock: ManualClock) -> None:
    await count(billing, [calls(clock, 79_999)], source="gateway")
    assert (await billing.ok("GET", "usage"))["warnings"] == []
    await count(billing, [calls(clock, 1)], source="gateway")
    usage = await billing.ok("GET", "usage")
    assert usage["overage"] is False
    assert usage["warnings"] == ["You have used 80 % of your plan's API calls for this period: 80,000 of 100,000."]
    await count(billing, [calls(clock, 20_001)], source="gateway")
    usage = await billing.ok("GET", "usage")
    assert usage["overage"] is True and "above" in usage["warnings"][0]


async def test_the_references_example_gives_no_warning(billing: Any, clock: ManualClock) -> None:
    """8 of 10 positions at the same time is what the plan is for."""
    await billing.bought("pro")
    await count(billing, [trading(PositionOpened, clock) for _ in range(8)])
    usage = await billing.ok("GET", "usage")
    assert (usage["usage"]["max_concurrent_positions"], usage["warnings"], usage["overage"]) == (8, [], False)


async def test_what_a_lower_plan_does_not_allow_is_overage(billing: Any, clock: ManualClock) -> None:
    await billing.bought("basic")
    await count(billing, [trading(BrokerConnected, clock, broker_id=f"brk_{n}") for n in range(3)])
    usage = await billing.ok("GET", "usage")
    assert usage["overage"] is True
    assert usage["warnings"] == ["You are above your plan's limit of connected brokers: 3 of 2."]


async def test_a_new_plan_begins_new_counters_and_open_positions_go_along(billing: Any, clock: ManualClock) -> None:
    await count(billing, [calls(clock, 10)], source="gateway")
    await count(billing, [trading(PositionOpened, clock), trading(PositionOpened, clock)])
    late = calls(clock, 5)
    clock.advance(60)
    await billing.bought("enterprise")
    usage = await billing.ok("GET", "usage")
    assert usage["period_start"] == (await billing.current())["current_period_start"]
    assert usage["usage"]["api_calls"] == 0 and usage["usage"]["positions_opened"] == 0
    assert usage["usage"]["max_concurrent_positions"] == 2
    assert usage["usage"]["brokers_limit"] is None
    await count(billing, [late], source="gateway")
    assert (await billing.ok("GET", "usage"))["usage"]["api_calls"] == 0
    earlier = await billing.deps.usages.latest_before("usr_a", late.from_ms)
    assert earlier.api_calls == 15


async def test_the_next_month_counts_from_nothing(billing: Any, clock: ManualClock) -> None:
    await count(billing, [calls(clock, 10)], source="gateway")
    clock.advance(5 * DAY_MS / 1000)
    usage = await billing.ok("GET", "usage")
    assert (usage["period_start"], usage["usage"]["api_calls"]) == ("2026-02-01T00:00:00Z", 0)


async def test_administrators_are_measured_by_enterprise(billing: Any) -> None:
    billing.role = "admin"
    assert (await billing.ok("GET", "usage"))["usage"]["api_calls_limit"] == 500_000


async def test_repeated_and_late_copies_are_counted_once(
    billing: Any, platform: TestPlatform, clock: ManualClock
) -> None:
    events: list[Event] = [calls(clock, 3) for _ in range(20)]
    for _ in range(20):
        events += [trading(TradeOpened, clock), trading(PositionOpened, clock), trading(PositionClosed, clock)]
    messages = redelivered(messages_of(events, source="somebody", clock=clock), random.Random(7))
    await platform.node.infrastructure.bus.send(messages)
    await platform.settled()
    used = (await billing.ok("GET", "usage"))["usage"]
    assert (used["api_calls"], used["trades_executed"], used["positions_opened"]) == (60, 20, 20)
    assert used["max_concurrent_positions"] == 1
