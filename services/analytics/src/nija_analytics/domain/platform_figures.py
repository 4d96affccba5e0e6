"""The figures of `GET /admin/metrics` from the running totals: what each means is said here, once.

Amounts are exact until they are shown. A figure that nothing has been reported for is None, never a guess.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from nija_analytics.domain.platform_totals import (
    HOUR_MS,
    MINUTE_MS,
    MINUTES_A_DAY,
    ActivityTotals,
    SubscriptionTotals,
    TradingTotals,
    Traffic,
    TrafficTotals,
    UptimeDay,
    UserTotals,
)
from nija_common.values.money import Units
from nija_common.values.tiers import Tier
from nija_common.values.times import DAY_MS

HOURS = 24
CHURN_DAYS = 30
WINDOW_MINUTES = 5
UPTIME_DAYS = 30
PAID_TIERS = (Tier.BASIC, Tier.PRO, Tier.ENTERPRISE)


@dataclass(frozen=True, slots=True)
class Users:
    """Accounts; `tiers` by stored tier: an account that billing has not told of yet is free, so they add up to all."""

    total: int
    active_today: int
    tiers: dict[Tier, int]


@dataclass(frozen=True, slots=True)
class Trading:
    """Paper and live together. The last 24 hours are the present one and the 23 before it."""

    bots_running: int
    positions: int
    volume: Units
    trades: int


@dataclass(frozen=True, slots=True)
class System:
    """Rates of up to five minutes, the newest of which a report has come; None without any in the last five minutes."""

    requests_per_second: float | None
    response_time_ms: float | None
    error_rate: float | None
    uptime_pct: float | None


@dataclass(frozen=True, slots=True)
class Revenue:
    """MRR and ARR in cents, exact; churn: subscriptions that ended in the last 30 days (UTC days, today included) over
    those that ran at their start, None where none did."""

    mrr_cents: Fraction
    arr_cents: Fraction
    churn_rate: float | None


def users(
    all_users: Iterable[UserTotals], subs: Sequence[SubscriptionTotals], seen: Iterable[ActivityTotals], now_ms: int
) -> Users:
    """Accounts, those seen today, and those of each tier."""
    total = sum(shard.users for shard in all_users)
    tiers = {tier: sum(shard.tiers.get(tier, 0) for shard in subs) for tier in PAID_TIERS}
    free = {Tier.FREE: max(0, total - sum(tiers.values()))}
    today = now_ms // DAY_MS
    return Users(total, sum(shard.days.get(today, 0) for shard in seen), free | tiers)


def trading(totals: Sequence[TradingTotals], now_ms: int) -> Trading:
    """Bots, positions, and the entries of the last hours."""
    newest = now_ms // HOUR_MS
    hours = [hour for shard in totals for at, hour in shard.hours.items() if newest - HOURS < at <= newest]
    return Trading(
        bots_running=sum(shard.running for shard in totals),
        positions=sum(shard.positions for shard in totals),
        volume=sum(hour.volume for hour in hours),
        trades=sum(hour.trades for hour in hours),
    )


def system(totals: Iterable[TrafficTotals], days: Sequence[UptimeDay], first: UptimeDay | None, now_ms: int) -> System:
    """Rates and uptime. `days`: the reported minutes of the last 31 days; `first`: the first day of all."""
    reported = {day.day: day.bits for day in days}
    up = uptime_pct(reported, None if first is None else _first_minute(first), now_ms)
    now = now_ms // MINUTE_MS
    recent = [minute for minute in range(now - WINDOW_MINUTES, now + 1) if _is_reported(reported, minute)]
    if not recent:
        return System(None, None, None, up)
    window = range(recent[-1] - WINDOW_MINUTES + 1, recent[-1] + 1)
    seconds = 60 * sum(_is_reported(reported, minute) for minute in window)
    sums = sum((shard.minutes.get(minute, Traffic()) for shard in totals for minute in window), Traffic())
    return System(
        requests_per_second=sums.calls / seconds,
        response_time_ms=sums.duration_ms / sums.calls if sums.calls else None,
        error_rate=sums.errors / sums.calls if sums.calls else None,
        uptime_pct=up,
    )


def uptime_pct(reported: dict[int, int], first: int | None, now_ms: int) -> float | None:
    """Minutes with a report of the gateway among those since the first one, at most 30 days back, in per cent.

    The present minute and the one before it are left out: their reports may be on their way. Where there are no others
    yet, nothing has been missed.
    """
    end = now_ms // MINUTE_MS - 1
    if first is None:
        return None
    if first >= end:
        return 100.0
    start = max(first, end - UPTIME_DAYS * MINUTES_A_DAY)
    up = sum(_count(bits, start - day * MINUTES_A_DAY, end - day * MINUTES_A_DAY) for day, bits in reported.items())
    return 100 * up / (end - start)


def revenue(totals: Sequence[SubscriptionTotals], now_ms: int) -> Revenue:
    """Revenue of what runs now, and churn."""
    yearly = Fraction(sum(shard.yearly_cents for shard in totals))
    first = now_ms // DAY_MS - CHURN_DAYS + 1
    ended = sum(n for shard in totals for day, n in shard.ends.items() if day >= first)
    started = sum(n for shard in totals for day, n in shard.starts.items() if day >= first)
    at_start = sum(shard.subscribed for shard in totals) - started + ended
    return Revenue(yearly / 12, yearly, ended / at_start if at_start > 0 else None)


def _is_reported(reported: dict[int, int], minute: int) -> bool:
    return bool(reported.get(minute // MINUTES_A_DAY, 0) >> minute % MINUTES_A_DAY & 1)


def _first_minute(day: UptimeDay) -> int:
    return day.day * MINUTES_A_DAY + (day.bits & -day.bits).bit_length() - 1


def _count(bits: int, low: int, high: int) -> int:
    """How many of the bits from `low` to before `high` are set."""
    low, high = max(low, 0), min(high, MINUTES_A_DAY)
    return ((bits >> low) & ((1 << (high - low)) - 1)).bit_count() if high > low else 0
