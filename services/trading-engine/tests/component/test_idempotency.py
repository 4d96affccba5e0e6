"""Idempotency keys on trading's own routes: a repeated call changes nothing and is answered as the first was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from nija_common.events.deliveries import AuditRecorded
from nija_common.events.trading import TradeClosed
from nija_common.testing import start_platform
from nija_common.values.clock import SystemClock

API = "/api/v1"
ENV = {"NIJA_MARKET": "replay", "NIJA_SPEED": "300", "NIJA_TRADING_POLL_MS": "20"}
PAPER = {"broker": "coinbase", "paper_trading": True, "risk_profile": "medium", "strategy": "SIGNALS_ONLY"}
STOP = {"reason": "drill", "close_positions": True}
TRIP = {"reason": "drill", "close_all_positions": False, "notify_users": False}


async def twice(api: httpx.AsyncClient, path: str, body: Any = None) -> httpx.Response:
    """The same call with the same key, two times; the first answer."""
    headers = {"Idempotency-Key": f"key-of-{path}"}
    first = await api.post(API + path, json=body, headers=headers)
    again = await api.post(API + path, json=body, headers=headers)
    assert first.is_success, first.text
    assert (again.status_code, again.content) == (first.status_code, first.content)
    return first


async def test_every_command_asked_twice_has_one_effect_and_one_answer(engine: Any, user_of: Any) -> None:
    async with engine() as desk:
        await desk.settle()
        api = desk.api
        key = (await twice(api, "/config/webhook-key")).json()["data"]["webhook_key"]
        await twice(api, "/trading/start", PAPER)
        await desk.running()
        assert (await desk.alert(key)).status_code == 200, "the key of the first answer is the one in force"
        await desk.positions(1)
        position = (await desk.platform.deps("trading-engine").store.positions(desk.user_id))[0]
        await twice(api, f"/trading/positions/{position.id}/close")
        await desk.positions(0)
        await twice(api, "/trading/stop", {})
        await twice(api, "/trading/emergency-stop", STOP)
        await twice(api, "/trading/emergency-reset")
        await twice(user_of(desk.platform, "usr_admin", role="admin").api, "/admin/kill-switch", TRIP)
        audited = [row.event_type for row in await desk.platform.emitted(AuditRecorded)]
        written = [event_type for event_type in audited if event_type != "trade_executed"]
        assert sorted(written) == sorted(
            [
                "webhook_key_created",
                "bot_started",
                "position_close_requested",
                "bot_stopped",
                "emergency_stop",
                "emergency_reset",
                "kill_switch_tripped",
            ]
        )


@pytest.mark.parametrize("when", ["before", "after"])
async def test_an_emergency_stop_that_died_at_its_commit_is_made_good_once(
    tmp_path: Path, calm_candles: Path, user_of: Any, faults: Any, when: str
) -> None:
    env = {**ENV, "NIJA_CANDLES": str(calm_candles)}
    headers = {"Idempotency-Key": "the-stop"}
    storages: list[Any] = []
    mortal = faults.mortal_service(storages, 1, when)
    api_only = {"trading-engine": ["api"]}
    async with start_platform(tmp_path / "data", [faults.SERVICE], clock=SystemClock(), env=env) as platform:
        desk = user_of(platform, "usr_a")
        await desk.settle()
        key = await desk.webhook_key()
        await desk.start()
        await desk.running()
        await desk.alert(key)
        await desk.positions(1)
    async with start_platform(tmp_path / "data", [mortal], clock=SystemClock(), env=env, roles=api_only) as platform:
        storages[0].armed = True
        lost = await user_of(platform, "usr_a").api.post(f"{API}/trading/emergency-stop", json=STOP, headers=headers)
        assert (lost.status_code, storages[0].dead) == (500, True)
    async with start_platform(tmp_path / "data", [faults.SERVICE], clock=SystemClock(), env=env) as platform:
        desk = user_of(platform, "usr_a")
        answers = [await desk.api.post(f"{API}/trading/emergency-stop", json=STOP, headers=headers) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 200]
        assert answers[0].content == answers[1].content
        assert answers[0].json()["data"]["positions_closed"] == 1
        assert answers[0].json()["data"]["positions_remaining"] == 0
        stops = [row for row in await platform.emitted(AuditRecorded) if row.event_type == "emergency_stop"]
        assert len(stops) == 1
        assert len(await platform.emitted(TradeClosed)) == 1
