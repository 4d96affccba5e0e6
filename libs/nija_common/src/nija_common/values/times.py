"""Moments as text and as UTC milliseconds. Stored and indexed times are milliseconds; answers and events carry text."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

DAY_MS = 86_400_000


def iso(ms: int) -> str:
    """`2026-01-29T10:42:00Z`, with milliseconds only where there are some."""
    seconds, thousandths = divmod(ms, 1000)
    day, second = divmod(seconds, 86_400)
    minute, second = divmod(second, 60)
    hour, minute = divmod(minute, 60)
    fraction = f".{thousandths:03}" if thousandths else ""
    return f"{date_text(day)}T{hour:02}:{minute:02}:{second:02}{fraction}Z"


def iso_or_none(ms: int | None) -> str | None:
    """`iso`, and null stays null."""
    return None if ms is None else iso(ms)


def day_of(ms: int) -> str:
    """The UTC day as `2026-01-29`."""
    return date_text(ms // DAY_MS)


@lru_cache(maxsize=8192)
def date_text(day: int) -> str:
    """`2026-01-29` of a day counted from 1970-01-01. Answers ask for few of them, many times."""
    return datetime.fromtimestamp(day * DAY_MS // 1000, UTC).date().isoformat()
