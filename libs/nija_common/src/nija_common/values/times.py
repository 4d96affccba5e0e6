"""Moments as text and as UTC milliseconds. Stored and indexed times are milliseconds; answers and events carry text."""

from __future__ import annotations

from datetime import UTC, datetime

DAY_MS = 86_400_000


def iso(ms: int) -> str:
    """`2026-01-29T10:42:00Z`, with milliseconds only where there are some."""
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    text = moment.isoformat(timespec="milliseconds" if ms % 1000 else "seconds")
    return text.removesuffix("+00:00") + "Z"


def iso_or_none(ms: int | None) -> str | None:
    """`iso`, and null stays null."""
    return None if ms is None else iso(ms)


def day_of(ms: int) -> str:
    """The UTC day as `2026-01-29`."""
    return datetime.fromtimestamp(ms / 1000, UTC).date().isoformat()
