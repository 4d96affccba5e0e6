"""Running totals of the whole platform, one document a shard of users: what `GET /admin/metrics` adds up.

A shard's document is written by the consumers of that shard's partition alone, so none is hot, and reading costs 24
documents however many accounts there are. Buckets (hours, days, minutes since 1970) that are older than any answer
asks for are dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from nija_analytics.domain.cards import TradingCard
from nija_analytics.domain.people import SubscriptionCard
from nija_common.events.administration import ApiUsageCounted
from nija_common.events.trading import TradeOpened
from nija_common.values.document import Collection, Document, Index
from nija_common.values.money import Units, units
from nija_common.values.shards import PARTITIONS, shard_of
from nija_common.values.tiers import Tier
from nija_common.values.times import DAY_MS

T = TypeVar("T")

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
MINUTES_A_DAY = 1440
HOURS_KEPT = 48
DAYS_KEPT = 62
MINUTES_KEPT = 15
PAYING = ("active", "past_due")
SHARDS = tuple(f"{number:02d}" for number in range(PARTITIONS))
"""The ids of the documents of each kind."""


def shard_id(user_id: str) -> str:
    """The id of the documents that a user is counted in."""
    return SHARDS[shard_of(user_id)]


class UserTotals(Document):
    """Accounts that auth has told of."""

    collection: ClassVar[Collection] = Collection("totals_users")
    users: int = 0


class SubscriptionTotals(Document):
    """Accounts by stored tier, and paid subscriptions.

    `yearly_cents`: what all that pay come to in a year. `subscribed`: paid subscriptions that have not ended; `starts`
    and `ends`: how many began and ended, by day.
    """

    collection: ClassVar[Collection] = Collection("totals_subscriptions")
    tiers: dict[Tier, int] = Field(default_factory=dict)
    yearly_cents: int = 0
    subscribed: int = 0
    starts: dict[int, int] = Field(default_factory=dict)
    ends: dict[int, int] = Field(default_factory=dict)


class Hour(BaseModel):
    """Entries that were filled in one hour, of both ledgers, and their value."""

    model_config = ConfigDict(frozen=True)
    trades: int = 0
    volume: Units = 0


class TradingTotals(Document):
    """Bots that run, open positions, and the entries of each hour."""

    collection: ClassVar[Collection] = Collection("totals_trading")
    running: int = 0
    positions: int = 0
    hours: dict[int, Hour] = Field(default_factory=dict)


class ActivityTotals(Document):
    """By day, accounts whose newest activity was once on that day."""

    collection: ClassVar[Collection] = Collection("totals_activity")
    days: dict[int, int] = Field(default_factory=dict)


class Traffic(BaseModel):
    """Calls, answers of 500 and above, and the milliseconds that all answers took together."""

    model_config = ConfigDict(frozen=True)
    calls: int = 0
    errors: int = 0
    duration_ms: int = 0

    def __add__(self, other: Traffic) -> Traffic:
        return Traffic(
            calls=self.calls + other.calls,
            errors=self.errors + other.errors,
            duration_ms=self.duration_ms + other.duration_ms,
        )


class TrafficTotals(Document):
    """The traffic of the newest minutes."""

    collection: ClassVar[Collection] = Collection("totals_traffic")
    minutes: dict[int, Traffic] = Field(default_factory=dict)


class UptimeDay(Document):
    """The minutes of one UTC day of which the gateway has sent a report: bit n, in hexadecimal, is minute n."""

    collection: ClassVar[Collection] = Collection("uptime_days", (Index("by_day", ("day",)),))
    day: int
    minutes: str = "0"

    @property
    def bits(self) -> int:
        """The minutes as a number of 1440 bits."""
        return int(self.minutes, 16)


def pays(card: SubscriptionCard | None) -> bool:
    """Whether an account counts for the revenue: it has a price, and is active or past due."""
    return card is not None and card.status in PAYING and card.amount_cents is not None


def subscribed(card: SubscriptionCard | None) -> bool:
    """Whether a paid subscription runs; one that is cancelled runs until its end."""
    return (
        card is not None
        and card.amount_cents is not None
        and card.ended_at_ms is None
        and card.status in (*PAYING, "cancelled")
    )


def yearly_cents(card: SubscriptionCard | None) -> int:
    """What an account pays in a year, in cents."""
    if card is None or not pays(card):
        return 0
    return (card.amount_cents or 0) * (1 if card.interval == "yearly" else 12)


def with_subscription(
    totals: SubscriptionTotals, before: SubscriptionCard | None, after: SubscriptionCard, now_ms: int
) -> SubscriptionTotals:
    """The totals after an account's newer snapshot.

    A start is a change from none to one that has been seen: the first snapshot that is known of an account may be that
    of a subscription of many years.
    """
    tiers = dict(totals.tiers)
    if before is not None:
        tiers[before.tier] -= 1
    tiers[after.tier] = tiers.get(after.tier, 0) + 1
    starts, ends = dict(totals.starts), dict(totals.ends)
    if before is not None and not subscribed(before) and subscribed(after) and after.period_start_ms is not None:
        _count(starts, after.period_start_ms // DAY_MS)
    if after.ended_at_ms is not None and (before is None or before.last_ended_ms != after.ended_at_ms):
        _count(ends, after.ended_at_ms // DAY_MS)
    oldest = now_ms // DAY_MS - DAYS_KEPT
    return totals.model_copy(
        update={
            "tiers": tiers,
            "yearly_cents": totals.yearly_cents - yearly_cents(before) + yearly_cents(after),
            "subscribed": totals.subscribed - subscribed(before) + subscribed(after),
            "starts": _since(starts, oldest),
            "ends": _since(ends, oldest),
        }
    )


def with_trading(totals: TradingTotals, before: TradingCard, after: TradingCard) -> TradingTotals:
    """The totals after a change of an account's trading card."""
    return _changed(
        totals,
        running=totals.running + after.running - before.running,
        positions=totals.positions + len(after.open_positions) - len(before.open_positions),
    )


