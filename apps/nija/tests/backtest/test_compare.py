"""Two runs beside each other."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

Nija = Callable[..., Result]


def test_options_figures_and_the_first_other_trade_are_shown(
    nija: Nija, own_folder: Path, candle_file: Callable[..., Path]
) -> None:
    path = candle_file(count=700)
    for name, fee in (("a.json", "0.001"), ("b.json", "0.002")):
        args = ("--strategy", "ema_cross", "--fee", fee, "--candles", path, "--json", name)
        assert nija("backtest", *args).exit_code == 0
    a, b = (json.loads((own_folder / name).read_text()) for name in ("a.json", "b.json"))
    said = nija("backtest", "--compare", "a.json", "b.json").stdout
    rows = {
        cells[1].strip(): cells[2:-1] for cells in (line.split("│") for line in said.splitlines()) if len(cells) > 3
    }
    assert [cell.strip() for cell in rows["fee_taker"]] == ["0.001", "0.002"]
    assert "slippage" not in rows
    difference = b["final_equity"] - a["final_equity"]
    assert rows["final_equity"][2].strip() == f"{difference:+,.2f}"
    assert "The first trade that differs is number 1 (BTC-USD)" in said
    same = nija("backtest", "--compare", "a.json", "a.json").stdout
    assert "no difference" in same
    assert f"All {len(a['trades'])} trades are the same." in same


@pytest.mark.parametrize(
    ("text", "said"), [("{", "b.json:1: this is no JSON"), ("[]", "is not what"), ('{"strategy": 1}', "is not what")]
)
def test_what_is_no_run_is_refused(nija: Nija, own_folder: Path, text: str, said: str) -> None:
    (own_folder / "b.json").write_text(text)
    result = nija("backtest", "--compare", "b.json", "b.json")
    assert (result.exit_code, said in result.stderr, result.stderr.count("\n")) == (1, True, 1)
    assert nija("backtest", "--compare", "none.json", "b.json").exit_code == 1
