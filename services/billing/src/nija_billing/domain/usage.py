"""What an account has used in its billing period, against what its tier allows.

Running counters, one document for each account and period; what is held from one period to the next (open positions,
connected brokers) is a document of its own. Going above a limit refuses nothing here: it is only told.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nija_billing.domain.periods import Period, month_of
from nija_billing.domain.subscription import Subscription
from nija_common.values.document import Collection, Document, Index
from nija_common.values.tiers import TierLimits
from nija_common.values.times import DAY_MS

KEPT_MS = 400 * DAY_MS
WARN_AT_PER_CENT = 80
TRADES_FACTOR = 30
CALLS_FACTOR = 1_000


class Usage(Document):
    """The counters of one account in one period. `max_open`: the most positions open at the same time."""

    collection: ClassVar[Collection] = Collection(
        "usage", (Index("by_user", ("user_id", "period_start_ms")),), ttl_field="expires_at_ms"
    )

    user_id: str
    period_start_ms: int
    period_end_ms: int
    expires_at_ms: int
    api_calls: int = 0
    trades: int = 0
    positions_opened: int = 0
    max_open: int = 0


class Holdings(Document):
    """What an account has at the moment; its id is the user's."""

    collection: ClassVar[Collection] = Collection("holdings")

    open_positions: int = 0
    brokers: tuple[str, ...] = ()


def period_of(subscription: Subscription, now_ms: int) -> Period:
    """The period that usage is counted in: the paid one, else the calendar month in UTC.

    A paid period that is over and not renewed (a failed payment) gives way to the month as well.
    """
    plan = subscription.plan
    if plan is not None and plan.period_start_ms <= now_ms < plan.period_end_ms:
        return plan.period
    return month_of(now_ms)


def new_usage(user_id: str, period: Period, open_positions: int) -> Usage:
    """The counters of a period that begins; positions that are open count as held from its first moment."""
    return Usage(
        id=f"{user_id}/{period.start_ms}",
        user_id=user_id,
        period_start_ms=period.start_ms,
        period_end_ms=period.end_ms,
        expires_at_ms=period.end_ms + KEPT_MS,
        max_open=open_positions,
    )


@dataclass(frozen=True, slots=True)
class Report:
    """Usage against limits. `brokers_limit` None: as many as one likes."""

    usage: Usage
    brokers: int
    calls_limit: int
    trades_limit: int
    positions_limit: int
    brokers_limit: int | None
    overage: bool
    warnings: tuple[str, ...]


def report(usage: Usage, holdings: Holdings, limits: TierLimits) -> Report:
    """Metered counters (calls, trades) warn from 80 %; what is held (positions, brokers) only above its limit."""
    calls_limit = limits.api_calls_per_minute * CALLS_FACTOR
    trades_limit = limits.max_daily_trades * TRADES_FACTOR
    brokers = len(holdings.brokers)
    over = [
        usage.api_calls > calls_limit,
        usage.trades > trades_limit,
        usage.max_open > limits.max_positions,
        limits.brokers is not None and brokers > limits.brokers,
    ]
    warnings = [
        _metered("API calls", usage.api_calls, calls_limit),
        _metered("trades", usage.trades, trades_limit),
        _held("positions at the same time", usage.max_open, limits.max_positions),
        None if limits.brokers is None else _held("connected brokers", brokers, limits.brokers),
    ]
    return Report(
        usage=usage,
        brokers=brokers,
        calls_limit=calls_limit,
        trades_limit=trades_limit,
        positions_limit=limits.max_positions,
        brokers_limit=limits.brokers,
        overage=any(over),
        warnings=tuple(warning for warning in warnings if warning is not None),
    )


def _metered(what: str, used: int, limit: int) -> str | None:
    if used * 100 < limit * WARN_AT_PER_CENT:
        return None
    if used > limit:
        return f"You are above your plan's {what} for this period: {used:,} of {limit:,}. Consider a higher plan."
    return f"You have used {used * 100 // limit} % of your plan's {what} for this period: {used:,} of {limit:,}."


def _held(what: str, held: int, limit: int) -> str | None:
    return None if held <= limit else f"You are above your plan's limit of {what}: {held} of {limit}."
