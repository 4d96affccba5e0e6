"""Text at once and text row by row: the same candles, the same faults; what is written is read back as it was."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nija_trading.adapters import candle_text
from nija_trading.adapters.candle_text import HEADER, Parsed, parse, text_of
from nija_trading.domain.market.candles import HOUR_MS, Candles

NUMBERS = (
    "1",
    "1.5",
    "2",
    "0.5",
    "10",
    "1e3",
    "1E-2",
    "+1",
    ".5",
    "1.",
    "-1",
    "-0",
    "01",
    "1e999",
    " 1",
    "1_0",
    "",
    "x",
    "nan",
)
TIMES = ("0", "3600000", "7200000", "-0", "00", "1e3", "3600000.0", "9" * 16, " 0", "")


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row or two in a piece."""
    monkeypatch.setattr(candle_text, "_PIECE", 20)


def alike(a: Parsed, b: Parsed) -> bool:
    return list(a.candles) == list(b.candles) and list(a.faults) == list(b.faults)


def row_by_row(data: bytes) -> Parsed:
    return candle_text._row_by_row(data.replace(b"\r\n", b"\n"), HOUR_MS)


@given(
    st.lists(
        st.tuples(st.sampled_from(TIMES), *[st.sampled_from(NUMBERS)] * 5).map(",".join)
        | st.text(alphabet='0123456789.,-e\r []"', max_size=20),
        max_size=6,
    ),
    st.sampled_from(["", "\n", "\n\n", "\r\n"]),
    st.sampled_from([HEADER, "volume,close,low,high,open,timestamp_ms", HEADER + ",more", HEADER + ",open"]),
)
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_the_text_both_ways_read_the_same(small_pieces: None, rows: list[str], end: str, header: str) -> None:
    data = ("\n".join([header, *rows]) + end).encode()
    assert alike(parse(data, HOUR_MS), row_by_row(data))


def test_sound_text_goes_at_once_and_one_blank_sends_it_row_by_row() -> None:
    sound = f"{HEADER}\n0,1,2,0.5,1.5,10\n3600000,1.5,1.6,1.4,1.5,0\n".encode()
    assert candle_text._at_once(sound) is not None
    assert candle_text._at_once(sound.replace(b"1.6", b" 1.6")) is None
    assert alike(parse(sound, HOUR_MS), parse(sound.replace(b"1.6", b" 1.6"), HOUR_MS))


@pytest.mark.parametrize("seed", range(5))
def test_every_number_is_read_as_python_reads_it_and_written_so_that_it_is(seed: int) -> None:
    draw = random.Random(seed)
    rows = []
    for i in range(400):
        low = math.exp(draw.uniform(-18, 14))
        top = low * draw.uniform(1, 1.5)
        rows.append(
            (i * HOUR_MS, draw.uniform(low, top), top, low, draw.uniform(low, top), draw.choice((0.0, draw.random())))
        )
    candles = Candles.of(HOUR_MS, rows)
    found = parse(text_of(candles), HOUR_MS)
    assert not found.faults
    assert list(found.candles) == list(candles)
    assert alike(found, row_by_row(text_of(candles)))


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("0,1,2,1,1\n3600000,1,2,1,1,5,5", "5 columns instead of 6"),
        ("3600000.0,1,2,1,1,5", "timestamp_ms '3600000.0' is not a time"),
        ("36e5,1,2,1,1,5", "timestamp_ms '36e5' is not a time"),
    ],
)
def test_what_only_looks_like_plain_rows_is_refused(rows: str, said: str) -> None:
    parsed = parse(f"{HEADER}\n{rows}\n".encode(), HOUR_MS)
    assert parsed.faults[0].line == 2
    assert said in parsed.faults[0].what
