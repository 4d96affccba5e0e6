"""The folder of candle files that a user keeps, and what files' names say."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nija_cli.endings import Failed, WrongUsage
from nija_trading.adapters.candle_cache import CandleCache
from nija_trading.adapters.candle_files import SUFFIXES, CandleFileError, inspect_file
from nija_trading.domain.market.candles import timeframe_ms

_TIMEFRAME = re.compile(r"[0-9]+[mhdw]")
_SUFFIXES = sorted((*SUFFIXES, ".gz"), key=len, reverse=True)


class NamedFile(NamedTuple):
    """A candle file, and what its name says."""

    path: Path
    symbol: str
    timeframe: str


def candle_folder(given: Path | None) -> Path:
    """The folder that is given; else the one of NIJA_CANDLES; else `candles` in the data folder. Raises Failed."""
    if given is not None:
        return given
    from nija_common.errors import SettingsError
    from nija_common.runtime.settings import PlatformSettings, environment, load

    try:
        settings = load(PlatformSettings, environment(os.environ), {})
    except SettingsError as error:
        raise Failed(str(error)) from error
    return settings.candles or settings.data_dir / "candles"


def length_ms(timeframe: str) -> int:
    """Milliseconds of what --timeframe says. Raises WrongUsage."""
    try:
        return timeframe_ms(timeframe)
    except ValueError as error:
        raise WrongUsage(f"--timeframe: {error}") from error


def said_by(path: Path) -> tuple[str, str | None]:
    """Symbol and timeframe: the last two parts of the name between `_`; None where the last is no timeframe."""
    suffix = next((suffix for suffix in _SUFFIXES if path.name.endswith(suffix)), "")
    parts = path.name.removesuffix(suffix).split("_")
    if len(parts) > 1 and _TIMEFRAME.fullmatch(parts[-1]):
        return parts[-2], parts[-1]
    return parts[-1], None


def commonest_step(path: Path) -> str:
    """The timeframe that most candles of a file are apart. Raises Failed."""
    try:
        candles = inspect_file(path, "1m").candles
    except CandleFileError as error:
        raise Failed(str(error)) from error
    steps, counts = np.unique(np.diff(candles.time_ms), return_counts=True)
    step = int(steps[np.argmax(counts)]) if len(steps) else 0
    for unit in "wdhm":
        length = timeframe_ms(f"1{unit}")
        if step > 0 and step % length == 0:
            return f"{step // length}{unit}"
    raise Failed(f"{path}: neither its name nor its rows tell the timeframe; name it with --timeframe")


def candle_files(folder: Path) -> list[Path]:
    """The files of a folder whose names end as candle files' do. No folder: no files."""
    visible = (path for path in folder.iterdir() if not path.name.startswith(".")) if folder.is_dir() else ()
    return sorted(path for path in visible if path.name.endswith(SUFFIXES))


def named_files(folder: Path) -> list[NamedFile]:
    """The files of a folder that say symbol and timeframe."""
    said = [(path, *said_by(path)) for path in candle_files(folder)]
    return [NamedFile(path, symbol, timeframe) for path, symbol, timeframe in said if timeframe is not None]


def candle_cache() -> CandleCache:
    """Where parsed files are kept: `candles` in the cache folder."""
    return CandleCache(cache_folder() / "candles")


def cache_folder() -> Path:
    """`nija` in the user's cache folder (XDG_CACHE_HOME, else ~/.cache)."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "nija"
