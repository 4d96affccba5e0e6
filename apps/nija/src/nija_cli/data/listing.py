"""`nija data list`: the candle files of a folder."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from nija_cli.data.folder import candle_cache, named_files
from nija_cli.data.gaps import gaps, missing
from nija_cli.endings import Failed
from nija_common.values.times import iso
from nija_trading.adapters.candle_files import CandleFileError, load_file
from nija_trading.domain.market.candles import timeframe_ms


def show(folder: Path) -> None:
    """Prints a row for each file. Raises Failed without any; a broken file is a row that says so."""
    files = sorted(named_files(folder), key=lambda file: (file.symbol, timeframe_ms(file.timeframe)))
    if not files:
        raise Failed(f"{folder}: there is no candle file in it; `nija data download` fetches some")
    table = Table(title=Text(str(folder)), title_justify="left")
    for name in ("symbol", "timeframe", "from", "to", "rows", "gaps", "missing"):
        table.add_column(name, justify="right" if name in ("rows", "gaps", "missing") else "left")
    cache, broken = candle_cache(), list[str]()
    for file in files:
        try:
            candles = load_file(file.path, file.timeframe, cache)
        except CandleFileError as error:
            table.add_row(Text(file.symbol), Text(file.timeframe), "BROKEN")
            broken.append(str(error))
            continue
        found = gaps(candles)
        ends = (_minute(int(candles.time_ms[0])), _minute(int(candles.time_ms[-1])))
        counts = (f"{len(candles):,}", f"{len(found):,}", f"{missing(found):,}")
        table.add_row(*(Text(cell) for cell in (file.symbol, file.timeframe, *ends, *counts)))
    Console().print(table)
    for reason in broken:
        print(reason)


def _minute(at_ms: int) -> str:
    """`2026-01-29 10:42`, UTC."""
    return iso(at_ms)[:16].replace("T", " ")
