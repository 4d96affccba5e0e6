"""`nija data check` and `nija data list`: what is wrong with files, and what is in them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from nija_trading.adapters import parquet_files
from nija_trading.adapters.candle_files import load_file

Nija = Callable[..., Result]
HEADER = "timestamp_ms,open,high,low,close,volume"
HOUR_MS = 3_600_000


def rows(*hours: int, silent: tuple[int, ...] = ()) -> list[str]:
    return [f"{hour * HOUR_MS},10,12,9,11,{0 if hour in silent else 5}" for hour in hours]


def write(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join([HEADER, *lines]) + "\n")
    return path


def test_every_fault_is_told_with_its_line(nija: Nija, own_folder: Path) -> None:
    lines = rows(0, 1, 1, 2, 3)
    lines[4] = lines[4].replace("12", "x")
    path = write(own_folder / "A-USD_1h.csv", [*lines, "1,2"])
    result = nija("data", "check", path)
    assert result.exit_code == 1
    assert [line for line in result.stdout.splitlines() if line.startswith(f"{path}:")] == [
        f"{path}:4: the time of the row before is repeated",
        f"{path}:6: high 'x' is not a number",
        f"{path}:7: 2 columns instead of 6",
        f"{path}: BROKEN, 4 candles of 1h, 1970-01-01T00:00:00Z to 1970-01-01T02:00:00Z",
    ]
    assert result.stderr == "nija: 1 of 1 files cannot be used: A-USD_1h.csv\n"


def test_gaps_and_silences_are_no_fault(nija: Nija, own_folder: Path) -> None:
    hours = [*range(10), *range(13, 40), *range(41, 60)]
    path = write(own_folder / "A-USD_1h.csv", rows(*hours, silent=tuple(range(20, 34))))
    result = nija("data", "check", path)
    assert result.exit_code == 0
    assert "sound, 56 candles of 1h" in result.stdout
    assert "2 gaps, 4 candles missing" in result.stdout
    assert "1970-01-01T10:00:00Z to 1970-01-01T13:00:00Z (3 candles)" in result.stdout
    assert "1 stretches without volume" in result.stdout
    assert "1970-01-01T20:00:00Z to 1970-01-02T10:00:00Z (14 candles)" in result.stdout


def test_a_folder_is_checked_and_listed_file_by_file(nija: Nija, own_folder: Path) -> None:
    write(own_folder / "A-USD_1h.csv", rows(0, 1, 5))
    write(own_folder / "exchange_B-USD_1h.csv", rows(3, 2))
    candles = load_file(own_folder / "A-USD_1h.csv", "1h")
    parquet_files.write(own_folder / "C-USD_1h.parquet", candles)
    checked = nija("data", "check", own_folder)
    assert checked.exit_code == 1
    assert checked.stdout.count("sound, 3 candles") == 2
    assert "1 of 3 files cannot be used: exchange_B-USD_1h.csv" in checked.stderr
    listed = [
        [cell.strip() for cell in line.split("│")[1:-1]]
        for line in nija("data", "list", "--folder", own_folder).stdout.splitlines()
        if "│" in line
    ]
    assert listed[0] == ["A-USD", "1h", "1970-01-01 00:00", "1970-01-01 05:00", "3", "1", "3"]
    assert listed[1][:3] == ["B-USD", "1h", "BROKEN"]
    assert listed[2] == ["C-USD", *listed[0][1:]]


def test_an_empty_folder_and_no_folder_are_said(nija: Nija, own_folder: Path) -> None:
    for command in (("check", own_folder), ("list", "--folder", own_folder), ("list",), ("check", "none.csv")):
        result = nija("data", *command)
        assert result.exit_code == 1
        assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "command", [("backtest",), ("data",), ("data", "download"), ("data", "check"), ("data", "list"), ()]
)
def test_every_command_has_help_with_an_example(nija: Nija, command: tuple[str, ...]) -> None:
    result = nija(*command, "--help")
    assert result.exit_code == 0
    assert command in ((), ("data",)) or f"Example: nija {' '.join(command)}" in " ".join(result.stdout.split())
