"""Repeated and reordered events through the bus end in the same statistics and the same audit log."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from nija_analytics.domain.audit import AuditRow
from nija_analytics.domain.people import SubscriptionCard, UserCard
from nija_analytics.handlers.audit import verify
from nija_analytics.service import SERVICE
from nija_common.bus.port import Message
from nija_common.events.base import Event
from nija_common.events.deliveries import AuditRecorded
from nija_common.events.identity import UserSnapshot
from nija_common.events.preferences import SettingsSnapshot, TradingSettings
from nija_common.events.subscriptions import SubscriptionSnapshot
from nija_common.events.trading import BalanceRead, BotStatusChanged, PositionClosed, PositionOpened, TradeClosed
from nija_common.testing import start_platform
from nija_common.testing.events import example_of
from nija_common.testing.redelivery import messages_of, redelivered
from nija_common.values.clock import ManualClock
from nija_common.values.tiers import Tier

USERS = ("usr_a", "usr_b", "usr_c")
TRADES = 30
PATHS = ("/account/stats", "/analytics/dashboard", "/analytics/trades?period=all&group_by=week")
DAY = 86_400_000


def told() -> dict[str, list[Event]]:
    """What each producer said, in its order."""
    now = ManualClock().now_ms()
    trading: list[Event] = [example_of(BotStatusChanged, user_id=user) for user in USERS]
    trading += [
        example_of(BalanceRead, user_id=user, cash="10000", initial=True, at_ms=now - 9 * DAY) for user in USERS
    ]
    for number in range(TRADES):
        at_ms = now - 8 * DAY + number * DAY // 4
        trading += [
            example_of(
                TradeClosed,
                user_id=user,
                trade_id=f"trd_{user}_{number}",
                realized_pnl=f"{(-1) ** number * (number + 1)}",
                closed_at_ms=at_ms,
                opened_at_ms=at_ms - 60_000,
            )
            for user in USERS
        ]
    held = ("pos_1", "pos_2")
    trading += [
        example_of(PositionOpened, user_id=user, position_id=f"{user}{name}") for name in held for user in USERS
    ]
    trading += [example_of(PositionClosed, user_id=user, position_id=f"{user}pos_1") for user in USERS]
    names = ("Ada", "Bea", "Cleo")
    levels = [TradingSettings(risk_level=level).model_dump(mode="json") for level in ("low", "medium", "high")]
    return {
        "trading-engine": trading,
        "auth": [example_of(UserSnapshot, user_id=user, full_name=name) for name in names for user in USERS],
        "billing": [_paid(user, tier) for tier in Tier for user in USERS],
        "accounts": [
            *(example_of(AuditRecorded, user_id=user, log_id=f"log_{user}_{n}") for n in range(5) for user in USERS),
            *(example_of(SettingsSnapshot, user_id=user, trading=level) for level in levels for user in USERS),
        ],
    }


def _paid(user: str, tier: Tier) -> SubscriptionSnapshot:
    paid = {"status": "active", "interval": "monthly", "amount_cents": 1000 * tier.rank}
    return example_of(SubscriptionSnapshot, user_id=user, tier=tier, **paid)


async def outcome(folder: Path, deliveries: list[Message]) -> list[Any]:
    async with start_platform(folder, [SERVICE], clock=ManualClock()) as platform:
        await platform.node.infrastructure.bus.send(deliveries)
        await platform.settled()
        found: list[Any] = []
        storage = platform.deps("analytics").results.storage
        for user in USERS:
            client = platform.client("analytics", platform.token(user))
            found.append((await client.get("/api/v1/account/performance?period=all")).json()["data"])
            found.append([(await client.get(f"/api/v1{path}")).json()["data"] for path in PATHS])
            cards = [await storage.get(UserCard, user), await storage.get(SubscriptionCard, user)]
            rows = await storage.get_many(AuditRow, [f"log_{user}_{n}" for n in range(5)])
            told = (*cards, *(rows[name] for name in sorted(rows)))
            # Rows about different users may change places in a chain.
            found += [document.model_dump(exclude={"version", "number", "previous", "hash"}) for document in told]
        admin = platform.client("analytics", platform.token("usr_root", role="admin"))
        metrics = (await admin.get("/api/v1/admin/metrics")).json()["data"]
        assert metrics["users"]["total"] == len(USERS)
        # What ended and began is counted as it is told, in the order that one producer's partition keeps.
        metrics["revenue"].pop("churn_rate")
        found.append(metrics)
        found.append([(await admin.get(f"/api/v1/admin/users/{user}")).json()["data"] for user in USERS])
        verified = await verify(platform.deps("analytics"))
        assert (verified.rows, verified.whole) == (5 * len(USERS), True)
        return found


@settings(max_examples=5, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(chance=st.randoms(use_true_random=False))
def test_events_repeated_and_shuffled_through_the_bus_end_in_the_same_figures(
    tmp_path_factory: pytest.TempPathFactory, chance: random.Random
) -> None:
    clock = ManualClock()
    streams = [messages_of(events, source=source, clock=clock) for source, events in told().items()]
    plain = asyncio.run(outcome(tmp_path_factory.mktemp("plain"), [m for stream in streams for m in stream]))
    assert plain[0]["metrics"]["total_trades"] == TRADES
    stats, dashboard, trades = plain[1]
    assert (stats["trading"]["total_trades_all_time"], trades["total_trades"]) == (TRADES, TRADES)
    assert (stats["risk"]["current_risk_level"], dashboard["active_positions"]) == ("high", 1)
    assert plain[2]["full_name"] == "Cleo"
    unkind = [m for stream in streams for m in redelivered(stream, chance)]
    assert asyncio.run(outcome(tmp_path_factory.mktemp("unkind"), unkind)) == plain