def with_entry(totals: TradingTotals, event: TradeOpened, now_ms: int) -> TradingTotals:
    """The totals with one more filled entry."""
    hour = event.at_ms // HOUR_MS
    known = totals.hours.get(hour, Hour())
    more = Hour(trades=known.trades + 1, volume=known.volume + units(event.size_usd))
    return _changed(totals, hours=_since({**totals.hours, hour: more}, now_ms // HOUR_MS - HOURS_KEPT))


def with_active(totals: ActivityTotals, day: int, now_ms: int) -> ActivityTotals:
    """The totals with one more account seen on that day."""
    days = dict(totals.days)
    _count(days, day)
    return _changed(totals, days=_since(days, now_ms // DAY_MS - DAYS_KEPT))


def with_traffic(totals: TrafficTotals, event: ApiUsageCounted, now_ms: int) -> TrafficTotals:
    """The totals with a report, spread evenly over the minutes that it covers; none is lost to rounding."""
    now = now_ms // MINUTE_MS
    minutes = dict(totals.minutes)
    for minute in range(max(first_minute(event), now - MINUTES_KEPT), min(last_minute(event), now + MINUTES_KEPT) + 1):
        minutes[minute] = minutes.get(minute, Traffic()) + _share(event, minute)
    return _changed(totals, minutes=_since(minutes, now - MINUTES_KEPT))


def first_minute(event: ApiUsageCounted) -> int:
    """The minute in which the reported stretch begins."""
    return event.from_ms // MINUTE_MS


def last_minute(event: ApiUsageCounted) -> int:
    """The minute in which it ends."""
    return max(event.from_ms, event.to_ms - 1) // MINUTE_MS


def reported_bits(event: ApiUsageCounted, day: int) -> int:
    """The minutes of a day that a report covers, wholly or in part."""
    low = max(first_minute(event) - day * MINUTES_A_DAY, 0)
    high = min(last_minute(event) - day * MINUTES_A_DAY, MINUTES_A_DAY - 1)
    return ((1 << (high - low + 1)) - 1) << low if high >= low else 0


def with_reported(known: UptimeDay, bits: int) -> UptimeDay:
    """The day with more minutes reported."""
    return _changed(known, minutes=f"{known.bits | bits:x}")


def _share(event: ApiUsageCounted, minute: int) -> Traffic:
    span = max(1, event.to_ms - event.from_ms)
    low = max(0, minute * MINUTE_MS - event.from_ms)
    high = min(span, (minute + 1) * MINUTE_MS - event.from_ms)
    return Traffic(
        calls=event.calls * high // span - event.calls * low // span,
        errors=event.errors * high // span - event.errors * low // span,
        duration_ms=event.duration_ms * high // span - event.duration_ms * low // span,
    )


def _count(buckets: dict[int, int], bucket: int) -> None:
    buckets[bucket] = buckets.get(bucket, 0) + 1


def _since(buckets: Mapping[int, T], oldest: int) -> dict[int, T]:
    return {bucket: value for bucket, value in buckets.items() if bucket >= oldest}


D = TypeVar("D", bound=Document)


def _changed(document: D, **fields: Any) -> D:
    after = document.model_copy(update=fields)
    return document if after == document else after
