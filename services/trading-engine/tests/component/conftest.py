"""Trading-engine on the embedded platform, on a small market of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from nija_common.events.identity import UserSnapshot
from nija_common.events.preferences import AdvancedSettings, NotificationSettings, SettingsSnapshot
from nija_common.events.preferences import TradingSettings as UserSettings
from nija_common.events.subscriptions import SubscriptionSnapshot
from nija_common.runtime.manifest import Service
from nija_common.runtime.node import Node, Part, run_node
from nija_common.runtime.settings import load
from nija_common.testing import TestPlatform, start_platform
from nija_common.values.clock import Clock, SystemClock
from nija_common.values.tiers import Tier, effective, registration_defaults
from nija_trading.domain.apex.parameters import PROFILES, RiskLevel
from nija_trading.domain.apex.simulate import Simulation, simulate
from nija_trading.domain.apex.step import Rulebook
from nija_trading.domain.gates import PARAMETERS
from nija_trading.domain.market.candles import Candles, timeframe_ms
from nija_trading.domain.matching.codec import fill_to
from nija_trading.domain.matching.terms import COINBASE
from nija_trading.domain.records import PAPER_CASH, Order, PaperAccount, Position, Trade
from nija_trading.domain.standing import limits_of
from nija_trading.service import SERVICE
from nija_trading.settings import TradingSettings

START_MS = 1_700_000_100_000
HOUR = timeframe_ms("1h")
SEED, BARS = 261, 220
FAST = {
    "NIJA_MARKET": "replay",
    "NIJA_SPEED": "1e12",
    "NIJA_TRADING_LEASE_MS": "300",
    "NIJA_TRADING_RENEW_MS": "60",
    "NIJA_TRADING_POLL_MS": "20",
}
USER = "usr_a"


def write_calm(folder: Path, bars: int = 2000) -> Path:
    """BTC-USD rising 0.0001 % a candle: nothing is reached while a test looks on."""
    rows = ["timestamp_ms,open,high,low,close,volume"]
    for i in range(bars):
        o, c = 10_000 * (1 + i * 1e-6), 10_000 * (1 + (i + 1) * 1e-6)
        rows.append(f"{START_MS + i * 300_000},{o:.2f},{c * 1.0001:.2f},{o * 0.9999:.2f},{c:.2f},{5 + i % 3}")
    folder.mkdir(exist_ok=True)
    (folder / "BTC-USD_5m.csv").write_text("\n".join(rows) + "\n")
    return folder


async def until(probe: Callable[[], Awaitable[Any]], what: str = "", seconds: float = 15.0) -> Any:
    """Waits until `probe` answers something true."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while True:
        found = await probe()
        if found:
            return found
        assert loop.time() < deadline, f"not within {seconds} s: {what}"
        await asyncio.sleep(0.01)


@dataclass(slots=True)
class Desk:
    """A signed-in user of the running engine."""

    platform: TestPlatform
    user_id: str
    api: httpx.AsyncClient

    async def settle(self, advanced: AdvancedSettings | None = None, **trading: Any) -> None:
        """Standing, trial and settings of the user, as the other services would tell them."""
        await settle_all([self], advanced, **trading)

    async def start(self, **body: Any) -> httpx.Response:
        """POST /trading/start."""
        asked = {"broker": "coinbase", "paper_trading": True, "risk_profile": "medium", "strategy": "SIGNALS_ONLY"}
        return await self.api.post("/api/v1/trading/start", json={**asked, **body})

    async def status(self) -> dict[str, Any]:
        """GET /trading/status."""
        answer = await self.api.get("/api/v1/trading/status")
        assert answer.status_code == 200, answer.text
        data: dict[str, Any] = answer.json()["data"]
        return data

    async def running(self) -> None:
        """Waits until the bot runs."""
        await until(self._runs, "the bot runs")

    async def _runs(self) -> bool:
        return bool((await self.status())["status"] == "running")

    async def positions(self, count: int) -> None:
        """Waits until so many positions are open."""

        async def there() -> bool:
            return bool((await self.status())["active_positions"] == count)

        await until(there, f"{count} positions")

    async def webhook_key(self) -> str:
        """A new webhook key."""
        answer = await self.api.post("/api/v1/config/webhook-key")
        assert answer.status_code == 201, answer.text
        return str(answer.json()["data"]["webhook_key"])

    async def alert(self, key: str, action: str = "buy", **fields: Any) -> httpx.Response:
        """POST /webhooks/tradingview."""
        body = {"symbol": "COINBASE:BTCUSD", "action": action, "api_key": key, **fields}
        return await self.platform.client("trading-engine").post("/api/v1/webhooks/tradingview", json=body)


async def settle_all(desks: Sequence[Desk], advanced: AdvancedSettings | None = None, **trading: Any) -> None:
    """What the other services say of these users of one platform, each service's words in one commit."""
    platform = desks[0].platform
    now_ms = platform.clock.now_ms()
    chosen = {"allowed_pairs": ("BTC-USD",), **trading}
    users = [
        UserSnapshot(
            user_id=desk.user_id,
            email="a@nija.example",
            full_name="Ada",
            role="user",
            status="active",
            registered_at_ms=now_ms,
        )
        for desk in desks
    ]
    trials = [
        SubscriptionSnapshot(
            user_id=desk.user_id,
            subscription_id=None,
            tier="free",
            interval=None,
            status="trialing",
            trial_ends_at_ms=None,
            period_start_ms=None,
            period_end_ms=None,
            cancel_at_period_end=False,
            effective=registration_defaults(now_ms),
        )
        for desk in desks
    ]
    settings = [
        SettingsSnapshot(
            user_id=desk.user_id,
            trading=UserSettings(**chosen),
            notifications=NotificationSettings(),
            advanced=advanced or AdvancedSettings(),
        )
        for desk in desks
    ]
    await platform.given_events(*users, source="auth")
    await platform.given_events(*trials, source="billing")
    await platform.given_events(*settings, source="accounts")


