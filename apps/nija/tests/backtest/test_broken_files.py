"""Broken candle files: one line with file and line, status 1, and nothing written."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

HEADER = "timestamp_ms,open,high,low,close,volume\n"
ROWS = "".join(f"{i * 3_600_000},10,12,9,11,{i}\n" for i in range(150))
GOOD = HEADER + ROWS
LINE = "7200000,10,12,9,11,2\n"

BROKEN: dict[str, tuple[str | bytes, str]] = {
    "a missing column": (GOOD.replace("volume", "amount"), ":1: column volume is missing"),
    "text in a number": (GOOD.replace(LINE, "7200000,10,twelve,9,11,2\n"), ":4: high 'twelve' is not a number"),
    "not a number": (GOOD.replace(LINE, "7200000,10,nan,9,11,2\n"), ":4: high 'nan' is not a number"),
    "infinite": (GOOD.replace(LINE, "7200000,10,inf,9,11,2\n"), ":4: high 'inf' is not a number"),
    "an empty number": (GOOD.replace(LINE, "7200000,10,,9,11,2\n"), ":4: high '' is not a number"),
    "times going back": (GOOD.replace(LINE, "1,10,12,9,11,2\n"), ":4: time goes backwards"),
    "a repeated time": (GOOD.replace(LINE, "3600000,10,12,9,11,2\n"), ":4: the time of the row before is repeated"),
    "a time that is none": (GOOD.replace(LINE, "2018-01-01,10,12,9,11,2\n"), ":4: timestamp_ms '2018-01-01'"),
    "high below low": (GOOD.replace(LINE, "7200000,10,8,9,11,2\n"), ":4: high is below low"),
    "close outside": (GOOD.replace(LINE, "7200000,10,12,9,13,2\n"), ":4: open or close lies outside high and low"),
    "a price of zero": (GOOD.replace(LINE, "7200000,10,12,0,11,2\n"), ":4: a price is not above 0"),
    "negative volume": (GOOD.replace(LINE, "7200000,10,12,9,11,-2\n"), ":4: volume is negative"),
    "a row too short": (GOOD.replace(LINE, "7200000,10,12,9,11\n"), ":4: 5 columns instead of 6"),
    "a row cut in two": (GOOD.replace(LINE, "7200000,10,12\n9,11,2\n"), ":4: 3 columns instead of 6"),
    "an empty file": ("", ": the file is empty"),
    "a header alone": (HEADER, ":1: there are no candles"),
    "another encoding": (GOOD.encode("utf-16"), ":1: the text is not UTF-8"),
    "Latin-1 inside": (GOOD.replace(LINE, "7200000,10,12,9,11,2\xb5\n").encode("latin-1"), ":4: the text is not UTF-8"),
    "gzip cut off": (gzip.compress(GOOD.encode())[:-20], ": the gzip data is cut off"),
    "no gzip": (GOOD, ": the gzip data is cut off or damaged"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_file_is_named_with_its_line(nija: Callable[..., Result], own_folder: Path, kind: str) -> None:
    content, said = BROKEN[kind]
    path = own_folder / ("X-USD_1h.csv.gz" if "gzip" in kind else "X-USD_1h.csv")
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    result = nija("backtest", "--candles", path, "--json", own_folder / "out.json", "--html", own_folder / "out.html")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"nija: {path}{said}"), result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""
    assert list(own_folder.iterdir()) == [path]
    checked = nija("data", "check", path)
    assert checked.exit_code == 1
    assert f"{path}{said}" in checked.stdout


def test_a_missing_file_is_named(nija: Callable[..., Result], own_folder: Path) -> None:
    result = nija("backtest", "--candles", own_folder / "none_1h.csv")
    assert (result.exit_code, result.stderr) == (
        1,
        f"nija: {own_folder}/none_1h.csv: cannot be read (No such file or directory)\n",
    )
