"""Billing periods: where one ends, and the calendar month that stands in for accounts that pay nothing.

A paid period ends on the same day of a later month (the 31st becomes the last day of a shorter month, and the 31st
again after it), at the same time of day, in UTC: as Stripe does. All boundaries are whole seconds.
"""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import UTC, datetime

from nija_common.events.subscriptions import Interval

MONTHS: dict[Interval, int] = {"monthly": 1, "yearly": 12}


@dataclass(frozen=True, slots=True)
class Period:
    """A stretch of time, UTC milliseconds: the start is in it, the end is not."""

    start_ms: int
    end_ms: int


def whole_second(ms: int) -> int:
    """The second that has begun, in milliseconds."""
    return ms - ms % 1000


def later_by_months(anchor_ms: int, months: int) -> int:
    """The same day and time so many calendar months later, or the last day of a month that is too short."""
    anchor = datetime.fromtimestamp(anchor_ms / 1000, UTC)
    month = anchor.month - 1 + months
    year, month = anchor.year + month // 12, month % 12 + 1
    day = min(anchor.day, calendar.monthrange(year, month)[1])
    return round(anchor.replace(year=year, month=month, day=day).timestamp() * 1000)


def period_from(anchor_ms: int, start_ms: int, interval: Interval) -> Period:
    """The period that begins at `start_ms`, in the rhythm that began at `anchor_ms`."""
    step = count = MONTHS[interval]
    while (end_ms := later_by_months(anchor_ms, count)) <= start_ms:
        count += step
    return Period(start_ms, end_ms)


def month_of(ms: int) -> Period:
    """The calendar month (UTC) of a moment."""
    day = datetime.fromtimestamp(ms / 1000, UTC)
    first = day.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    start_ms = round(first.timestamp() * 1000)
    return Period(start_ms, later_by_months(start_ms, 1))
