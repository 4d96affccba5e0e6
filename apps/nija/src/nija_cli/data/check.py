"""`nija data check`: what is wrong with candle files (status 1), and what is only worth knowing."""

from __future__ import annotations

from pathlib import Path

from nija_cli.data.folder import candle_files, commonest_step, length_ms, said_by
from nija_cli.data.gaps import gaps, missing, silences
from nija_cli.endings import Failed
from nija_common.values.times import iso
from nija_trading.adapters.candle_files import CandleFileError, inspect_file, placed

SHOWN = 20
"""Faults, gaps or silences of a file that are shown; the rest is counted."""
LONG_SILENCE = 12
"""Candles without volume in a row from which on they are told of."""


def check(path: Path, timeframe: str | None) -> None:
    """Prints what there is to know of a file, or of every file of a folder. Raises Failed where something is broken."""
    if timeframe is not None:
        length_ms(timeframe)
    files = candle_files(path) if path.is_dir() else [path]
    if not files:
        raise Failed(f"{path}: there is no file such as BTC-USD_1h.csv.gz in it")
    broken = [file for file in files if not _sound(file, timeframe)]
    if broken:
        raise Failed(f"{len(broken)} of {len(files)} files cannot be used: {', '.join(file.name for file in broken)}")


def _sound(path: Path, timeframe: str | None) -> bool:
    """Prints what there is to know of one file; whether it can be used."""
    try:
        length = timeframe or said_by(path)[1] or commonest_step(path)
        parsed = inspect_file(path, length)
    except (CandleFileError, Failed) as error:
        print(error)
        return False
    candles, faults = parsed
    _print_first([placed(path, *fault) for fault in faults], "faults")
    if not len(candles):
        return False
    times = candles.time_ms
    found = [] if faults else gaps(candles)
    silent = silences(candles, LONG_SILENCE)
    print(
        f"{path}: {'BROKEN' if faults else 'sound'}, {len(candles):,} candles of {length}, "
        f"{iso(int(times.min()))} to {iso(int(times.max()))}"
    )
    if found:
        print(f"  {len(found):,} gaps, {missing(found):,} candles missing:")
        _print_first([f"    {gap.said(candles.timeframe_ms)}" for gap in found], "gaps")
    if silent:
        print(f"  {len(silent):,} stretches without volume:")
        _print_first([f"    {stretch.said(candles.timeframe_ms)}" for stretch in silent], "stretches")
    return not faults


def _print_first(lines: list[str], what: str) -> None:
    for line in lines[:SHOWN]:
        print(line)
    if len(lines) > SHOWN:
        print(f"    and {len(lines) - SHOWN:,} more {what}")
