"""The text of a candle file, and what can be wrong with it.

Text that is plain numbers is parsed as a whole; anything out of the ordinary goes row by row, which is slow, reads the
same values and names each line that cannot be right. Nothing is repaired here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import numpy as np
import simdjson
from numpy.typing import NDArray

from nija_trading.domain.market.candles import Candles, Floats, Ints

COLUMNS = ("timestamp_ms", "open", "high", "low", "close", "volume")
HEADER = ",".join(COLUMNS)

_NOT_PLAIN = (b" ", b"\t", b"\r", b"[", b"{")
"""What JSON allows around and instead of numbers; it refuses whatever else is none."""
_PIECE = 1 << 17
"""Text is parsed in pieces of about so many bytes: the memory of one serves the next."""
_COMMA, _NEWLINE = 44, 10
_LONGEST_TIME = 15
_POWERS = np.array([0.0, *(10.0**digits for digits in range(1, _LONGEST_TIME + 1))])
"""Numbers of n digits are below `_POWERS[n]`, and not below `_POWERS[n - 1]`."""
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Fault(NamedTuple):
    """What is wrong, and in which line (from 1; None: the whole file)."""

    line: int | None
    what: str


class Parsed(NamedTuple):
    """The rows that can be read, and every fault, by line. Candles are as the file has them, in its order."""

    candles: Candles
    faults: Sequence[Fault]


def parse(data: bytes, timeframe_ms: int) -> Parsed:
    """The candles of a file's text (UTF-8, `\\n` or `\\r\\n`)."""
    data = data.removeprefix(_BYTE_ORDER_MARK)
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n")
    columns = _at_once(data)
    if columns is None:
        return _row_by_row(data, timeframe_ms)
    candles = Candles(timeframe_ms, *columns)
    return Parsed(candles, faults_of(candles, _lines(len(candles))))


def text_of(candles: Candles) -> bytes:
    """Candles as the text of a file; each number in the shortest form that reads back as the same."""
    columns = (candles.open, candles.high, candles.low, candles.close, candles.volume)
    rows = zip(candles.time_ms.tolist(), *(column.tolist() for column in columns), strict=True)
    lines = [HEADER, *(f"{t},{o!r},{h!r},{low!r},{c!r},{v!r}" for t, o, h, low, c, v in rows)]
    return ("\n".join(lines) + "\n").encode("ascii")


def faults_of(candles: Candles, lines: Ints) -> list[Fault]:
    """The rows that cannot be right, each with its first fault; `lines` are the rows' lines in the file."""
    if not len(candles):
        return []
    step = np.diff(candles.time_ms, prepend=candles.time_ms[0] - candles.timeframe_ms)
    bottom = np.minimum(candles.open, candles.close)
    top = np.maximum(candles.open, candles.close)
    tests = (
        (step < 0, "time goes backwards"),
        (step == 0, "the time of the row before is repeated"),
        (step < candles.timeframe_ms, "the candle opens before the one before it has closed"),
        (candles.high < candles.low, "high is below low"),
        (candles.low <= 0, "a price is not above 0"),
        ((bottom < candles.low) | (top > candles.high), "open or close lies outside high and low"),
        (candles.volume < 0, "volume is negative"),
    )
    wrong = np.zeros(len(candles), dtype=np.bool_)
    for failed, _ in tests:
        wrong |= failed
    rows = np.flatnonzero(wrong).tolist()
    return [Fault(int(lines[row]), next(what for failed, what in tests if failed[row])) for row in rows]


def _at_once(data: bytes) -> tuple[Ints, Floats, Floats, Floats, Floats, Floats] | None:
    """The columns of text that is nothing but plain, finite numbers, none below zero, as many in each row; else None."""
    # The text is never copied as a whole: a process that reads one file would spend its time on getting memory.
    start, stop = data.find(b"\n") + 1, len(data)
    while stop > start and data[stop - 1] == _NEWLINE:
        stop -= 1
    names = data[: start - 1].decode("latin-1").split(",")
    if (
        start in (0, stop)
        or not set(COLUMNS) <= set(names)
        or len(set(names)) < len(names)
        or any(data.find(mark, start, stop) >= 0 for mark in _NOT_PLAIN)
    ):
        return None
    if data.find(b"-", start, stop) >= 0 and any(data.find(sign, start - 1, stop) >= 0 for sign in (b",-", b"\n-")):
        return None
    at = names.index("timestamp_ms")
    every = np.empty((data.count(b"\n", start, stop) + 1) * len(names), dtype=np.float64)
    parser, done = simdjson.Parser(), 0
    while start < stop:
        end = data.find(b"\n", start + _PIECE, stop)
        piece = data[start : end if end >= 0 else stop]
        numbers = _numbers(parser, piece, len(names), at)
        if numbers is None:
            return None
        every[done : done + len(numbers)] = numbers
        done, start = done + len(numbers), start + len(piece) + 1
    rows = every.reshape(-1, len(names))
    if not np.isfinite(rows).all():
        return None
    times = rows[:, at].astype(np.int64)
    opened, high, low, close, volume = (np.ascontiguousarray(rows[:, names.index(name)]) for name in COLUMNS[1:])
    return times, opened, high, low, close, volume


