"""`nija optimize` as a user meets it: the points it searches, what it says of them, the files it writes, what it refuses."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

Nija = Callable[..., Result]
CandleFile = Callable[..., Path]


@pytest.fixture
def search(nija: Nija, candle_file: CandleFile) -> Callable[..., dict[str, Any]]:
    """The JSON of a search over 3,000 bundled candles."""

    def run(*args: str | Path) -> dict[str, Any]:
        path = candle_file(count=3_000)
        result = nija("optimize", "--candles", path, "--state", "s.jsonl", "--json", "-", *args)
        assert result.exit_code == 0, result.stderr
        found: dict[str, Any] = json.loads(result.stdout)
        return found

    return run


def test_a_trial_has_the_figures_of_its_backtest(search: Callable[..., Any], nija: Nija) -> None:
    """Over both processes of a search; no trade is open at the end of any of them, so nothing is cut."""
    found = search("--grid", "stop_atr=1:2:0.5", "--grid", "minimum_score=3,4", "--min-trades", "5", "--jobs", "2")
    assert found["trials"] == 6
    assert sorted((r["params"]["stop_atr"], r["params"]["minimum_score"]) for r in found["results"]) == [
        (stop, score) for stop in (1.0, 1.5, 2.0) for score in (3, 4)
    ]
    scores = [result["score"] for result in found["results"] if result["trades"] >= 5]
    assert scores == sorted(scores, reverse=True)
    assert found["best"] == found["results"][0]
    for result in found["results"][:2]:
        params = [arg for name, value in result["params"].items() for arg in ("--param", f"{name}={value}")]
        run = json.loads(nija("backtest", "--candles", "BTC-USD_1h.csv", *params, "--json", "-").stdout)
        assert run["open_trades"] == []
        assert result["trades"] == len(run["trades"]) > 0
        assert result["return_pct"] == pytest.approx(run["return_pct"], abs=1e-9)
        assert result["drawdown_pct"] == pytest.approx(run["drawdown_at_closes_pct"], abs=1e-9)
        returns = [100 * t["realized_pnl"] / (t["entry_price"] * t["quantity"]) for t in run["trades"]]
        assert result["expectancy_pct"] == pytest.approx(sum(returns) / len(returns), abs=1e-6)


def test_what_is_open_at_the_end_is_sold_at_the_last_close_costs_included(
    search: Callable[..., Any], nija: Nija
) -> None:
    args = ("--strategy", "ema_cross", "--fee", "0.001", "--slippage", "0.002", "--to", "2017-10-20")
    found = search("--grid", "fast=10", *args, "--jobs", "1")
    run = json.loads(nija("backtest", "--candles", "BTC-USD_1h.csv", *args, "--json", "-").stdout)
    assert len(run["open_trades"]) == 1
    [result] = found["results"]
    assert result["trades"] == len(run["trades"]) + 1
    ended = run["final_equity"] * (1 - 0.002) * (1 - 0.001)
    assert result["return_pct"] == pytest.approx(100 * (ended / 10_000 - 1), abs=1e-4)


def test_drawn_points_are_different_inside_their_ranges_and_the_same_again(search: Callable[..., Any]) -> None:
    args = ("--range", "near=0.002:0.02", "--range", "stop_atr=1:3", "--grid", "minimum_score=2,3", "--random", "8")
    first, again, other = (search(*args, "--seed", seed, "--jobs", "1") for seed in ("4", "4", "5"))
    points = [json.dumps(result["params"]) for result in first["results"]]
    assert len(set(points)) == first["trials"] == 8
    for result in first["results"]:
        params = result["params"]
        assert 0.002 <= params["near"] <= 0.02
        assert 1 <= params["stop_atr"] <= 3
        assert params["minimum_score"] in (2, 3)
    assert again["results"] == first["results"]
    assert again["computed"] == 0
    assert not set(points) & {json.dumps(result["params"]) for result in other["results"]}


def test_points_that_make_no_sense_together_or_are_the_same_are_no_trials(search: Callable[..., Any]) -> None:
    grid = ("--grid", "fast=5,10,05", "--grid", "slow=10|20", "--strategy", "ema_cross", "--jobs", "1")
    found = search(*grid)
    assert (found["trials"], found["skipped"]) == (3, 1)
    assert found["evidence"]["trials"] == 3


def test_the_terminal_says_what_it_is_worth(nija: Nija, candle_file: CandleFile) -> None:
    path = candle_file(count=3_000)
    walk = ("--train", "30d", "--test", "10d", "--min-trades", "5")
    args = ("--strategy", "ema_cross", "--grid", "fast=5,10", "--grid", "slow=20,40", "--jobs", "1")
    result = nija("optimize", "--candles", path, *args, *walk)
    assert result.exit_code == 0
    for said in ("fast=5 slow=40", "out of sample", "Evidence is insufficient", "Deflated Sharpe Ratio", "4 trials"):
        assert said in result.stdout


class Page(HTMLParser):
    """Texts, and whether every element ends where it should."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.count: dict[str, int] = {}
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert not {"src", "href", "onload"} & {name for name, _ in attrs}
        self.count[tag] = self.count.get(tag, 0) + 1
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.count[tag] = self.count.get(tag, 0) + 1

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_report_is_whole_and_shows_trials_map_windows_and_evidence(nija: Nija, candle_file: CandleFile) -> None:
    path = candle_file("x_1h.csv", count=3_000)
    args = ("--strategy", "ema_cross", "--grid", "fast=5,10", "--grid", "slow=20,40", "--jobs", "1", "--symbol", "<b>&")
    walk = ("--train", "30d", "--test", "10d", "--min-trades", "5")
    text = nija("optimize", "--candles", path, *args, *walk, "--html", "-", "--json", "x.json").stdout
    page = Page()
    page.feed(text)
    page.close()
    assert page.open == []
    assert "script" not in page.count
    assert "http" not in re.sub(r'http-equiv="[^"]*"', "", text)
    assert "ema_cross on <b>&: search of parameters" in page.text
    assert (page.count["svg"], page.count["polyline"], page.count["table"]) == (2, 2, 5)
    document = json.loads(Path("x.json").read_text())
    assert document["evidence"]["words"] in page.text
    assert text.count("color-mix") == 4
    windows = document["walk_forward"]["windows"]
    assert len(windows) == 9
    assert page.count["details"] == 2
    equity = document["walk_forward"]["equity"]
    assert len(equity) == 1 + 9 * 10
    product = 1.0
    for window in windows:
        product *= 1 + window["test"]["return_pct"] / 100
    assert equity[-1]["times_cash"] == pytest.approx(product)
    assert document["walk_forward"]["out_of_sample"]["return_pct"] == pytest.approx(100 * (product - 1))


