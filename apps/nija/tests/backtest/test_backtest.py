"""`nija backtest` as a user meets it: the trades it makes, the options that change them, the document it writes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from nija_analytics.domain.statistics import ClosedTrade, every_day, performance, results_by_day
from nija_analytics.schemas import performance_answer
from nija_common.values.money import units
from nija_common.values.times import iso
from nija_trading.adapters.candle_files import load_file
from nija_trading.domain.apex.parameters import PROFILES, Limits, Parameters, RiskLevel
from nija_trading.domain.apex.step import Rulebook
from nija_trading.domain.backtest.apex_run import run_apex
from nija_trading.domain.matching.terms import COINBASE

Nija = Callable[..., Result]
CandleFile = Callable[..., Path]
SHARED = Path(__file__).parents[5] / "shared/data"


@pytest.fixture
def document(nija: Nija) -> Callable[..., dict[str, Any]]:
    """The JSON of a run."""

    def run(*args: str | Path) -> dict[str, Any]:
        result = nija("backtest", *args, "--json", "-")
        assert result.exit_code == 0, result.stderr
        found: dict[str, Any] = json.loads(result.stdout)
        return found

    return run


def plain_cross(closes: list[float], opens: list[float], fee: float) -> tuple[int, float]:
    """The reference rule by hand: orders, and the final equity."""
    fast = slow = closes[0]
    cash, held, orders, above = 10_000.0, 0.0, 0, False
    for i, close in enumerate(closes):
        fast, slow = fast + 2 / 11 * (close - fast), slow + 2 / 21 * (close - slow)
        was, above = above, fast > slow
        if i < 20 or i + 1 == len(closes) or was == above:
            continue
        if above and not held:
            cash, held, orders = 0.0, cash * (1 - fee) / opens[i + 1], orders + 1
        elif not above and held:
            cash, held, orders = held * opens[i + 1] * (1 - fee), 0.0, orders + 1
    return orders, cash + held * closes[-1]


def test_the_plain_cross_trades_as_by_hand(document: Callable[..., Any], candle_file: CandleFile) -> None:
    path = candle_file(count=5_000)
    candles = load_file(path, "1h")
    orders, equity = plain_cross(candles.close.tolist(), candles.open.tolist(), 0.001)
    found = document("--strategy", "ema_cross", "--fee", "0.001", "--candles", path)
    assert found["orders"] == orders > 100
    assert found["final_equity"] == pytest.approx(equity, rel=1e-6)
    assert (found["strategy"], found["symbol"], found["timeframe"]) == ("ema_cross", "BTC-USD", "1h")
    assert found["bars"] == 5_000
    assert 0 < found["seconds"] < 30


def test_the_reference_figures_on_real_candles(nija: Nija) -> None:
    path = SHARED / "binance_BTC-USDT_1h.csv.gz"
    if not path.is_file():
        pytest.skip(f"{path} is not here: the reference figures are not checked")
    result = nija("backtest", "--strategy", "ema_cross", "--fee", "0.001", "--cash", "10000", "--candles", path)
    assert result.exit_code == 0
    assert "1,942" in result.stdout
    assert "9,877.11" in result.stdout


def test_apex_is_the_engines_run_field_by_field(document: Callable[..., Any], candle_file: CandleFile) -> None:
    path = candle_file()
    rules = Rulebook(Parameters(), PROFILES[RiskLevel.MEDIUM], Limits(), COINBASE)
    expected = run_apex({"BTC-USD": load_file(path, "1h")}, rules, units(10_000))
    found = document("--candles", path)
    assert found["orders"] == expected.orders > 20
    assert found["final_equity"] == expected.final_equity / 1e8
    assert len(found["trades"]) == len(expected.trades) > 10
    for shown, trade in zip(found["trades"], expected.trades, strict=True):
        assert (shown["symbol"], shown["side"]) == ("BTC-USD", "long")
        assert shown["opened_at"].endswith(":00:00Z")
        assert shown["realized_pnl"] == trade.realized_pnl / 1e8
        assert shown["fees"] == trade.fees / 1e8
        assert shown["exit_reason"] == trade.exit_reason == shown["exits"][-1]["reason"]
        assert [e["price"] for e in shown["exits"]] == [e.price for e in trade.exits]
        assert sum(e["quantity"] for e in shown["exits"]) == pytest.approx(shown["quantity"])
        assert shown["exits"][-1]["at"] == shown["closed_at"]


def test_statistics_are_those_that_an_account_would_show(document: Callable[..., Any], candle_file: CandleFile) -> None:
    path = candle_file()
    found = document("--candles", path, "--risk-profile", "high")
    times = load_file(path, "1h").time_ms
    assert found["days"][0]["date"] == iso(int(times[99]))[:10], "the 100th candle is the first to decide"
    assert found["days"][-1]["date"] == iso(int(times[-1]))[:10]
    trades = [
        ClosedTrade(
            _ms(t["closed_at"]), units(t["realized_pnl"]), units(t["fees"]), _ms(t["closed_at"]) - _ms(t["opened_at"])
        )
        for t in found["trades"]
    ]
    first, last = (_ms(f"{found['days'][n]['date']}T00:00:00Z") // 86_400_000 for n in (0, -1))
    answer = performance_answer("all", performance(units(10_000), every_day(results_by_day(trades), first, last)))
    shown = answer["metrics"]
    assert set(found["statistics"]) == set(shown)
    for name, value in shown.items():
        told = found["statistics"][name]
        assert told == value if value is None else told == pytest.approx(value, abs=0.00501), name


@pytest.mark.parametrize(
    ("options", "changed"),
    [
        (["--fee", "0.001"], {"fee_taker": 0.001, "fee_maker": 0.001}),
        (["--broker", "kraken"], {"broker": "kraken", "fee_taker": 0.004, "fee_maker": 0.0025}),
        (["--slippage", "0"], {"slippage": 0.0}),
        (["--risk-profile", "low"], {"risk_profile": "low"}),
        (["--max-positions", "2"], {"max_positions": 2}),
        (["--cash", "500"], {"cash": 500.0}),
    ],
)
def test_an_option_changes_what_a_run_is_set_to_and_nothing_else(
    document: Callable[..., Any], candle_file: CandleFile, options: list[str], changed: dict[str, Any]
) -> None:
    path = candle_file(count=200)
    plain, found = document("--candles", path)["settings"], document("--candles", path, *options)["settings"]
    del plain["params"], found["params"]
    assert {name: value for name, value in found.items() if plain[name] != value} == changed


def test_limits_bind(document: Callable[..., Any], candle_file: CandleFile) -> None:
    path = candle_file()
    trades = document("--candles", path, "--max-position-usd", "50", "--max-daily-trades", "1")["trades"]
    assert all(trade["entry_price"] * trade["quantity"] <= 50.1 for trade in trades)
    assert max(Counter(trade["opened_at"][:10] for trade in trades).values()) == 1
    paused = document("--candles", path, "--max-daily-loss-usd", "1")["trades"]
    assert 0 < len(paused) < len(document("--candles", path)["trades"])


def test_days_cut_the_candles_before_anything_is_computed(
    document: Callable[..., Any], candle_file: CandleFile, bundled_lines: list[str]
) -> None:
    path = candle_file(count=1_000)
    whole = load_file(path, "1h")
    start, stop = int(whole.time_ms[240]), int(whole.time_ms[700])
    cut = document("--candles", path, "--from", iso(start), "--to", iso(stop))
    alone = document("--candles", candle_file("BTC-EUR_1h.csv", start=240, count=460), "--symbol", "BTC-USD")
    assert cut["bars"] == 460
    assert cut["first_candle"] == iso(start)
    assert cut["trades"] == alone["trades"]


def test_several_symbols_share_one_account(document: Callable[..., Any], candle_file: CandleFile) -> None:
    """The second symbol has the first one's prices of four days later, under its own times."""
    one, later = candle_file(count=800), candle_file("later.csv", start=96, count=800).read_text().splitlines()
    rows = zip(one.read_text().splitlines(), later, strict=True)
    two = one.with_name("ETH-USD_1h.csv")
    two.write_text("\n".join(",".join([a.split(",")[0], *b.split(",")[1:]]) for a, b in rows))
    found = document("--candles", one, "--candles", two, "--max-positions", "1")
    assert found["symbols"] == ["BTC-USD", "ETH-USD"]
    assert {trade["symbol"] for trade in found["trades"]} == {"BTC-USD", "ETH-USD"}
    assert found["bars"] == 1_600
    spans = sorted((trade["opened_at"], trade["closed_at"]) for trade in found["trades"])
    assert all(before[1] <= after[0] for before, after in pairwise(spans))


