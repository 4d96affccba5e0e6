"""Commands run in this process, in a folder of their own, without anybody's settings or caches."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from nija_cli.main import app
from nija_trading.adapters.candle_files import bundled_folder

HOUR_MS = 3_600_000
HEADER = "timestamp_ms,open,high,low,close,volume"

Nija = Callable[..., Result]


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that commands run in."""
    for name in [name for name in os.environ if name.startswith("NIJA_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "150")
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work


@pytest.fixture
def nija(own_folder: Path) -> Nija:
    """Runs `nija ARGS…`; an exception that no command foresees fails the test."""

    def run(*args: str | Path) -> Result:
        result = CliRunner().invoke(app, [str(arg) for arg in args])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


@pytest.fixture(scope="session")
def bundled_lines() -> list[str]:
    """The rows of the bundled candles, hourly, 2017 to 2019, with the header first."""
    return gzip.decompress((bundled_folder() / "BTC-USD_1h.csv.gz").read_bytes()).decode().splitlines()


@pytest.fixture
def candle_file(own_folder: Path, bundled_lines: list[str]) -> Callable[..., Path]:
    """Writes `count` bundled candles from the `start`th on as a file of a symbol."""

    def write(name: str = "BTC-USD_1h.csv", start: int = 0, count: int = 1_500) -> Path:
        path = own_folder / name
        path.write_text("\n".join([bundled_lines[0], *bundled_lines[1 + start : 1 + start + count]]) + "\n")
        return path

    return write
