"""A strategy in one file: the documented example runs, and every file that is none says why."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

Nija = Callable[..., Result]
CandleFile = Callable[..., Path]
PAGE = Path(__file__).parents[4] / "docs/strategies.md"

SHAPE = """
from dataclasses import dataclass
from typing import ClassVar
import numpy as np

@dataclass(frozen=True)
class Mine:
    name: ClassVar[str] = "mine"
    length: int = 5

    def targets(self, candles):
        {body}
"""


def test_the_documented_example_runs_and_takes_its_parameters(
    nija: Nija, own_folder: Path, candle_file: CandleFile
) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(blocks) == 1
    (own_folder / "breakout.py").write_text(blocks[0])
    args = ("backtest", "--strategy", "breakout.py", "--candles", candle_file(), "--json", "-")
    plain, other = (json.loads(nija(*args, *more).stdout) for more in ((), ("--param", "enter=72")))
    assert plain["strategy"] == "breakout"
    assert plain["orders"] > other["orders"] > 2
    assert other["settings"]["params"] == {"enter": 72, "leave": 24}
    assert plain["settings"]["slippage"] == 0
    refused = nija(*args, "--param", "leave=1")
    assert (refused.exit_code, "enter and leave are 2 or more" in refused.stderr) == (2, True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = (", "mine.py:1: '(' was never closed"),
        ("raise RuntimeError('no')", "mine.py:1: RuntimeError: no"),
        ("import not_there", "mine.py:1: ModuleNotFoundError"),
        ("x = 1", "0 classes with a method `targets`"),
        ("class A:\n    def targets(self, candles): ...", "is to be a dataclass with `name"),
        (SHAPE.format(body="return 1 / 0"), "mine.py:12: ZeroDivisionError"),
        (SHAPE.format(body="return [1, 0]"), "is to answer one of -1, 0, 1 for each of 300 candles"),
        (SHAPE.format(body="return np.full(len(candles), 7)"), "is to answer one of -1, 0, 1"),
        (SHAPE.format(body="return np.full(len(candles), np.nan)"), "is to answer one of -1, 0, 1"),
        (SHAPE.format(body="return np.sign(candles.close[-1] - candles.close)"), "targets() looks ahead"),
        (SHAPE.format(body="candles.close[0] = 1"), "mine.py:12: ValueError"),
    ],
)
def test_a_file_that_is_no_strategy_says_why(
    nija: Nija, own_folder: Path, candle_file: CandleFile, text: str, said: str
) -> None:
    (own_folder / "mine.py").write_text(text)
    result = nija("backtest", "--strategy", "mine.py", "--candles", candle_file(count=300), "--json", "out.json")
    assert result.exit_code == 1
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (own_folder / "out.json").exists()


def test_a_missing_file_is_said(nija: Nija, candle_file: CandleFile) -> None:
    result = nija("backtest", "--strategy", "none.py", "--candles", candle_file(count=150))
    assert (result.exit_code, result.stderr) == (1, "nija: none.py: there is no such file\n")
