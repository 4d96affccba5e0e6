"""What a backtest costs: bars a second of our engine, warm and in fresh processes, a grid of 36 points, and peers.

    python benchmarks/bench_backtest.py [--candles FILE] [--rounds 5] [--no-peers] [--json PATH]

Two strategies over the same candles (default: the bundled BTC-USD hours): `ema_cross` 10/20, all in, fee 0.1 %, and
APEX V7.2 with everything on, fee 0.1 %, medium profile. A run begins with candles in memory and ends with trades,
orders and the equity curve; "with parse" reads the file first. Each peer (backtesting.py, vectorbt, NautilusTrader)
gets a venv of its own under .tools/peers and runs the same EMA cross over the same candles, its data loaded before;
ours runs just before and just after it, so that a busy machine hits both. A peer that cannot be installed is left out,
and the output says so. Figures are medians of the rounds. Goals: 1,000,000 bars/s, 8 x backtesting.py,
10 x NautilusTrader, the grid in 2 s.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from nija_trading.adapters.candle_files import bundled_folder, load_file
from nija_trading.domain.apex.parameters import PROFILES, Limits, Parameters, RiskLevel
from nija_trading.domain.apex.step import Rulebook
from nija_trading.domain.backtest.apex_run import run_apex, run_grid
from nija_trading.domain.backtest.result import Result
from nija_trading.domain.backtest.signal_run import run_signals
from nija_trading.domain.backtest.strategies.ema_cross import EmaCross
from nija_trading.domain.market.candles import MINUTE_MS, Candles
from nija_trading.domain.matching.money import as_float, units
from nija_trading.domain.matching.terms import COINBASE, FeeSchedule, MarketRules, Venue

ROOT = Path(__file__).parent.parent
PEERS = {
    "backtesting.py": ("backtesting", "backtesting_py.py"),
    "vectorbt": ("vectorbt", "vectorbt_ema.py"),
    "NautilusTrader": ("nautilus_trader", "nautilus_ema.py"),
}
GOAL_BARS, GOAL_GRID_S = 1_000_000, 2.0
GOAL_RATIOS = {"backtesting.py": 8.0, "NautilusTrader": 10.0}
CASH = units(10_000)
FEES = FeeSchedule(0.001, 0.001)
PLAIN = Venue("plain", FEES, MarketRules(market_cost=0.0))
RULES = Rulebook(Parameters(), PROFILES[RiskLevel.MEDIUM], Limits(), Venue("coinbase", FEES, COINBASE.default_rules))
STRATEGIES: dict[str, Callable[[Candles], Result]] = {
    "ema_cross": lambda candles: run_signals(EmaCross(), {"BTC": candles}, PLAIN, CASH),
    "apex_v72": lambda candles: run_apex({"BTC": candles}, RULES, CASH),
}


def timed(work: Callable[[], Any]) -> tuple[float, float]:
    """(wall, processor) seconds of one call."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - processor


def warm(candles: Candles, name: str, rounds: int) -> dict[str, float]:
    """Medians of runs in this process, after one that does not count."""
    run = STRATEGIES[name]
    run(candles)
    taken = [timed(lambda: run(candles)) for _ in range(rounds)]
    return figures(len(candles), [wall for wall, _ in taken], [processor for _, processor in taken])


def figures(bars: int, walls: list[float], processors: list[float]) -> dict[str, float]:
    """Medians, and bars a second of the median wall time."""
    wall = statistics.median(walls)
    return {
        "seconds": round(wall, 5),
        "best_seconds": round(min(walls), 5),
        "processor_seconds": round(statistics.median(processors), 5),
        "bars_per_second": round(bars / wall),
    }


def one(path: Path, name: str) -> None:
    """In a fresh process: parse, then the first run of all; seconds of both on standard output."""
    started = time.perf_counter()
    candles = load_file(path, timeframe_of(path))
    parsed = time.perf_counter() - started
    wall, processor = timed(lambda: STRATEGIES[name](candles))
    print(json.dumps({"parse": parsed, "wall": wall, "processor": processor}))


