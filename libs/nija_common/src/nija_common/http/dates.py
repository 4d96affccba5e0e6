"""Dates in requests: ISO 8601, UTC where no zone is given; an end without a time includes that day."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Literal

from nija_common.errors import ErrorCode, NijaError
from nija_common.values.times import DAY_MS

FIRST_MS = -62_135_596_800_000
LAST_MS = 253_402_300_799_000
"""The years 1 to 9999 in UTC: what lies outside cannot be written as a date, and is taken for their edge."""


def span_ms(start_date: str | None, end_date: str | None) -> tuple[int | None, int | None]:
    """The half-open span in UTC milliseconds; None is unbounded. Raises VALIDATION_ERROR naming the field."""
    low = None if start_date is None else _edge(start_date, "start_date")
    high = None if end_date is None else _edge(end_date, "end_date")
    if low is not None and high is not None and low >= high:
        raise _refusal("end_date", "lies before start_date")
    return low, high


def expiry_ms(text: str, name: str) -> int:
    """The moment at which something ends that is said to end then; a day without a time is included.

    Raises VALIDATION_ERROR naming the field.
    """
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return _within(_milliseconds(_moment(text, name)))
    return _within(_milliseconds(datetime(day.year, day.month, day.day, tzinfo=UTC)) + DAY_MS)


def _edge(text: str, name: Literal["start_date", "end_date"]) -> int:
    """A start is the first millisecond of what the text means, an end the one after the last."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return _within(_milliseconds(_moment(text, name)) + (name == "end_date"))
    start = _milliseconds(datetime(day.year, day.month, day.day, tzinfo=UTC))
    return _within(start + DAY_MS if name == "end_date" else start)


def _moment(text: str, name: str) -> datetime:
    # A `+` of a zone that was not percent-encoded arrives as a space.
    for form in (text, text.replace(" ", "+")):
        try:
            moment = datetime.fromisoformat(form)
        except ValueError:
            continue
        return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    raise _refusal(name, "not a date such as 2026-01-29 or 2026-01-29T10:42:00Z")


def _within(ms: int) -> int:
    return min(max(ms, FIRST_MS), LAST_MS)


def _milliseconds(moment: datetime) -> int:
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return since.days * DAY_MS + since.seconds * 1000 + since.microseconds // 1000


def _refusal(name: str, why: str) -> NijaError:
    return NijaError(ErrorCode.VALIDATION_ERROR, f"Not valid: {name}.", {name: why})
