"""Replaying candles through the running platform gives exactly the backtest's trades, whatever the speed, also across SIGKILL.

A `nija up` as an operator starts it, a user who registers, sets limits and starts APEX on paper; then every fill in the
store (times of the market, prices, quantities, fees, reasons) and the cash that is left are those of the strategy's own
runner over the same candles with the same limits. NIJA_TEST_LONG=1 replays more candles at more speeds.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import random
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nija_common.events.preferences import TradingSettings
from nija_common.runtime.infrastructure import open_infrastructure
from nija_common.runtime.settings import PlatformSettings
from nija_common.testing.client import ApiClient
from nija_common.testing.long_run import LONG, only_long
from nija_common.testing.platforms import Embedded, wait_for
from nija_common.values.clock import SystemClock
from nija_common.values.tiers import registration_defaults
from nija_common.values.times import iso
from nija_trading.adapters.candle_files import bundled_folder, load_file, load_folder
from nija_trading.domain.apex.parameters import PROFILES, Limits, Parameters, RiskLevel
from nija_trading.domain.apex.simulate import Simulation, simulate
from nija_trading.domain.apex.step import Rulebook
from nija_trading.domain.market.candles import Candles, timeframe_ms
from nija_trading.domain.matching.codec import fill_to
from nija_trading.domain.matching.money import as_float, units
from nija_trading.domain.matching.terms import COINBASE
from nija_trading.domain.records import PAPER_CASH, Order, PaperAccount, Position, Trade
from nija_trading.domain.standing import limits_of
from nija_trading.service import SERVICE

REPOSITORY = Path(__file__).parents[2]
SHARED = REPOSITORY.parent / "shared"
AT_ONCE = 1e12
"""So fast that every step is due when the bot starts: as fast as the engine can."""

Fills = list[tuple[Any, ...]]


@dataclass(frozen=True)
class Case:
    """A folder of candles, and the settings of the user who trades them."""

    risk: RiskLevel
    settings: Mapping[str, Any]
    feeds: Mapping[str, Candles]

    def written(self, folder: Path) -> Path:
        """The candles as a replay's folder."""
        folder.mkdir()
        for symbol, candles in self.feeds.items():
            rows = [",".join(map(repr, candle)) for candle in candles]
            text = "\n".join(["timestamp_ms,open,high,low,close,volume", *rows])
            timeframe = "5m" if candles.timeframe_ms == timeframe_ms("5m") else "1h"
            (folder / f"{symbol}_{timeframe}.csv").write_text(text + "\n")
        return folder

    @property
    def limits(self) -> Limits:
        """Those that a new account with these settings has."""
        return limits_of(TradingSettings.model_validate(self.settings), registration_defaults(0)[0])

    def backtest(self, folder: Path) -> Simulation:
        """The runner's trades over the files, under the limits that a new account with these settings has."""
        rules = Rulebook(Parameters(), PROFILES[self.risk], self.limits, COINBASE)
        pairs = list(self.settings["allowed_pairs"])
        feeds = {symbol: candles for symbol, candles in load_folder(folder).items() if symbol in pairs}
        return simulate(feeds, rules, PAPER_CASH, pairs)

    def command(self, folder: Path) -> list[str]:
        """`nija backtest` over the same files under the same limits."""
        limits = self.limits
        files = [next(folder.glob(f"{symbol}_*.csv")) for symbol in self.settings["allowed_pairs"]]
        bounds = {
            "--max-position-usd": None if limits.position_value is None else as_float(limits.position_value),
            "--max-positions": limits.positions,
            "--max-daily-trades": limits.daily_trades,
            "--max-daily-loss-usd": None if limits.daily_loss is None else as_float(limits.daily_loss),
        }
        command = ["backtest", "--strategy", "apex_v72", "--risk-profile", self.risk.value]
        command += ["--cash", repr(as_float(PAPER_CASH))]
        command += [part for file in files for part in ("--candles", str(file))]
        return command + [part for name, bound in bounds.items() if bound is not None for part in (name, str(bound))]

    @property
    def timeframe_ms(self) -> int:
        return next(iter(self.feeds.values())).timeframe_ms

    def speed(self, steps_per_second: float) -> float:
        """The speed at which so many steps come in a second."""
        return steps_per_second * self.timeframe_ms / 1000


