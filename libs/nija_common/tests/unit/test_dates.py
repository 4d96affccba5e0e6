"""Dates in requests, at the edges of what a date can be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nija_common.errors import ErrorCode, NijaError
from nija_common.http.dates import expiry_ms, span_ms
from nija_common.values.times import DAY_MS, iso

EDGES = [
    "0001-01-01",
    "9999-12-31",
    "9999-12-31T23:59:59.999999",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
]


@pytest.mark.parametrize("text", EDGES)
def test_what_lies_beyond_the_calendar_is_its_edge_and_can_be_written(text: str) -> None:
    low, high = span_ms(text, None)[0], span_ms(None, text)[1]
    assert low is not None
    assert high is not None
    for moment in (low, high, expiry_ms(text, "expires_at")):
        assert iso(moment).endswith("Z")


def test_an_end_without_a_time_includes_its_day() -> None:
    assert span_ms("2026-01-29", "2026-01-29") == (1_769_644_800_000, 1_769_644_800_000 + DAY_MS)
    assert expiry_ms("2026-01-29", "expires_at") == 1_769_644_800_000 + DAY_MS


@given(st.datetimes(timezones=st.timezones() | st.none()))
def test_every_moment_is_read_and_can_be_written(moment: object) -> None:
    assert iso(expiry_ms(str(moment), "expires_at"))


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        span_ms(text, None)
    except NijaError as error:
        assert error.code is ErrorCode.VALIDATION_ERROR
        assert list(error.details) == ["start_date"]
