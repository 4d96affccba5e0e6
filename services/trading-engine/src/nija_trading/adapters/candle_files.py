"""Candle files: `<SYMBOL>_<timeframe>.csv`, `.csv.gz` or `.parquet`, read whole, checked row by row.

Columns `timestamp_ms,open,high,low,close,volume` in any order, oldest first; others are ignored. A gap is
normal; a row that cannot be right refuses the file, with its name and line. Nothing is repaired here.
"""

from __future__ import annotations

import gzip
import re
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from isal import igzip, igzip_lib

from nija_trading.adapters import parquet_files
from nija_trading.adapters.candle_cache import CandleCache
from nija_trading.adapters.candle_text import Parsed, parse
from nija_trading.domain.market.candles import Candles, timeframe_ms

SUFFIXES = (".csv", ".csv.gz", ".parquet")
LIVE_TIMEFRAME = "5m"
"""What live bots run on, and a replay too where its folder has it."""

_NAME = re.compile(r"(?P<symbol>[^_]+)_(?P<timeframe>[0-9]+[mhdw])\.(csv(\.gz)?|parquet)")


class CandleFileError(ValueError):
    """A candle file, or a folder of them, that cannot be used; the text names file and line, a line each."""


class FileName(NamedTuple):
    """What a file's name says."""

    symbol: str
    timeframe: str


def parse_name(path: Path) -> FileName:
    """Symbol and timeframe of a candle file's name; CandleFileError for another name."""
    match = _NAME.fullmatch(path.name)
    if match is None:
        raise CandleFileError(f"{path}: the name is not <SYMBOL>_<timeframe>.csv, such as BTC-USD_1h.csv")
    return FileName(match["symbol"], match["timeframe"])


def load_file(path: Path, timeframe: str, cache: CandleCache | None = None) -> Candles:
    """All candles of a file; CandleFileError with file and line for anything that cannot be right.

    With a cache, content that was read before is not parsed again.
    """
    length = timeframe_ms(timeframe)
    content = _content(path)
    known = None if cache is None else cache.get(content, length)
    if known is not None:
        return known
    parsed = _parsed(path, content, length)
    if parsed.faults:
        raise CandleFileError(placed(path, *parsed.faults[0]))
    if cache is not None:
        cache.put(content, parsed.candles)
    return parsed.candles


def inspect_file(path: Path, timeframe: str) -> Parsed:
    """What can be read of a file, and every fault. Raises CandleFileError where nothing of it can be read."""
    return _parsed(path, _content(path), timeframe_ms(timeframe))


def placed(path: Path, line: int | None, what: str) -> str:
    """A fault with its place: `FILE:LINE: what`."""
    return f"{path}: {what}" if line is None else f"{path}:{line}: {what}"


def load_folder(folder: Path) -> dict[str, Candles]:
    """`{symbol: candles}` of a folder's files of the replay's timeframe: 5m if there is one, else the finest.

    CandleFileError names every file that cannot be used, a line each.
    """
    if not folder.is_dir():
        raise CandleFileError(f"{folder}: there is no such folder")
    found = sorted(path for path in folder.iterdir() if path.name.endswith(SUFFIXES))
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


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CandleFileError(f"{path}: cannot be read ({error.strerror})") from error


def _parsed(path: Path, content: bytes, length: int) -> Parsed:
    if path.name.endswith(".parquet"):
        try:
            return parquet_files.read(path, length)
        except parquet_files.ParquetMissing as error:
            raise CandleFileError(f"{path}: {error}") from error
    if path.name.endswith(".gz"):
        try:
            content = igzip.decompress(content)  # type: ignore[no-untyped-call]
        except (EOFError, gzip.BadGzipFile, igzip_lib.IsalError) as error:  # type: ignore[misc]  # its stub has it as a value
            raise CandleFileError(f"{path}: the gzip data is cut off or damaged ({error})") from error
    return parse(content, length)
