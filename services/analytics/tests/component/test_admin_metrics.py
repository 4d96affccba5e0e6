"""`GET /admin/metrics` over HTTP: every figure from events, none from anywhere else."""

from __future__ import annotations

from typing import Any

import pytest

from nija_common.events.administration import ApiUsageCounted
from nija_common.events.deliveries import AuditRecorded
from nija_common.events.identity import UserSnapshot
from nija_common.events.subscriptions import SubscriptionSnapshot
from nija_common.events.trading import BotStatusChanged, PositionClosed, PositionOpened, TradeOpened
from nija_common.testing import TestPlatform
from nija_common.testing.events import example_of
from nija_common.values.clock import ManualClock

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR


async def figures(platform: TestPlatform, block: str) -> Any:
    client = platform.client("analytics", platform.token("usr_root", role="admin"))
    return (await client.get("/api/v1/admin/metrics")).json()["data"][block]


def paid(user_id: str, tier: str, cents: int | None, **changes: Any) -> SubscriptionSnapshot:
    fields = {"status": "active", "interval": "monthly", "amount_cents": cents}
    return example_of(SubscriptionSnapshot, user_id=user_id, tier=tier, **{**fields, **changes})


def calls(at_ms: int, user_id: str = "global", **changes: Any) -> ApiUsageCounted:
    begin = at_ms // MINUTE * MINUTE
    fields = {"from_ms": begin, "to_ms": begin + MINUTE, "calls": 0, "errors": 0, "duration_ms": 0}
    return example_of(ApiUsageCounted, user_id=user_id, **{**fields, **changes})


async def test_a_platform_of_which_nothing_is_known_shows_zeros_and_nulls(platform: TestPlatform) -> None:
    assert set((await figures(platform, "users")).values()) == {0}
    assert set((await figures(platform, "trading")).values()) == {0}
    assert set((await figures(platform, "system")).values()) == {None}
    assert await figures(platform, "revenue") == {"mrr": 0.0, "arr": 0.0, "churn_rate": None}


async def test_users_are_counted_by_stored_tier_and_those_seen_today_once(
    platform: TestPlatform, clock: ManualClock
) -> None:
    now = clock.now_ms()
    people = [example_of(UserSnapshot, user_id=f"usr_{n}", email=f"u{n}@example.com") for n in range(5)]
    await platform.given_events(*people, people[0], source="auth")
    await platform.given_events(
        paid("usr_0", "pro", 9900),
        paid("usr_1", "pro", 9900),
        paid("usr_1", "enterprise", 49900),
        example_of(SubscriptionSnapshot, user_id="usr_2"),
        source="billing",
    )
    await platform.given_events(
        *(calls(now - ago, user, calls=2) for user in ("usr_0", "usr_1") for ago in (MINUTE, 2 * MINUTE)),
        calls(now - DAY, "usr_3", calls=2),
        calls(now, calls=9),
        source="gateway",
    )
    login = example_of(AuditRecorded, user_id="usr_4", at_ms=now)
    await platform.given_events(login, source="auth")
    wanted = {"total": 5, "active_today": 3, "free": 3, "basic": 0, "pro": 1, "enterprise": 1}
    assert await figures(platform, "users") == wanted
    clock.advance(86_400)
    assert (await figures(platform, "users"))["active_today"] == 0


async def test_bots_positions_and_the_entries_of_the_last_24_hours(platform: TestPlatform, clock: ManualClock) -> None:
    now = clock.now_ms()
    entries = [(0, "500"), (HOUR, "250.50"), (23 * HOUR, "100"), (24 * HOUR, "7000")]
    await platform.given_events(
        example_of(BotStatusChanged, user_id="usr_a"),
        example_of(BotStatusChanged, user_id="usr_b", paper=False),
        example_of(BotStatusChanged, user_id="usr_c"),
        example_of(BotStatusChanged, user_id="usr_c", status="paused"),
        example_of(BotStatusChanged, user_id="usr_d", status="starting"),
        *(example_of(PositionOpened, user_id="usr_a", position_id=f"pos_{n}") for n in range(3)),
        example_of(PositionClosed, user_id="usr_a", position_id="pos_0"),
        *(
            example_of(TradeOpened, user_id=f"usr_{n}", trade_id=f"trd_{n}", size_usd=size, at_ms=now - ago)
            for n, (ago, size) in enumerate(entries)
        ),
        source="trading-engine",
    )
    assert await figures(platform, "trading") == {
        "bots_running": 2,
        "total_positions": 2,
        "total_volume_24h": 850.5,
        "total_trades_24h": 3,
    }


async def test_rates_are_of_the_newest_five_minutes_reported(platform: TestPlatform, clock: ManualClock) -> None:
    now = clock.now_ms()
    await platform.given_events(
        *(calls(now - n * MINUTE, calls=60, errors=1, duration_ms=600) for n in range(1, 6)),
        *(calls(now - n * MINUTE, "usr_a", calls=240, duration_ms=7_000) for n in range(1, 6)),
        calls(now - 6 * MINUTE, "usr_a", calls=10_000, errors=9_000, duration_ms=1),
        source="gateway",
    )
    assert await figures(platform, "system") == {
        "api_requests_per_second": 5.0,
        "avg_response_time_ms": round(7_600 / 300, 4),
        "error_rate": round(1 / 300, 4),
        "uptime_pct": 100.0,
    }
    clock.advance(4 * 60)
    assert (await figures(platform, "system"))["api_requests_per_second"] == 5.0
    clock.advance(60)
    assert (await figures(platform, "system"))["api_requests_per_second"] is None