async def tell_tier(desk: Desk, tier: Tier, *, live: bool) -> None:
    """Billing's word on the tier of a user; `live`: it rests on a payment."""
    snapshot = SubscriptionSnapshot(
        user_id=desk.user_id,
        subscription_id="sub_a",
        tier=tier,
        interval="monthly",
        status="active",
        trial_ends_at_ms=None,
        period_start_ms=None,
        period_end_ms=None,
        cancel_at_period_end=False,
        effective=(effective(tier, from_ms=0, live=live),),
    )
    await desk.platform.given_events(snapshot, source="billing")


@pytest.fixture
def standing_of() -> Callable[..., Any]:
    return tell_tier


@pytest.fixture
def settle_users() -> Callable[..., Any]:
    return settle_all


@pytest.fixture
def engine(tmp_path: Path) -> Callable[..., Any]:
    """`async with engine() as desk:` the service on real time, a calm market at 300 times its speed."""

    @asynccontextmanager
    async def open_engine(
        *, service: Service = SERVICE, clock: Clock | None = None, candles: Path | None = None, **env: str
    ) -> AsyncIterator[Desk]:
        folder = candles or write_calm(tmp_path / "candles")
        variables = {"NIJA_MARKET": "replay", "NIJA_CANDLES": str(folder), "NIJA_SPEED": "300", **env}
        async with start_platform(
            tmp_path / "data", [service], clock=clock or SystemClock(), env=variables
        ) as platform:
            yield desk_of(platform, USER)

    return open_engine


def desk_of(platform: TestPlatform, user_id: str, role: str = "user") -> Desk:
    """The handle of one user."""
    return Desk(platform, user_id, platform.client("trading-engine", platform.token(user_id, role=role)))


@pytest.fixture
def user_of() -> Callable[..., Desk]:
    return desk_of


@pytest.fixture
def wait_until() -> Callable[..., Any]:
    return until


class Replayed:
    """The candles as a folder and as the plain runner's result."""

    def __init__(self, folder: Path, rows: list[Any]) -> None:
        folder.mkdir()
        lines = ["timestamp_ms,open,high,low,close,volume", *(",".join(map(repr, row)) for row in rows)]
        (folder / "BTC-USD_1h.csv").write_text("\n".join(lines) + "\n")
        self.env = {**FAST, "NIJA_CANDLES": str(folder)}
        limits = limits_of(UserSettings(), registration_defaults(0)[0])
        rules = Rulebook(PARAMETERS, PROFILES[RiskLevel.HIGH], limits, COINBASE)
        feeds = {"BTC-USD": Candles.of(HOUR, rows)}
        self.expected: Simulation = simulate(feeds, rules, PAPER_CASH)


@pytest.fixture
def replayed(tmp_path: Path, random_market: Any) -> Replayed:
    return Replayed(tmp_path / "candles", random_market(SEED, BARS, HOUR))


async def check(desk: Any, expected: Simulation) -> None:
    """Same trades, same cash, every intent over, positions the sum of their fills."""
    storage = desk.platform.deps("trading-engine").storage
    trades = [
        t for t in (await storage.find(Trade, "by_user", (desk.user_id,), limit=500)).items if t.source == "strategy"
    ]
    closed = sorted(sorted(bare(fill) for fill in trade.fills) for trade in trades if trade.status == "closed")
    assert closed == sorted(sorted(bare(fill_to(fill)) for fill in trade.fills) for trade in expected.trades)
    book = await storage.get(PaperAccount, f"{desk.user_id}/coinbase")
    assert book.book["cash"] == expected.book.cash
    positions = (await storage.find(Position, "by_user", (desk.user_id,), limit=50)).items
    assert sum(position.state["quantity"] for position in positions) == sum(
        trade.position.quantity for trade in expected.open_trades
    )
    for trade in trades:
        signed = sum(fill["quantity"] * (1 if fill["side"] == "buy" else -1) for fill in trade.fills)
        assert signed == sum(position.state["quantity"] for position in positions if position.trade_id == trade.id)
    assert not (await storage.find(Order, "by_user", (desk.user_id, True), limit=50)).items


def bare(fill: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(value for name, value in fill.items() if name != "order_id")


@pytest.fixture
def check_trades() -> Callable[..., Any]:
    return check


@pytest.fixture
def calm_candles(tmp_path: Path) -> Path:
    """A folder with a calm market."""
    return write_calm(tmp_path / "calm")


@pytest.fixture
def short_candles(tmp_path: Path) -> Path:
    """A folder with a calm market whose end is near: its replay takes a few hundred commits."""
    return write_calm(tmp_path / "short", bars=300)


@pytest.fixture
def two_markets(tmp_path: Path) -> Path:
    """A folder with two calm markets."""
    folder = write_calm(tmp_path / "calm")
    (folder / "ETH-USD_5m.csv").write_text((folder / "BTC-USD_5m.csv").read_text())
    return folder


@asynccontextmanager
async def worker_beside(platform: TestPlatform, service: Service, env: dict[str, str]) -> AsyncIterator[Node]:
    """A second process of the pool on the same store and bus."""
    node = platform.node
    part = Part(service, {"worker": service.roles["worker"]}, load(TradingSettings, env))
    async with run_node(
        [part], settings=node.settings, clock=SystemClock(), infrastructure=node.infrastructure, sealer=node.sealer
    ) as other:
        yield other


@pytest.fixture
def another_worker() -> Callable[..., Any]:
    return worker_beside
