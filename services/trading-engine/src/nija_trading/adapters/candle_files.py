"""Candle files: `<SYMBOL>_<timeframe>.csv` or `.csv.gz`, read whole, checked row by row.

Columns `timestamp_ms,open,high,low,close,volume` in any order, oldest first; others are ignored. A gap is
normal; a row that cannot be right refuses the file, with its name and line. Nothing is repaired here.
"""

from __future__ import annotations

import gzip
import re
import zlib
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nija_trading.domain.market.candles import Candles, Floats, Ints, timeframe_ms

COLUMNS = ("timestamp_ms", "open", "high", "low", "close", "volume")
LIVE_TIMEFRAME = "5m"
"""What live bots run on, and a replay too where its folder has it."""

_NAME = re.compile(r"(?P<symbol>[^_]+)_(?P<timeframe>[0-9]+[mhdw])\.csv(\.gz)?")


class CandleFileError(ValueError):
    """A candle file, or a folder of them, that cannot be used; the text names file and line, a line each."""


class FileName(NamedTuple):
    """What a file's name says."""

    symbol: str
    timeframe: str


def parse_name(path: Path) -> FileName:
    """Symbol and timeframe of `<SYMBOL>_<timeframe>.csv[.gz]`; CandleFileError for another name."""
    match = _NAME.fullmatch(path.name)
    if match is None:
        raise CandleFileError(f"{path}: the name is not <SYMBOL>_<timeframe>.csv, such as BTC-USD_1h.csv")
    return FileName(match["symbol"], match["timeframe"])


def load_file(path: Path, timeframe: str) -> Candles:
    """All candles of a file; CandleFileError with file and line for anything that cannot be right."""
    length = timeframe_ms(timeframe)
    lines = _text(path).splitlines()
    if not lines:
        raise CandleFileError(f"{path}: the file is empty")
    header = [name.strip() for name in lines[0].split(",")]
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        raise CandleFileError(f"{path}:1: column {', '.join(missing)} is missing")
    rows = [line.split(",") for line in lines[1:]]
    while rows and rows[-1] == [""]:
        rows.pop()
    if not rows:
        raise CandleFileError(f"{path}:1: there are no candles behind the header")
    for number, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise CandleFileError(f"{path}:{number}: {len(row)} columns instead of {len(header)}")
    columns = dict(zip(header, zip(*rows, strict=True), strict=True))
    times = _times(path, columns["timestamp_ms"])
    opened, high, low, close, volume = (_numbers(path, name, columns[name]) for name in COLUMNS[1:])
    candles = Candles(length, times, opened, high, low, close, volume)
    _check(path, candles)
    return candles


def load_folder(folder: Path) -> dict[str, Candles]:
    """`{symbol: candles}` of a folder's files of the replay's timeframe: 5m if there is one, else the finest.

    CandleFileError names every file that cannot be used, a line each.
    """
    if not folder.is_dir():
        raise CandleFileError(f"{folder}: there is no such folder")
    found = sorted(path for path in folder.iterdir() if path.name.endswith((".csv", ".csv.gz")))
    named = [(path, parse_name(path)) for path in found]
    if not named:
        raise CandleFileError(f"{folder}: there is no file such as BTC-USD_1h.csv or BTC-USD_1h.csv.gz in it")
    timeframes = {name.timeframe for _, name in named}
    chosen = LIVE_TIMEFRAME if LIVE_TIMEFRAME in timeframes else min(timeframes, key=timeframe_ms)
    feeds: dict[str, Candles] = {}
    refused: list[str] = []
    for path, name in named:
        if name.timeframe != chosen:
            continue
        try:
            if name.symbol in feeds:
                raise CandleFileError(f"{path}: a second file of {name.symbol} and {chosen}")
            feeds[name.symbol] = load_file(path, chosen)
        except CandleFileError as error:
            refused.append(str(error))
    if refused:
        raise CandleFileError("\n".join(refused))
    return feeds


def bundled_folder() -> Path:
    """The folder of the candles that come with the package."""
    return Path(str(files("nija_trading"))) / "data"


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
        if path.name.endswith(".gz"):
            data = gzip.decompress(data)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise CandleFileError(f"{path}: the gzip data is cut off or damaged ({error})") from error
    except OSError as error:
        raise CandleFileError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise CandleFileError(f"{path}:{line}: the text is not UTF-8") from error


def _times(path: Path, texts: tuple[str, ...]) -> Ints:
    for number, text in enumerate(texts, start=2):
        if not (text.isascii() and text.strip().isdigit()) or len(text) > 15:
            raise CandleFileError(f"{path}:{number}: timestamp_ms {text!r} is not a time in milliseconds")
    return np.array([int(text) for text in texts], dtype=np.int64)


def _numbers(path: Path, name: str, texts: tuple[str, ...]) -> Floats:
    try:
        values = np.array([float(text) for text in texts], dtype=np.float64)
        if np.isfinite(values).all() and not any("_" in text for text in texts):
            return values
    except ValueError:
        pass
    line, text = next(found for found in enumerate(texts, start=2) if not _is_number(found[1]))
    raise CandleFileError(f"{path}:{line}: {name} {text!r} is not a number")


def _is_number(text: str) -> bool:
    try:
        return "_" not in text and bool(np.isfinite(float(text)))
    except ValueError:
        return False


def _check(path: Path, candles: Candles) -> None:
    """Refuse the first row that cannot be right."""
    step = np.diff(candles.time_ms, prepend=candles.time_ms[0] - candles.timeframe_ms)
    bottom = np.minimum(candles.open, candles.close)
    top = np.maximum(candles.open, candles.close)
    faults = (
        (step < 0, "time goes backwards"),
        (step == 0, "the time of the row before is repeated"),
        (step < candles.timeframe_ms, "the candle opens before the one before it has closed"),
        (candles.high < candles.low, "high is below low"),
        (candles.low <= 0, "a price is not above 0"),
        ((bottom < candles.low) | (top > candles.high), "open or close lies outside high and low"),
        (candles.volume < 0, "volume is negative"),
    )
    rows = [(int(np.argmax(wrong)), order) for order, (wrong, _) in enumerate(faults) if wrong.any()]
    if rows:
        row, order = min(rows)
        raise CandleFileError(f"{path}:{row + 2}: {faults[order][1]}")
