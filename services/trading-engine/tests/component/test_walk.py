"""A bot from start to stop on the embedded platform: alert, position, close, switches."""

from __future__ import annotations

from typing import Any

from nija_common.events.trading import (
    BalanceRead,
    BotStatusChanged,
    KillSwitchSnapshot,
    MarketMarked,
    PositionClosed,
    PositionOpened,
    TradeAccepted,
    TradeClosed,
    TradeOpened,
)


async def test_an_alert_opens_a_position_and_another_closes_it(engine: Any) -> None:
    async with engine() as desk:
        await desk.settle()
        key = await desk.webhook_key()
        refused = await desk.alert(key)
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "NOT_RUNNING")
        started = await desk.start()
        assert started.status_code == 200, started.text
        assert started.json()["data"]["status"] == "starting"
        await desk.running()
        again = await desk.start()
        assert (again.status_code, again.json()["error"]["code"]) == (409, "ALREADY_RUNNING")
        bought = await desk.alert(key)
        assert bought.status_code == 200, bought.text
        assert (await desk.alert(key)).json()["data"]["trade_id"] == bought.json()["data"]["trade_id"]
        await desk.positions(1)
        sold = await desk.alert(key, "sell")
        assert sold.json()["data"]["trade_id"] == bought.json()["data"]["trade_id"]
        await desk.positions(0)
        stopped = await desk.api.post("/api/v1/trading/stop", json={})
        assert stopped.json()["data"] == {"status": "stopped", "message": "Trading bot stopped", "open_positions": 0}
        platform = desk.platform
        statuses = [event.status for event in await platform.emitted(BotStatusChanged)]
        assert statuses == ["starting", "running", "stopped"]
        cash = await platform.emitted(BalanceRead)
        assert (cash[0].initial, cash[0].cash) == (True, "10000.00000000")
        kinds = (TradeAccepted, TradeOpened, PositionOpened, TradeClosed, PositionClosed)
        assert [len(await platform.emitted(kind)) for kind in kinds] == [1, 1, 1, 1, 1]
        assert (await platform.emitted(TradeClosed))[0].exit_reason == "webhook"
        assert await platform.emitted(MarketMarked)


async def test_the_emergency_stop_closes_counts_and_latches(engine: Any) -> None:
    async with engine() as desk:
        await desk.settle()
        key = await desk.webhook_key()
        await desk.start()
        await desk.running()
        await desk.alert(key)
        await desk.positions(1)
        answer = await desk.api.post(
            "/api/v1/trading/emergency-stop", json={"reason": "drill", "close_positions": True}
        )
        data = answer.json()["data"]
        assert (data["status"], data["positions_closed"], data["positions_remaining"]) == ("emergency_stopped", 1, 0)
        assert (await desk.status())["status"] == "stopped"
        for refused in (await desk.alert(key, alert_id="later"), await desk.start()):
            assert (refused.status_code, refused.json()["error"]["code"]) == (403, "KILL_SWITCH_ACTIVE")
        assert (await desk.api.post("/api/v1/trading/emergency-stop")).status_code == 200
        assert (await desk.api.post("/api/v1/trading/emergency-reset")).status_code == 200
        assert (await desk.start()).status_code == 200
        assert [event.active for event in await desk.platform.emitted(KillSwitchSnapshot)] == [True, True, False]


async def test_the_global_switch_stops_everybody_and_nothing_restarts(engine: Any, user_of: Any) -> None:
    async with engine() as desk:
        await desk.settle()
        key = await desk.webhook_key()
        await desk.start()
        await desk.running()
        await desk.alert(key)
        await desk.positions(1)
        admin = user_of(desk.platform, "usr_admin", role="admin")
        body = {"reason": "drill", "close_all_positions": True, "notify_users": True}
        assert (await desk.api.post("/api/v1/admin/kill-switch", json=body)).status_code == 403
        tripped = await admin.api.post("/api/v1/admin/kill-switch", json=body)
        assert tripped.json()["data"]["affected_users"] == 1
        assert tripped.json()["data"]["active_positions"] == 1
        await desk.positions(0)
        assert (await desk.status())["status"] == "stopped"
        assert (await desk.start()).json()["error"]["code"] == "KILL_SWITCH_ACTIVE"
        assert (await admin.api.delete("/api/v1/admin/kill-switch?reason=over")).status_code == 200
        assert (await desk.status())["status"] == "stopped"
        assert (await desk.start()).status_code == 200
        await desk.running()