def test_parameters_reach_the_strategy(document: Callable[..., Any], candle_file: CandleFile) -> None:
    path = candle_file(count=600)
    cross = document("--strategy", "ema_cross", "--candles", path, "--param", "fast=5", "--param", "slow=40")
    assert cross["settings"]["params"] == {"fast": 5, "slow": 40}
    given = {"smoothing": "wilder", "gross_levels": "true", "level_gains": "0.01,0.02", "level_shares": "0.5,0.5"}
    given |= {"hard_cap_value": "250", "minimum_score": "4", "stop_atr": "2"}
    apex = document("--candles", path, *(f"--param={name}={value}" for name, value in given.items()))
    params = apex["settings"]["params"]
    assert params["smoothing"] == "wilder"
    assert params["gross_levels"] is True
    assert params["level_gains"] == [0.01, 0.02]
    assert (params["hard_cap_value"], params["minimum_score"], params["stop_atr"]) == (250.0, 4, 2.0)
    assert all(trade["entry_price"] * trade["quantity"] <= 250.1 for trade in apex["trades"])


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--param", "emafast=3"], "apex_v72 has no such parameter"),
        (["--param", "ema_fast"], "is not NAME=VALUE"),
        (["--param", "ema_fast=x"], "write a whole number"),
        (["--param", "ema_fast=0"], "write a whole number"),
        (["--param", "stop_atr=nan"], "write a number"),
        (["--param", "gross_levels=perhaps"], "write true or false"),
        (["--param", "smoothing=none"], "write one of simple, wilder"),
        (["--param", "level_gains=0.1"], "each needs its share in level_shares"),
        (["--param", "stop_minimum=0.5"], "is above stop_maximum"),
        (["--param", "stop_atr=1", "--param", "stop_atr=2"], "is given twice"),
        (["--strategy", "ema_cross", "--param", "fast=30"], "needs 1 <= fast < slow"),
        (["--strategy", "ema_cross", "--param", "stop_atr=1"], "it has: fast, slow"),
        (["--strategy", "ema_cross", "--risk-profile", "low"], "--risk-profile: only apex_v72"),
        (["--strategy", "nothing"], "there are apex_v72, ema_cross"),
        (["--risk-profile", "extreme"], "there are low, medium, high"),
        (["--broker", "nobody"], "there are coinbase, kraken"),
        (["--cash", "0"], "is no amount"),
        (["--cash", "nan"], "is no amount"),
        (["--fee", "1"], "is no rate"),
        (["--slippage", "-0.1"], "is no rate"),
        (["--max-positions", "0"], "allows nothing"),
        (["--from", "yesterday"], "is no date"),
        (["--from", "2018-02-01", "--to", "2018-02-01"], "is not before --to"),
        (["--timeframe", "1x"], "is not a timeframe"),
        (["--symbol", "A-B", "--symbol", "C-D"], "--symbol is given 2 times for 1 files"),
        (["--json", "out", "--html", "out"], "cannot both go to out"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(nija: Nija, candle_file: CandleFile, args: list[str], said: str) -> None:
    result = nija("backtest", "--candles", candle_file(count=150), *args)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_candles_that_are_not_named_come_from_the_folder_else_from_the_package(
    nija: Nija, document: Callable[..., Any], own_folder: Path, candle_file: CandleFile
) -> None:
    args = ("--strategy", "ema_cross", "--symbol", "BTC-USD", "--timeframe", "1h")
    assert document(*args)["bars"] == 20_111
    folder = own_folder / ".nija/candles"
    folder.mkdir(parents=True)
    candle_file(count=300).rename(folder / "BTC-USD_1h.csv")
    assert document(*args)["bars"] == 300
    candle_file(count=50).rename(folder / "BTC-USD_4h.csv")
    both = nija("backtest", "--symbol", "BTC-USD")
    assert (both.exit_code, "several files of BTC-USD" in both.stderr) == (2, True)
    none = nija("backtest", "--symbol", "XRP-USD")
    assert (none.exit_code, "there are no candles of XRP-USD" in none.stderr) == (1, True)
    assert nija("backtest").exit_code == 2


@pytest.mark.parametrize(
    ("name", "options", "symbol", "timeframe"),
    [
        ("binance_BTC-USDT_1h.csv", [], "BTC-USDT", "1h"),
        ("BTC-USD.csv", [], "BTC-USD", "1h"),
        ("prices.csv", ["--symbol", "ETH-USD"], "ETH-USD", "1h"),
        ("x_BTC-USD_5m.csv", ["--timeframe", "1h"], "BTC-USD", "1h"),
    ],
)
def test_names_steps_and_options_say_symbol_and_timeframe(
    document: Callable[..., Any], candle_file: CandleFile, name: str, options: list[str], symbol: str, timeframe: str
) -> None:
    found = document("--candles", candle_file(name, count=150), *options)
    assert (found["symbol"], found["timeframe"]) == (symbol, timeframe)


def test_outputs_are_whole_or_as_they_were(nija: Nija, own_folder: Path, candle_file: CandleFile) -> None:
    path = candle_file(count=300)
    out, page = own_folder / "out.json", own_folder / "out.html"
    assert nija("backtest", "--candles", path, "--json", out, "--html", page).exit_code == 0
    first = out.read_bytes()
    assert json.loads(first)["bars"] == 300
    assert page.read_text().endswith("</html>")
    assert nija("backtest", "--candles", path, "--json", out, "--html", own_folder / "none/x.html").exit_code == 1
    path.write_text(path.read_text() + "broken\n")
    refused = nija("backtest", "--candles", path, "--json", out, "--html", page)
    assert refused.exit_code == 1
    assert out.read_bytes() == first
    assert sorted(p.name for p in own_folder.iterdir()) == ["BTC-USD_1h.csv", "out.html", "out.json"]


def test_few_candles_make_no_trade_and_no_fault(document: Callable[..., Any], candle_file: CandleFile) -> None:
    found = document("--candles", candle_file(count=60))
    assert (found["orders"], found["trades"], found["final_equity"]) == (0, [], 10_000.0)
    assert found["statistics"]["win_rate"] is None


def _ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)
