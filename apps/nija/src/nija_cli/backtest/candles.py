"""Which candles a backtest runs over: files that are named, or those of the folder, cut to the days asked for."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from nija_cli.backtest.options import Options
from nija_cli.data.folder import NamedFile, candle_cache, candle_folder, commonest_step, length_ms, named_files, said_by
from nija_cli.endings import Failed, WrongUsage
from nija_trading.adapters.candle_files import CandleFileError, bundled_folder, load_file
from nija_trading.domain.market.candles import Candles, timeframe_ms


class Feeds(NamedTuple):
    """Candles by symbol, in the order asked for, all of one timeframe."""

    timeframe: str
    candles: dict[str, Candles]


def feeds_for(options: Options) -> Feeds:
    """Reads and cuts the candles. Raises Failed for a file that cannot be used, WrongUsage for what does not fit."""
    if options.timeframe is not None:
        length_ms(options.timeframe)
    files = _given(options) if options.candles else _of_folder(options)
    timeframes = sorted({file.timeframe for file in files}, key=timeframe_ms)
    if len(timeframes) > 1:
        raise WrongUsage(f"the files have several timeframes ({', '.join(timeframes)}); a backtest runs on one")
    found: dict[str, Candles] = {}
    cache = candle_cache()
    for file in files:
        if file.symbol in found:
            raise WrongUsage(f"{file.path}: a second file of {file.symbol}; --symbol names each file, in order")
        try:
            candles = load_file(file.path, file.timeframe, cache)
        except CandleFileError as error:
            raise Failed(str(error)) from error
        found[file.symbol] = _cut(candles, options, file.path)
    return Feeds(timeframes[0], found)


def _given(options: Options) -> list[NamedFile]:
    """The files of --candles."""
    if options.symbols and len(options.symbols) != len(options.candles):
        raise WrongUsage(
            f"--symbol is given {len(options.symbols)} times for {len(options.candles)} files; one for each, in order"
        )
    files = []
    for number, path in enumerate(options.candles):
        symbol, timeframe = said_by(path)
        if options.symbols:
            symbol = options.symbols[number]
        files.append(NamedFile(path, symbol, options.timeframe or timeframe or commonest_step(path)))
    return files


def _of_folder(options: Options) -> list[NamedFile]:
    """The files of the folder, else of the bundled ones, for --symbol and --timeframe."""
    if not options.symbols:
        raise WrongUsage("name candles: --candles FILE, or --symbol BTC-USD [--timeframe 1h] for a file of the folder")
    folder = candle_folder(options.folder)
    there = named_files(folder)
    bundled = [] if options.folder is not None else named_files(bundled_folder())
    return [_named(symbol, options.timeframe, folder, there, bundled) for symbol in options.symbols]


def _named(
    symbol: str, timeframe: str | None, folder: Path, there: list[NamedFile], bundled: list[NamedFile]
) -> NamedFile:
    for files in (there, bundled):
        found = [f for f in files if f.symbol == symbol and timeframe in (None, f.timeframe)]
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(file.path.name for file in found)
            raise WrongUsage(f"{folder} has several files of {symbol} ({names}); choose with --timeframe or --candles")
    wanted = symbol if timeframe is None else f"{symbol} and {timeframe}"
    known = ", ".join(f"{f.symbol} {f.timeframe}" for f in (*there, *bundled)) or "none"
    raise Failed(f"{folder}: there are no candles of {wanted} (there are: {known}); `nija data download` fetches them")


def _cut(candles: Candles, options: Options, path: Path) -> Candles:
    """The candles that open at or after --from and before --to."""
    start = 0 if options.from_ms is None else int(np.searchsorted(candles.time_ms, options.from_ms))
    stop = len(candles) if options.to_ms is None else int(np.searchsorted(candles.time_ms, options.to_ms))
    if stop <= start:
        raise Failed(f"{path}: there is no candle between --from and --to")
    return candles.slice(start, stop)