def _numbers(parser: simdjson.Parser, piece: bytes, width: int, at: int) -> Floats | None:
    """The numbers of whole rows, one after another; None unless each row has `width`, a whole one at `at`."""
    text = np.frombuffer(piece, dtype=np.uint8)
    places = np.flatnonzero(text <= _COMMA)  # of the plain characters these are the comma and the line's end
    separators = text[places]
    ends = separators[width - 1 :: width] == _NEWLINE
    if len(separators) % width != width - 1 or not ends.all() or np.count_nonzero(separators == _NEWLINE) != len(ends):
        return None
    try:
        numbers = cast(simdjson.Array, parser.parse(b"[" + piece.replace(b"\n", b",") + b"]"))
        flat: Floats = np.frombuffer(numbers.as_buffer(of_type="d"))
    except (TypeError, ValueError):  # the one for a text, a truth value or null
        return None
    edges = np.concatenate(([-1], places, [len(piece)]))
    begins, ends = edges[at:-1:width] + 1, edges[at + 1 :: width]
    return flat if _whole(piece, begins, ends, flat[at::width]) else None


def _whole(piece: bytes, begins: Ints, ends: Ints, values: Floats) -> bool:
    """Whether the text of each of these numbers is digits alone, up to `_LONGEST_TIME` of them."""
    lengths = ends - begins
    if lengths.max() > _LONGEST_TIME:
        return False
    if b"e" in piece or b"E" in piece:
        return all(piece[begin:end].isdigit() for begin, end in zip(begins.tolist(), ends.tolist(), strict=True))
    # Without exponents a number that has a point is longer than its whole part is.
    return bool((values >= _POWERS[lengths - 1]).all() and (values < _POWERS[lengths]).all())


def _row_by_row(data: bytes, timeframe_ms: int) -> Parsed:
    """Every row that can be read, and a fault for each that cannot be, or cannot be right."""
    none = Candles.of(timeframe_ms, [])
    try:
        lines = data.decode().splitlines()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return Parsed(none, [Fault(line, "the text is not UTF-8")])
    if not lines:
        return Parsed(none, [Fault(None, "the file is empty")])
    header = [name.strip() for name in lines[0].split(",")]
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        return Parsed(none, [Fault(1, f"column {', '.join(missing)} is missing")])
    while lines[-1] == "" and len(lines) > 1:
        lines.pop()
    if len(lines) == 1:
        return Parsed(none, [Fault(1, "there are no candles behind the header")])
    rows: list[tuple[float, ...]] = []
    places: list[int] = []
    faults: list[Fault] = []
    for line, text in enumerate(lines[1:], start=2):
        row = _row(header, text.split(","))
        if isinstance(row, str):
            faults.append(Fault(line, row))
        else:
            rows.append(row)
            places.append(line)
    candles = Candles.of(timeframe_ms, rows)
    faults += faults_of(candles, np.array(places, dtype=np.int64))
    return Parsed(candles, sorted(faults, key=lambda fault: fault.line or 0))


def _row(header: Sequence[str], texts: Sequence[str]) -> tuple[float, ...] | str:
    """A row's numbers in the order of COLUMNS, or what is wrong with it."""
    if len(texts) != len(header):
        return f"{len(texts)} columns instead of {len(header)}"
    named = dict(zip(header, texts, strict=True))
    time = named["timestamp_ms"]
    if not (time.isascii() and time.strip().isdigit()) or len(time) > _LONGEST_TIME:
        return f"timestamp_ms {time!r} is not a time in milliseconds"
    found: list[float] = [int(time)]
    for name in COLUMNS[1:]:
        number = _number(named[name])
        if number is None:
            return f"{name} {named[name]!r} is not a number"
        found.append(number)
    return tuple(found)


def _number(text: str) -> float | None:
    """A finite number as a file may write it; None for anything else."""
    if "_" in text:
        return None
    try:
        number = float(text)
    except ValueError:
        return None
    return number if np.isfinite(number) else None


def _lines(rows: int) -> NDArray[np.int64]:
    """The lines of rows that follow the header without a gap."""
    return np.arange(2, rows + 2, dtype=np.int64)
