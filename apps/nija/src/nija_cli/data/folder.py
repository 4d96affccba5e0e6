"""The folder of candle files that a user keeps, and the one that comes with the package."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from nija_cli.endings import Failed
from nija_trading.adapters.candle_cache import CandleCache
from nija_trading.adapters.candle_files import SUFFIXES, CandleFileError, bundled_folder, parse_name

__all__ = ["SUFFIXES", "NamedFile", "bundled_folder", "candle_cache", "candle_folder", "named_files"]


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


def named_files(folder: Path) -> list[NamedFile]:
    """The candle files of a folder, by symbol and timeframe; files of other names are none. No folder: no files."""
    found = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.name.endswith(SUFFIXES):
            try:
                found.append(NamedFile(path, *parse_name(path)))
            except CandleFileError:
                continue  # a file of another kind or naming is none of ours
    return found


def candle_cache() -> CandleCache:
    """Where parsed files are kept: `nija/candles` in the user's cache folder (XDG_CACHE_HOME, else ~/.cache)."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    folder = Path(base) if base.startswith("/") else Path.home() / ".cache"
    return CandleCache(folder / "nija" / "candles")