def fresh(path: Path, bars: int, name: str, rounds: int) -> tuple[dict[str, float], dict[str, float]]:
    """First runs of fresh processes, without and with the parse."""
    command = [sys.executable, __file__, "--candles", str(path), "--one", name]
    told = [json.loads(subprocess.run(command, check=True, capture_output=True).stdout) for _ in range(rounds)]
    processors = [answer["processor"] for answer in told]
    walls = [answer["wall"] for answer in told]
    return (
        figures(bars, walls, processors),
        figures(bars, [answer["wall"] + answer["parse"] for answer in told], processors),
    )


def timeframe_of(path: Path) -> str:
    """The last part of `<SYMBOL>_<timeframe>.csv[.gz]`."""
    return path.name.split(".")[0].rsplit("_", 1)[1]


def year() -> Candles:
    """A year of 5-minute candles: a random walk that is the same every time."""
    rng, bars = np.random.default_rng(7), 105_120
    trend = np.repeat(rng.normal(0, 0.0002, bars // 240), 240)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.0015, bars) + trend))
    opened = np.concatenate(([100.0], close[:-1]))
    high = np.maximum(opened, close) * (1 + np.abs(rng.normal(0, 0.0006, bars)))
    low = np.minimum(opened, close) * (1 - np.abs(rng.normal(0, 0.0006, bars)))
    times = 1_700_000_100_000 + np.arange(bars, dtype=np.int64) * 5 * MINUTE_MS
    return Candles(5 * MINUTE_MS, times, opened, high, low, close, rng.lognormal(3, 0.5, bars))


def points() -> list[Rulebook]:
    """The 36 points: entry score, ADX, first stop, RSI bands."""
    bands = ((25.0, 45.0, 55.0, 75.0), (30.0, 50.0, 50.0, 70.0))
    found = []
    for score, adx, stop, band in product((3, 4), (15.0, 20.0, 25.0), (1.0, 1.5, 2.0), bands):
        profile = replace(RULES.profile, minimum_score=score, minimum_adx=adx)
        params = replace(
            RULES.params,
            stop_atr=stop,
            rsi_long_low=band[0],
            rsi_long_high=band[1],
            rsi_short_low=band[2],
            rsi_short_high=band[3],
        )
        found.append(replace(RULES, params=params, profile=profile))
    return found


def grid(rounds: int) -> dict[str, float]:
    """Seconds of the 36 points over a year of 5-minute candles, on one core."""
    candles, books = year(), points()
    trades = [0]

    def run() -> None:
        trades[0] = sum(len(result.trades) for result in run_grid({"BTC": candles}, books, CASH))

    taken = [timed(run) for _ in range(rounds)]
    walls, processors = [wall for wall, _ in taken], [processor for _, processor in taken]
    return figures(len(candles) * len(books), walls, processors) | {"points": len(books), "trades": trades[0]}


def installed(package: str) -> Path | None:
    """The interpreter of a peer's venv, made if need be; None where it cannot be."""
    home = ROOT / ".tools" / "peers" / package
    python = home / "bin" / "python"
    if (home / "ready").exists():
        return python
    uv = shutil.which("uv") or str(ROOT / ".tools" / "uv" / "bin" / "uv")
    shutil.rmtree(home, ignore_errors=True)
    for command in (
        [uv, "venv", "-q", "--python", sys.executable, str(home)],
        [uv, "pip", "install", "-q", "--python", str(python), package],
    ):
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=900)
        except (OSError, subprocess.TimeoutExpired) as error:
            print(f"  {package} cannot be installed: {error}", flush=True)
            return None
        if done.returncode != 0:
            print(f"  {package} cannot be installed: {done.stderr.strip()[-300:]}", flush=True)
            return None
    (home / "ready").touch()
    return python


def beside(peer: str, path: Path, candles: Candles, rounds: int) -> dict[str, Any] | None:
    """A peer's rounds between two lots of ours."""
    package, script = PEERS[peer]
    python = installed(package)
    if python is None:
        return None
    before = warm(candles, "ema_cross", rounds)
    command = [str(python), str(ROOT / "benchmarks" / "peers" / script), str(path), str(rounds)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": ""})
    if done.returncode != 0:
        print(f"  {peer} failed: {done.stderr.strip()[-300:]}", flush=True)
        return None
    after = warm(candles, "ema_cross", rounds)
    told = json.loads(done.stdout.splitlines()[-1])
    first, *rest = told["seconds"]
    theirs = told["bars"] / statistics.median(rest)
    ours = len(candles) / statistics.mean((before["seconds"], after["seconds"]))
    return {
        "bars_per_second": round(theirs),
        "first_seconds": round(first, 3),
        "orders": told["orders"],
        "ours_bars_per_second": round(ours),
        "ratio": round(ours / theirs, 1),
    }


def plain_csv(candles: Candles, folder: Path) -> Path:
    """The candles as a file that every peer reads."""
    path = folder / "candles.csv"
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("timestamp_ms", "open", "high", "low", "close", "volume"))
        rows.writerows(tuple(candle) for candle in candles)
    return path


def show(label: str, found: dict[str, float], goal: str = "") -> None:
    print(
        f"  {label:26} {found['bars_per_second']:>12,} bars/s   {found['seconds'] * 1000:8.1f} ms"
        f"   processor {found['processor_seconds'] * 1000:8.1f} ms{goal}",
        flush=True,
    )


def run(path: Path, rounds: int, peers: bool) -> dict[str, Any]:
    """Everything, printed as it comes."""
    candles = load_file(path, timeframe_of(path))
    report: dict[str, Any] = {
        "machine": f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}",
        "bars": len(candles),
        "goal_bars_per_second": GOAL_BARS,
        "peers": {},
    }
    print(f"{path.name}: {len(candles):,} candles", flush=True)
    for name in STRATEGIES:
        result = STRATEGIES[name](candles)
        print(f"{name}: {result.orders:,} orders, {as_float(result.final_equity):,.2f} from 10,000", flush=True)
        first, parsed = fresh(path, len(candles), name, rounds)
        report[name] = {
            "orders": result.orders,
            "warm": warm(candles, name, rounds),
            "fresh": first,
            "fresh_with_parse": parsed,
        }
        show("warm", report[name]["warm"], f"   (goal {GOAL_BARS:,})")
        show("fresh process", first)
        show("fresh process, with parse", parsed)
    print("grid: 36 points over a year of 5-minute candles")
    report["grid"] = grid(min(rounds, 3))
    show("one core", report["grid"], f"   (goal {GOAL_GRID_S:g} s)")
    if not peers:
        return report
    print("peers, the same EMA cross over the same candles")
    with tempfile.TemporaryDirectory() as folder:
        file = plain_csv(candles, Path(folder))
        for peer in PEERS:
            found = beside(peer, file, candles, min(rounds, 3))
            report["peers"][peer] = found
            if found is not None:
                goal = f"   (goal {GOAL_RATIOS[peer]:g} x)" if peer in GOAL_RATIOS else ""
                print(
                    f"  {peer:16} {found['bars_per_second']:>10,} bars/s, first run {found['first_seconds']:.2f} s,"
                    f" {found['orders']:,} orders; ours {found['ours_bars_per_second']:,}: {found['ratio']} x{goal}",
                    flush=True,
                )
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candles", type=Path, default=bundled_folder() / "BTC-USD_1h.csv.gz", help="a candle file")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each kind")
    parser.add_argument("--no-peers", action="store_true", help="our engine alone")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--one", choices=STRATEGIES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        one(options.candles, options.one)
        return
    report = run(options.candles, options.rounds, not options.no_peers)
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
