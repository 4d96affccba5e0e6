"""Running totals are what counting all events anew comes to, whatever was repeated and however keys interleave."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from nija_analytics.service import SERVICE
from nija_common.bus.port import Message
from nija_common.events.administration import ApiUsageCounted
from nija_common.events.base import Event
from nija_common.events.deliveries import AuditRecorded
from nija_common.events.identity import UserSnapshot
from nija_common.events.subscriptions import SubscriptionSnapshot
from nija_common.events.trading import BotStatusChanged, PositionClosed, PositionOpened, TradeOpened
from nija_common.testing import start_platform
from nija_common.testing.events import example_of
from nija_common.testing.redelivery import messages_of
from nija_common.values.clock import ManualClock
from nija_common.values.tiers import Tier

E = TypeVar("E", bound=Event)
USERS = tuple(f"usr_{n}" for n in range(6))
NOW = ManualClock().now_ms()
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
STATUSES = ("starting", "running", "paused", "stopped")


def subscriptions(chance: random.Random, user: str) -> list[Event]:
    """A trial, then subscriptions that begin, change, renew and end, in the order of their times."""
    found: list[Event] = [example_of(SubscriptionSnapshot, user_id=user)]
    at_ms = NOW - 70 * DAY
    while chance.random() < 0.8:
        at_ms += chance.randrange(1, 15) * DAY
        for _ in range(chance.randrange(1, 4)):
            if at_ms > NOW:
                return found
            paid = {
                "tier": chance.choice(("basic", "pro", "enterprise")),
                "interval": chance.choice(("monthly", "yearly")),
                "status": chance.choice(("active", "active", "past_due", "cancelled")),
                "amount_cents": chance.randrange(1, 90_000),
                "period_start_ms": at_ms,
            }
            found.append(example_of(SubscriptionSnapshot, user_id=user, **paid))
            at_ms += chance.randrange(0, 12) * DAY
        if at_ms > NOW or chance.random() < 0.3:
            return found
        found.append(example_of(SubscriptionSnapshot, user_id=user, status="none", ended_at_ms=at_ms))
    return found


def desk(chance: random.Random, user: str) -> list[Event]:
    """A bot that changes its status, entries, positions that open and close."""
    found: list[Event] = []
    held: list[str] = []
    for n in range(chance.randrange(12)):
        paper = chance.random() < 0.5
        found.append(example_of(BotStatusChanged, user_id=user, status=chance.choice(STATUSES), paper=paper))
        if held and chance.random() < 0.4:
            gone = held.pop(chance.randrange(len(held)))
            found.append(example_of(PositionClosed, user_id=user, position_id=gone))
        elif chance.random() < 0.7:
            held.append(f"pos_{user}_{n}")
            size, at_ms = f"{chance.randrange(1, 10**6)}.37", NOW - chance.randrange(30 * HOUR)
            found.append(example_of(TradeOpened, user_id=user, trade_id=f"trd_{n}", size_usd=size, at_ms=at_ms))
            found.append(example_of(PositionOpened, user_id=user, position_id=held[-1]))
    return found


def reports(chance: random.Random, user: str) -> list[Event]:
    """The gateway's reports of whole minutes, some missing."""
    first = NOW // MINUTE - chance.randrange(1, 12)
    found: list[Event] = []
    for minute in range(first, NOW // MINUTE):
        if chance.random() < 0.8:
            counts = {"calls": chance.randrange(1, 500), "errors": chance.randrange(3), "duration_ms": 977}
            span = {"from_ms": minute * MINUTE, "to_ms": (minute + 1) * MINUTE}
            found.append(example_of(ApiUsageCounted, user_id=user, **span, **counts))
    return found


def logins(chance: random.Random, user: str) -> list[Event]:
    times = [NOW - chance.randrange(3 * DAY) for _ in range(chance.randrange(4))]
    return [example_of(AuditRecorded, user_id=user, log_id=f"log_{user}_{at}", at_ms=at) for at in sorted(set(times))]


def told(chance: random.Random) -> dict[str, list[Event]]:
    """What each producer says, in its order."""
    people = [example_of(UserSnapshot, user_id=u, full_name=n) for u in USERS for n in "ab"[: chance.randrange(1, 3)]]
    return {
        "auth": [*people, *(event for user in USERS for event in logins(chance, user))],
        "billing": [event for user in USERS for event in subscriptions(chance, user)],
        "trading-engine": [event for user in USERS for event in desk(chance, user)],
        "gateway": [event for user in (*USERS[:3], "global") for event in reports(chance, user)],
    }


def of_kind(events: list[Event], kind: type[E]) -> list[E]:
    return [event for event in events if isinstance(event, kind)]


def recounted(events: list[Event]) -> dict[str, Any]:
    """The figures from all events, with nothing kept between them."""
    return {
        "users": _users(events),
        "trading": _trading(events),
        "system": _system(of_kind(events, ApiUsageCounted)),
        "revenue": _revenue(of_kind(events, SubscriptionSnapshot)),
    }


def _users(events: list[Event]) -> dict[str, int]:
    total = len({event.user_id for event in of_kind(events, UserSnapshot)})
    last = {event.user_id: event.tier for event in of_kind(events, SubscriptionSnapshot)}
    seen = {(e.user_id, e.to_ms) for e in of_kind(events, ApiUsageCounted) if e.user_id != "global"}
    seen |= {(e.user_id, e.at_ms) for e in of_kind(events, AuditRecorded)}
    today = {user for user, at_ms in seen if at_ms // DAY == NOW // DAY}
    tiers = {tier.value: list(last.values()).count(tier) for tier in Tier if tier is not Tier.FREE}
    return {"total": total, "active_today": len(today), "free": total - sum(tiers.values()), **tiers}


def _trading(events: list[Event]) -> dict[str, Any]:
    last = {event.user_id: event.status for event in of_kind(events, BotStatusChanged)}
    closed = {event.position_id for event in of_kind(events, PositionClosed)}
    entries = [e for e in of_kind(events, TradeOpened) if e.at_ms // HOUR > NOW // HOUR - 24]
    return {
        "bots_running": list(last.values()).count("running"),
        "total_positions": len({e.position_id for e in of_kind(events, PositionOpened)} - closed),
        "total_volume_24h": float(sum(Fraction(e.size_usd) for e in entries)),
        "total_trades_24h": len(entries),
    }


def _system(events: list[ApiUsageCounted]) -> dict[str, Any]:
    minutes = {event.from_ms // MINUTE for event in events if event.user_id == "global"}
    now = NOW // MINUTE
    past = [minute for minute in minutes if minute < now - 1]
    up = round(100 * len(past) / (now - 1 - min(past)), 4) if past else (100.0 if minutes else None)
    if not minutes or max(minutes) < now - 5:
        none = dict.fromkeys(("api_requests_per_second", "avg_response_time_ms", "error_rate"))
        return {**none, "uptime_pct": up}
    window = range(max(minutes) - 4, max(minutes) + 1)
    counted = [event for event in events if event.from_ms // MINUTE in window]
    calls = sum(event.calls for event in counted)
    return {
        "api_requests_per_second": round(calls / (60 * len(minutes & set(window))), 4),
        "avg_response_time_ms": round(sum(event.duration_ms for event in counted) / calls, 4),
        "error_rate": round(sum(event.errors for event in counted) / calls, 4),
        "uptime_pct": up,
    }


def _revenue(events: list[SubscriptionSnapshot]) -> dict[str, Any]:
    stories: dict[str, list[SubscriptionSnapshot]] = defaultdict(list)
    for event in events:
        stories[event.user_id].append(event)
    paying = [story[-1] for story in stories.values() if story[-1].status in ("active", "past_due")]
    yearly = sum(Fraction(e.amount_cents or 0) * (12 if e.interval == "monthly" else 1) for e in paying)
    since = (NOW // DAY - 29) * DAY
    ended = sum(e.ended_at_ms is not None and e.ended_at_ms >= since for e in events)
    ran = 0
    for story in stories.values():
        spells = [(b.period_start_ms or 0) for a, b in pairwise(story) if a.amount_cents is None and b.amount_cents]
        ends = [e.ended_at_ms for e in story if e.ended_at_ms is not None]
        ran += sum(begin < since for begin in spells) - sum(end < since for end in ends)
    return {
        "mrr": round(yearly / 12) / 100,
        "arr": float(yearly / 100),
        "churn_rate": round(ended / ran, 4) if ran else None,
    }


def delivered(streams: list[list[Message]], chance: random.Random) -> list[Message]:
    """All keys mixed, each key's first copies in order, and any record again at any later place."""
    keys: dict[tuple[str, str], list[Message]] = defaultdict(list)
    for message in (message for stream in streams for message in stream):
        keys[(message.topic, message.key)].append(message)
    order = [key for key, messages in keys.items() for _ in messages]
    chance.shuffle(order)
    waiting = {key: iter(messages) for key, messages in keys.items()}
    found = [next(waiting[key]) for key in order]
    for _ in range(len(found) // 2):
        place = chance.randrange(len(found))
        found.insert(chance.randrange(place + 1, len(found) + 1), found[place])
    return found


async def counted(folder: Path, deliveries: list[Message]) -> Any:
    async with start_platform(folder, [SERVICE], clock=ManualClock()) as platform:
        await platform.node.infrastructure.bus.send(deliveries)
        await platform.settled()
        client = platform.client("analytics", platform.token("usr_root", role="admin"))
        return (await client.get("/api/v1/admin/metrics")).json()["data"]


@settings(max_examples=8, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(seed=st.integers(0, 2**32))
def test_running_totals_are_what_all_events_come_to(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    chance = random.Random(seed)
    said = told(chance)
    streams = [messages_of(events, source=source, clock=ManualClock()) for source, events in said.items()]
    deliveries = delivered(streams, chance)
    expected = recounted([event for events in said.values() for event in events])
    assert asyncio.run(counted(tmp_path_factory.mktemp("totals"), deliveries)) == expected
