"""When something is away: the worker, the broker, the market's next candle."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from nija_common.errors import unavailable
from nija_common.events.trading import TradeCancelled, TradeClosed, TradeOpened
from nija_common.testing import start_platform
from nija_common.values.clock import SystemClock
from nija_trading.adapters.paper_broker import PaperBroker
from nija_trading.service import SERVICE
from nija_trading.wiring import build

ENV = {"NIJA_MARKET": "replay", "NIJA_SPEED": "300", "NIJA_TRADING_POLL_MS": "20"}
ONLY_API = {"trading-engine": ["api"]}


async def test_stops_and_switches_work_while_every_worker_is_away(
    tmp_path: Path, calm_candles: Path, user_of: Any, wait_until: Any
) -> None:
    env = {**ENV, "NIJA_CANDLES": str(calm_candles)}
    clock = SystemClock()
    async with start_platform(tmp_path / "data", [SERVICE], clock=clock, env=env) as platform:
        desk = user_of(platform, "usr_a")
        await desk.settle()
        key = await desk.webhook_key()
        await desk.start()
        await desk.running()
        await desk.alert(key)
        await desk.positions(1)
    async with start_platform(tmp_path / "data", [SERVICE], clock=clock, env=env, roles=ONLY_API) as platform:
        desk = user_of(platform, "usr_a")
        admin = user_of(platform, "usr_admin", role="admin")
        body = {"reason": "drill", "close_all_positions": True, "notify_users": False}
        tripped = await admin.api.post("/api/v1/admin/kill-switch", json=body)
        assert tripped.json()["data"]["active_positions"] == 1
        status = await desk.status()
        assert (status["status"], status["active_positions"]) == ("stopped", 1)
    async with start_platform(tmp_path / "data", [SERVICE], clock=clock, env=env) as platform:
        desk = user_of(platform, "usr_a")
        await desk.positions(0)
        admin = user_of(platform, "usr_admin", role="admin")
        await admin.api.delete("/api/v1/admin/kill-switch?reason=over")
        assert (await desk.status())["status"] == "stopped"
        assert [event.exit_reason for event in await platform.emitted(TradeClosed)] == ["kill_switch"]


class FailingBroker(PaperBroker):
    """Cannot be reached for the first tries."""

    def __init__(self, tries: int) -> None:
        self.left = tries

    async def submit(self, desk: Any, order: Any) -> Any:
        self.left -= 1
        if self.left >= 0:
            raise unavailable("The broker cannot be reached.")
        return await super().submit(desk, order)


async def test_an_order_whose_sending_failed_is_sent_once_the_broker_is_back(
    tmp_path: Path, calm_candles: Path, user_of: Any
) -> None:
    broker = FailingBroker(3)

    @asynccontextmanager
    async def build_failing(settings: Any, platform: Any) -> AsyncIterator[Any]:
        async with build(settings, platform, broker=broker) as deps:
            yield deps

    env = {**ENV, "NIJA_CANDLES": str(calm_candles), "NIJA_SPEED": "0.001"}
    service = replace(SERVICE, build=build_failing)
    async with start_platform(tmp_path / "data", [service], clock=SystemClock(), env=env) as platform:
        desk = user_of(platform, "usr_a")
        await desk.settle()
        key = await desk.webhook_key()
        await desk.start()
        await desk.running()
        await desk.alert(key)
        await desk.positions(1)
        assert broker.left == -1
        assert len(await platform.emitted(TradeOpened)) == 1


async def test_at_the_end_of_the_replay_alerts_are_cancelled_and_positions_can_be_closed(
    tmp_path: Path, short_candles: Path, user_of: Any, wait_until: Any
) -> None:
    env = {**ENV, "NIJA_CANDLES": str(short_candles)}
    data, clock = tmp_path / "data", SystemClock()
    async with start_platform(data, [SERVICE], clock=clock, env=env) as platform:
        desk = user_of(platform, "usr_a")
        await desk.settle()
        key = await desk.webhook_key()
        await desk.start()
        await desk.running()
        await desk.alert(key)
        await desk.positions(1)
    async with start_platform(data, [SERVICE], clock=clock, env={**env, "NIJA_SPEED": "1e12"}) as platform:
        desk = user_of(platform, "usr_a")

        async def paused() -> bool:
            return bool((await desk.status())["status"] == "paused")

        await wait_until(paused, "the replay has ended", 30.0)
        assert "last candle" in (await desk.status())["last_error"]
        await desk.alert(key, "buy", alert_id="late")

        async def cancelled() -> bool:
            return bool(await platform.emitted(TradeCancelled))

        await wait_until(cancelled)
        assert (await platform.emitted(TradeCancelled))[0].reason == "paused"
        if (await desk.status())["active_positions"]:
            await desk.alert(key, "sell")
            await desk.positions(0)
        assert (await desk.api.post("/api/v1/trading/stop")).status_code == 200
