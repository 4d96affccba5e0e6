"""Candles in Parquet: what is written is read back, and every broken file says what is wrong."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from nija_trading.adapters import parquet_files
from nija_trading.adapters.candle_files import CandleFileError, load_file, load_folder
from nija_trading.domain.market.candles import HOUR_MS, Candles

duckdb = pytest.importorskip("duckdb")

ROWS = [(i * HOUR_MS, 1.5, 2.0 + i / 7, 0.5, 1.25, float(i % 3)) for i in range(20)]
CANDLES = Candles.of(HOUR_MS, ROWS)


def made(path: Path, query: str) -> Path:
    """A file of what a query over the candles gives."""
    source = path.with_name("source.parquet.x")
    parquet_files.write(source, CANDLES)
    with duckdb.connect(":memory:") as connection:
        connection.execute(
            f"COPY ({query.format(candles=f'read_parquet({str(source)!r})')}) TO {str(path)!r} (FORMAT parquet)"
        )
    source.unlink()
    return path


def test_what_is_written_is_read_back_also_as_a_replays_folder(tmp_path: Path) -> None:
    path = tmp_path / "BTC-USD_1h.parquet"
    parquet_files.write(path, CANDLES)
    assert list(load_file(path, "1h")) == list(CANDLES)
    assert list(load_folder(tmp_path)["BTC-USD"]) == list(CANDLES)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_name_is_never_a_pattern(tmp_path: Path) -> None:
    for name in ("a[b]*?_1h.parquet", "ab_1h.parquet"):
        parquet_files.write(tmp_path / name, CANDLES.slice(0, 5 if name.startswith("ab") else 3))
    assert len(load_file(tmp_path / "a[b]*?_1h.parquet", "1h")) == 3


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT * EXCLUDE volume FROM {candles}", "column volume is missing"),
        ("SELECT * FROM {candles} LIMIT 0", "there are no candles in it"),
        ("SELECT * FROM {candles} ORDER BY timestamp_ms DESC", ":2: time goes backwards"),
        (
            "SELECT * REPLACE (CASE WHEN volume = 2 THEN NULL ELSE close END AS close) FROM {candles}",
            ":3: a number is missing",
        ),
        (
            "SELECT * REPLACE (CASE WHEN volume = 1 THEN 'inf'::DOUBLE ELSE high END AS high) FROM {candles}",
            ":2: a number",
        ),
        ("SELECT * REPLACE ('x' AS low) FROM {candles}", "the Parquet data cannot be read"),
    ],
)
def test_broken_files_say_what_is_wrong(tmp_path: Path, query: str, said: str) -> None:
    path = made(tmp_path / "BTC-USD_1h.parquet", query)
    with pytest.raises(CandleFileError) as caught:
        load_file(path, "1h")
    assert str(caught.value).startswith(str(path))
    assert said in str(caught.value)


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_a_cut_off_file_is_refused(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "BTC-USD_1h.parquet"
    parquet_files.write(path, CANDLES)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CandleFileError, match="the Parquet data cannot be read"):
        load_file(path, "1h")


def test_without_duckdb_the_way_to_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "BTC-USD_1h.parquet"
    parquet_files.write(path, CANDLES)
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(CandleFileError, match=r"pip install 'nija\[parquet\]'"):
        load_file(path, "1h")