@pytest.mark.parametrize(
    ("args", "status", "said"),
    [
        ((), 2, "nothing is searched"),
        (("--grid", "nope=1,2"), 2, "--grid nope: apex_v72 has no such parameter; it has: adx_length"),
        (("--grid", "stop_atr"), 2, "--grid 'stop_atr' is not NAME=V1,V2"),
        (("--grid", "stop_atr="), 2, "--grid 'stop_atr=' is not NAME=V1,V2"),
        (("--grid", "stop_atr=1,,2"), 2, "has an empty value"),
        (("--grid", "stop_atr=a"), 2, "--grid stop_atr=a: write a number"),
        (("--grid", "stop_atr=2:1:1"), 2, "is empty"),
        (("--grid", "stop_atr=1:2:0"), 2, "is empty"),
        (("--grid", "stop_atr=1:2"), 2, "is not NAME=START:STOP:STEP"),
        (("--grid", "stop_atr=1:nan:1"), 2, "is not NAME=START:STOP:STEP"),
        (("--grid", "stop_atr=0:1000:0.001"), 2, "more than 100,000 values"),
        (("--grid", "stop_atr=1", "--grid", "stop_atr=2"), 2, "stop_atr is searched twice"),
        (("--grid", "stop_atr=0:20:0.01"), 2, "that is 2,001 points; --yes runs more than 1,000"),
        (("--grid", "stop_minimum=0.5"), 2, "no point of the search makes sense; the last one: --param stop_minimum"),
        (
            ("--grid", "level_gains=0.01,0.02"),
            2,
            "no point of the search makes sense; the last one: --param: level_gains",
        ),
        (("--range", "stop_atr=1:2"), 2, "say how many with --random"),
        (("--range", "stop_atr=2:1", "--random", "3"), 2, "HIGH is below LOW"),
        (("--range", "stop_atr=2", "--random", "3"), 2, "is not NAME=LOW:HIGH"),
        (("--range", "smoothing=simple:wilder", "--random", "3"), 2, "smoothing is no number"),
        (("--range", "stop_atr=1:2", "--random", "0"), 2, "--random 0: write 1 or more"),
        (("--grid", "stop_atr=1", "--jobs", "0"), 2, "--jobs 0: write 1 or more"),
        (("--grid", "stop_atr=1", "--min-trades", "1"), 2, "--min-trades 1"),
        (("--grid", "stop_atr=1", "--train", "30d"), 2, "a walk-forward needs both"),
        (("--grid", "stop_atr=1", "--train", "30x", "--test", "7d"), 2, "--train '30x' is no length"),
        (("--grid", "stop_atr=1", "--train", "90d", "--test", "7d"), 1, "the candles are too few"),
        (("--grid", "fast=1", "--strategy", "none"), 2, "--strategy none"),
        (("--grid", "stop_atr=1", "--html", "no/such/folder.html"), 1, "there is no folder no/such"),
    ],
)
def test_what_cannot_be_done_is_one_clear_line(
    args: tuple[str, ...], status: int, said: str, nija: Nija, candle_file: CandleFile
) -> None:
    result = nija("optimize", "--candles", candle_file(), *args)
    assert (result.exit_code, result.stdout) == (status, "")
    assert said in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
