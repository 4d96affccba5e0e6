"""Candles in Parquet, by DuckDB, which comes with the extra `parquet`: neither services nor CSV files need it."""

from __future__ import annotations

import importlib
import importlib.util
import re
import secrets
from pathlib import Path
from typing import Any

import numpy as np

from nija_trading.adapters.candle_text import COLUMNS, Fault, Parsed, faults_of
from nija_trading.domain.market.candles import Candles

MISSING = "Parquet needs DuckDB, which is not installed: pip install 'nija[parquet]', or use .csv.gz"


class ParquetMissing(Exception):
    """DuckDB is not installed."""

    def __init__(self) -> None:
        super().__init__(MISSING)


def installed() -> bool:
    """Whether Parquet can be read and written here."""
    return importlib.util.find_spec("duckdb") is not None


def read(path: Path, timeframe_ms: int) -> Parsed:
    """The candles of a Parquet file, with rows counted as lines from 1. Raises ParquetMissing."""
    duckdb = _duckdb()
    none = Candles.of(timeframe_ms, [])
    with duckdb.connect(":memory:") as connection:
        try:
            source = connection.read_parquet(_literally(path))
            missing = [name for name in COLUMNS if name not in source.columns]
            if missing:
                return Parsed(none, [Fault(None, f"column {', '.join(missing)} is missing")])
            wanted = ", ".join(f"CAST({name} AS {'BIGINT' if name == COLUMNS[0] else 'DOUBLE'})" for name in COLUMNS)
            found = source.project(wanted).fetchnumpy()
        except duckdb.Error as error:
            return Parsed(none, [Fault(None, f"the Parquet data cannot be read ({_first_line(error)})")])
    columns = [np.ma.asarray(column) for column in found.values()]
    if not len(columns[0]):
        return Parsed(none, [Fault(None, "there are no candles in it")])
    gone = np.zeros(len(columns[0]), dtype=np.bool_)
    for column in columns:
        gone |= np.ma.getmaskarray(column) | ~np.isfinite(column.filled(0) if column.dtype.kind == "i" else column.data)
    faults = [Fault(row + 1, "a number is missing or is none") for row in np.flatnonzero(gone).tolist()]
    kept = [np.ascontiguousarray(column.data[~gone]) for column in columns]
    candles = Candles(timeframe_ms, kept[0].astype(np.int64), *kept[1:])
    faults += faults_of(candles, np.flatnonzero(~gone) + 1)
    return Parsed(candles, sorted(faults, key=lambda fault: fault.line or 0))


def write(path: Path, candles: Candles) -> None:
    """Writes candles to a Parquet file (zstd), which is there whole or not at all. Raises ParquetMissing, OSError."""
    duckdb = _duckdb()
    columns = (candles.time_ms, candles.open, candles.high, candles.low, candles.close, candles.volume)
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}.unfinished")
    with duckdb.connect(":memory:") as connection:
        connection.register("candles", dict(zip(COLUMNS, columns, strict=True)))
        try:
            connection.table("candles").write_parquet(str(unfinished), compression="zstd")
            unfinished.replace(path)
        except duckdb.IOException as error:
            raise OSError(_first_line(error)) from error
        finally:
            unfinished.unlink(missing_ok=True)


def _duckdb() -> Any:
    try:
        return importlib.import_module("duckdb")
    except ModuleNotFoundError as error:
        raise ParquetMissing from error


def _literally(path: Path) -> str:
    """A path in which nothing stands for other characters."""
    return re.sub(r"([*?\[])", r"[\1]", str(path))


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