async def test_a_gateway_that_was_away_divides_by_the_minutes_it_was_up(
    platform: TestPlatform, clock: ManualClock
) -> None:
    now = clock.now_ms()
    await platform.given_events(
        *(calls(now - n * MINUTE, calls=120) for n in (1, 2, 5, 6, 7)),
        source="gateway",
    )
    system = await figures(platform, "system")
    assert system["api_requests_per_second"] == 2.0
    assert system["uptime_pct"] == round(100 * 4 / 6, 4), "of the six minutes before the last"


async def test_reports_that_do_not_begin_with_a_minute_are_spread_over_those_they_cover(
    platform: TestPlatform, clock: ManualClock
) -> None:
    begin = clock.now_ms() // MINUTE * MINUTE - 10 * MINUTE + 30_000
    await platform.given_events(
        *(
            example_of(
                ApiUsageCounted,
                user_id="global",
                from_ms=begin + n * MINUTE,
                to_ms=begin + (n + 1) * MINUTE,
                calls=61,
                errors=0,
                duration_ms=610,
            )
            for n in range(9)
        ),
        source="gateway",
    )
    system = await figures(platform, "system")
    assert system["api_requests_per_second"] == pytest.approx(61 * 4.5 / 300, abs=0.01)
    assert system["avg_response_time_ms"] == pytest.approx(10, abs=0.05)
    assert system["uptime_pct"] == 100.0


async def test_uptime_goes_back_thirty_days_at_most(platform: TestPlatform, clock: ManualClock) -> None:
    now = clock.now_ms()
    await platform.given_events(calls(now - 29 * DAY), source="gateway")
    assert (await figures(platform, "system"))["uptime_pct"] == round(100 / (29 * 1440 - 1), 4)
    clock.advance(2 * 86_400)
    assert (await figures(platform, "system"))["uptime_pct"] == 0.0


async def test_revenue_is_what_active_and_past_due_accounts_pay(platform: TestPlatform) -> None:
    await platform.given_events(
        paid("usr_a", "pro", 9900),
        paid("usr_b", "basic", 29_000, interval="yearly"),
        paid("usr_c", "enterprise", 49_900, status="past_due"),
        paid("usr_d", "pro", 9900, status="cancelled"),
        paid("usr_e", "enterprise", None),
        paid("usr_f", "free", None, status="none"),
        paid("usr_g", "pro", 9900),
        paid("usr_g", "free", None, status="none", ended_at_ms=0),
        source="billing",
    )
    revenue = await figures(platform, "revenue")
    assert revenue["mrr"] == 622.17, "99 + 290 / 12 + 499"
    assert revenue["arr"] == 7466.0


async def test_churn_is_what_ended_in_30_days_over_what_ran_at_their_start(
    platform: TestPlatform, clock: ManualClock
) -> None:
    """Ten ran; one ends, one ended long ago, one that ends also began within the 30 days, one starts and goes on."""
    now = clock.now_ms()
    old = now - 90 * DAY
    await platform.given_events(*(paid(f"usr_{n}", "pro", 9900, period_start_ms=old) for n in range(10)), source="b")
    assert (await figures(platform, "revenue"))["churn_rate"] == 0.0
    gone = {"status": "none", "interval": None}
    trial = [example_of(SubscriptionSnapshot, user_id=f"usr_{n}") for n in (20, 21)]
    begun = [paid(f"usr_{n}", "pro", 9900, period_start_ms=now - 10 * DAY) for n in (20, 21)]
    await platform.given_events(
        paid("usr_0", "free", None, ended_at_ms=now - 29 * DAY, **gone),
        paid("usr_0", "free", None, ended_at_ms=now - 29 * DAY, **gone),
        paid("usr_30", "free", None, ended_at_ms=now - 30 * DAY, **gone),
        *trial,
        *begun,
        paid("usr_21", "free", None, ended_at_ms=now, **gone),
        paid("usr_1", "pro", 9900, period_start_ms=now - DAY),
        source="b",
    )
    assert (await figures(platform, "revenue"))["churn_rate"] == 0.2
    clock.advance(31 * 86_400)
    assert (await figures(platform, "revenue"))["churn_rate"] == 0.0


async def test_one_who_comes_back_is_a_subscription_that_ended_all_the_same(
    platform: TestPlatform, clock: ManualClock
) -> None:
    now = clock.now_ms()
    await platform.given_events(
        paid("usr_a", "pro", 9900),
        paid("usr_b", "pro", 9900),
        paid("usr_a", "free", None, status="none", ended_at_ms=now - DAY),
        paid("usr_a", "pro", 9900, period_start_ms=now),
        source="billing",
    )
    revenue = await figures(platform, "revenue")
    assert (revenue["mrr"], revenue["churn_rate"]) == (198.0, 0.5)