def generated(seed: int, bars: int, timeframe: str) -> Candles:
    """A random market of the engine's own tests."""
    path = REPOSITORY / "services/trading-engine/tests/unit/oracle/markets.py"
    spec = importlib.util.spec_from_file_location("nija_trading_random_markets", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    length = timeframe_ms(timeframe)
    return Candles.of(length, module.market(seed, bars, length))


def hourly() -> Case:
    """The candles that come with the package."""
    start = 16_000
    candles = load_file(bundled_folder() / "BTC-USD_1h.csv.gz", "1h").slice(start, start + (4_000 if LONG else 900))
    return Case(RiskLevel.HIGH, {"allowed_pairs": ["BTC-USD"]}, {"BTC-USD": candles})


def five_minutes() -> Case:
    """Real 5-minute candles of another market; one of the folder's markets is none of the user's."""
    path = SHARED / "data" / "bybit_SOLUSDT_5m.csv.gz"
    if not path.is_file():
        pytest.skip(f"no real 5-minute candles: {path} is not there")
    settings = {"allowed_pairs": ["SOL-USD"], "max_position_size_usd": 250}
    return Case(RiskLevel.MEDIUM, settings, {"SOL-USD": load_file(path, "5m"), "BTC-USD": generated(5, 1_100, "5m")})


def two_markets() -> Case:
    """Two generated markets with gaps, and limits that bind: one position at a time, a small loss a day."""
    settings = {
        "allowed_pairs": ["ETH-USD", "BTC-USD"],
        "max_position_size_usd": 400,
        "max_concurrent_positions": 1,
        "max_daily_loss_usd": 12,
    }
    bars = 3_000 if LONG else 700
    return Case(
        RiskLevel.HIGH, settings, {"BTC-USD": generated(30, bars, "5m"), "ETH-USD": generated(31, bars - 40, "5m")}
    )


CASES = {"hourly": hourly, "five minutes": five_minutes, "two markets": two_markets}


def start_bot(user: ApiClient, case: Case) -> None:
    """Limits, then APEX on paper."""
    user.ok("PUT", "/config/settings", {"trading": dict(case.settings)})
    body = {"broker": "coinbase", "paper_trading": True, "strategy": "APEX_V72", "risk_profile": case.risk.value}
    user.ok("POST", "/trading/start", body)


def over(user: ApiClient) -> bool:
    """Whether the bot has reached the last candle."""
    return str(user.ok("GET", "/trading/status")["status"]) == "paused"


async def stored(data_dir: Path, user_id: str) -> tuple[list[Trade], list[Position], list[Order], PaperAccount]:
    """What trading's database says of a user: trades, open positions, orders that are not over, and the paper book."""
    async with open_infrastructure(PlatformSettings(data_dir=data_dir), SystemClock(), second=True) as infrastructure:
        storage = infrastructure.storage_of(SERVICE.name)
        trades = (await storage.find(Trade, "by_user", (user_id,), limit=1_000)).items
        positions = (await storage.find(Position, "by_user", (user_id,), limit=100)).items
        orders = (await storage.find(Order, "by_user", (user_id, True), limit=100)).items
        book = await storage.get(PaperAccount, f"{user_id}/coinbase")
        assert book is not None
        return list(trades), list(positions), list(orders), book


def fills_of(trades: Sequence[Trade], status: str) -> list[Fills]:
    """Every fill of every trade of that status, but for the ids of orders."""
    return sorted([bare(fill) for fill in trade.fills] for trade in trades if trade.status == status)


def bare(fill: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(
        value for name, value in sorted(fill.items(), key=lambda item: item[0] != "market_time") if name != "order_id"
    )


def told_by_the_command(case: Case, folder: Path, out: Path) -> list[Fills]:
    """(time, price, quantity, reason) of every fill of every closed trade, as `nija backtest --json` has them."""
    nija = Path(sys.executable).with_name("nija")
    done = subprocess.run(
        [nija, *case.command(folder), "--json", out], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return sorted(
        [(trade["opened_at"], trade["entry_price"], units(trade["quantity"]), "entry")]
        + [(each["at"], each["price"], units(each["quantity"]), each["reason"]) for each in trade["exits"]]
        for trade in json.loads(out.read_text())["trades"]
    )


def check(case: Case, folder: Path, data_dir: Path, user_id: str, expected: Simulation) -> None:
    """The store has exactly the backtest's fills, cash and open positions, and no order that is not over."""
    trades, positions, orders, book = asyncio.run(stored(data_dir, user_id))
    assert sorted(
        [(iso(fill["market_time"]), fill["price"], fill["quantity"], fill["reason"]) for fill in trade.fills]
        for trade in trades
        if trade.status == "closed"
    ) == told_by_the_command(case, folder, data_dir.parent / "backtest.json")
    assert {trade.status for trade in trades} <= {"open", "closed", "cancelled"}
    assert fills_of(trades, "closed") == sorted([bare(fill_to(f)) for f in t.fills] for t in expected.trades)
    assert fills_of(trades, "open") == sorted([bare(fill_to(f)) for f in t.fills] for t in expected.open_trades)
    assert sum(len(trade.fills) for trade in trades) == expected.orders
    assert book.book["cash"] == expected.book.cash
    held = {position.symbol: position.value.quantity for position in positions}
    assert held == {trade.position.symbol: trade.position.quantity for trade in expected.open_trades}
    assert not orders


@pytest.mark.slow
@pytest.mark.timeout(280)
@pytest.mark.parametrize(
    ("name", "steps_per_second"),
    [
        ("hourly", None),
        ("five minutes", 250.0),
        pytest.param("two markets", 60.0, marks=only_long("minutes")),
        pytest.param("hourly", 100.0, marks=only_long("minutes")),
        pytest.param("five minutes", None, marks=only_long("minutes")),
        pytest.param("two markets", None, marks=only_long("minutes")),
    ],
)
def test_a_replay_makes_exactly_the_backtests_trades(tmp_path: Path, name: str, steps_per_second: float | None) -> None:
    case = CASES[name]()
    candles = case.written(tmp_path / "candles")
    expected = case.backtest(candles)
    assert expected.orders >= 20, "few trades prove little"
    speed = AT_ONCE if steps_per_second is None else case.speed(steps_per_second)
    options = ["--market", "replay", "--candles", str(candles), "--speed", repr(speed)]
    with Embedded(tmp_path, options=options) as platform, ApiClient(platform.url).register() as user:
        start_bot(user, case)
        wait_for("the replay has ended", lambda: over(user), 240, every=0.7)
        assert platform.process.stop() == 0
    check(case, candles, platform.data_dir, user.user_id, expected)


@pytest.mark.slow
@pytest.mark.timeout(280)
@pytest.mark.parametrize("seed", range(6 if LONG else 1))
def test_a_replay_killed_half_way_makes_exactly_the_backtests_trades(tmp_path: Path, seed: int) -> None:
    case = two_markets()
    candles = case.written(tmp_path / "candles")
    expected = case.backtest(candles)
    refused = Counter(refusal.reason.value for _, refusal in expected.refusals)
    assert expected.orders >= 20, "few trades prove little"
    assert refused["max_positions"] and refused["daily_loss"], "limits that do not bind prove nothing"
    rng = random.Random(seed)
    options = ["--market", "replay", "--candles", str(candles), "--speed", repr(case.speed(350.0))]
    kills = 0
    with Embedded(tmp_path, options=options) as platform, ApiClient(platform.url).register() as user:
        start_bot(user, case)
        while kills < 3 and not over(user):
            threading.Event().wait(rng.uniform(0.2, 0.6))
            platform.process.kill()
            kills += 1
            platform.start()
        wait_for("the replay has ended", lambda: over(user), 240, every=0.5)
        assert platform.process.stop() == 0
    assert kills >= 2, "the replay was over before it was killed twice"
    check(case, candles, platform.data_dir, user.user_id, expected)
