"""What a start refuses, in its order, and what it takes from the settings."""

from __future__ import annotations

from typing import Any

import pytest

from nija_common.events.identity import UserSnapshot
from nija_common.events.preferences import AdvancedSettings
from nija_common.events.trading import BotStatusChanged
from nija_trading.domain.account import Account


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"broker": 7}, (400, "VALIDATION_ERROR")),
        ({"paper_trading": "perhaps"}, (400, "VALIDATION_ERROR")),
        ({"paper_tradng": True}, (400, "VALIDATION_ERROR")),
        ({"strategy": "NONSENSE"}, (400, "VALIDATION_ERROR")),
        ({"broker": "binance", "risk_profile": "insane"}, (400, "UNSUPPORTED_BROKER")),
        ({"risk_profile": "insane"}, (400, "INVALID_RISK_LEVEL")),
        ({"paper_trading": False}, (402, "SUBSCRIPTION_REQUIRED")),
    ],
)
async def test_refusals(engine: Any, body: dict[str, Any], expected: tuple[int, str]) -> None:
    async with engine() as desk:
        await desk.settle()
        assert code(await desk.start(**body)) == expected
        assert (await desk.status())["status"] == "stopped"


async def test_post_trading_start__account_suspended(engine: Any) -> None:
    """Suspension comes before the kill switch."""
    async with engine() as desk:
        await desk.settle()
        await desk.api.post("/api/v1/trading/emergency-stop", json={"reason": "drill", "close_positions": False})
        assert code(await desk.start()) == (403, "KILL_SWITCH_ACTIVE")
        suspended = UserSnapshot(
            user_id=desk.user_id,
            email="a@b.example",
            full_name="A",
            role="user",
            status="suspended",
            registered_at_ms=0,
        )
        await desk.platform.given_events(suspended, source="auth")
        assert code(await desk.start()) == (403, "ACCOUNT_SUSPENDED")


async def test_what_is_left_out_comes_from_the_settings(engine: Any) -> None:
    async with engine() as desk:
        await desk.settle(risk_level="low")
        answer = await desk.api.post("/api/v1/trading/start", json={"broker": "kraken"})
        assert answer.status_code == 200
        account = await desk.platform.deps("trading-engine").storage.get(Account, desk.user_id)
        assert (account.risk_profile, account.paper, account.strategy) == ("low", True, "APEX_V72")


async def test_a_new_account_starts_before_its_snapshots_have_come(engine: Any) -> None:
    async with engine() as desk:
        assert (await desk.start()).status_code == 200
        await desk.running()


async def test_a_disabled_accounts_bot_stops(engine: Any, wait_until: Any) -> None:
    async with engine() as desk:
        await desk.settle()
        await desk.start()
        await desk.running()
        disabled = UserSnapshot(
            user_id=desk.user_id, email="a@b.example", full_name="A", role="user", status="disabled", registered_at_ms=0
        )
        await desk.platform.given_events(disabled, source="auth")

        async def stopped() -> bool:
            return bool((await desk.status())["status"] == "stopped")

        await wait_until(stopped)
        assert code(await desk.start()) == (403, "ACCOUNT_DISABLED")


async def test_a_suspended_account_opens_nothing_and_its_position_stays_guarded_and_can_be_closed(engine: Any) -> None:
    async with engine() as desk:
        await desk.settle()
        key = await desk.webhook_key()
        await desk.start()
        await desk.running()
        await desk.alert(key)
        await desk.positions(1)
        user = {
            "user_id": desk.user_id,
            "email": "a@b.example",
            "full_name": "A",
            "role": "user",
            "registered_at_ms": 0,
        }
        await desk.platform.given_events(UserSnapshot(**user, status="suspended"), source="auth")
        assert code(await desk.alert(key, alert_id="suspended")) == (403, "ACCOUNT_SUSPENDED")
        assert code(await desk.start()) == (403, "ACCOUNT_SUSPENDED")
        assert (await desk.status())["active_positions"] == 1
        assert (await desk.alert(key, "sell")).status_code == 200
        await desk.positions(0)
        await desk.platform.given_events(UserSnapshot(**user, status="active"), source="auth")
        assert (await desk.alert(key, alert_id="active again")).status_code == 200
        await desk.positions(1)


async def test_stop_works_from_every_status_but_stopped_and_start_may_follow_at_once(engine: Any) -> None:
    async with engine() as desk:
        await desk.settle()
        assert code(await desk.api.post("/api/v1/trading/stop", json={})) == (400, "NOT_RUNNING")
        for _ in range(3):
            assert (await desk.start()).status_code == 200
            assert (await desk.api.post("/api/v1/trading/stop")).status_code == 200
        await desk.start()
        await desk.running()
        statuses = [event.status for event in await desk.platform.emitted(BotStatusChanged)]
        assert statuses[-1] == "running"


async def test_stop_leaves_positions_guarded_and_says_so_and_can_close_them_later(engine: Any) -> None:
    async with engine() as desk:
        await desk.settle()
        key = await desk.webhook_key()
        await desk.start()
        await desk.running()
        await desk.alert(key)
        await desk.positions(1)
        data = (await desk.api.post("/api/v1/trading/stop", json={})).json()["data"]
        assert (data["open_positions"], "action_required" in data) == (1, True)
        assert (await desk.status())["active_positions"] == 1
        data = (await desk.api.post("/api/v1/trading/stop", json={"close_positions": True})).json()["data"]
        assert "action_required" not in data
        await desk.positions(0)
        assert code(await desk.api.post("/api/v1/trading/stop", json={"close_positions": True})) == (400, "NOT_RUNNING")


async def test_a_position_is_closed_by_its_owner_only(engine: Any, user_of: Any) -> None:
    async with engine() as desk:
        await desk.settle()
        key = await desk.webhook_key()
        await desk.start()
        await desk.running()
        await desk.alert(key)
        await desk.positions(1)
        position = (await desk.platform.deps("trading-engine").store.positions(desk.user_id))[0]
        path = f"/api/v1/trading/positions/{position.id}/close"
        other = user_of(desk.platform, "usr_b")
        assert code(await other.api.post(path)) == (404, "POSITION_NOT_FOUND")
        answer = await desk.api.post(path)
        assert answer.json()["data"] == {"position_id": position.id, "trade_id": position.trade_id, "status": "closing"}
        await desk.positions(0)
        assert code(await desk.api.post(path)) == (404, "POSITION_NOT_FOUND")


async def test_the_status_says_of_each_advanced_switch_that_is_on_that_it_is_unavailable(engine: Any) -> None:
    names = ("enable_meta_ai", "enable_mmin", "enable_gmig", "execution_intelligence")
    async with engine() as desk:
        assert (await desk.status())["advanced"] == dict.fromkeys(names, "off")
        await desk.settle(advanced=AdvancedSettings(enable_mmin=True, execution_intelligence=True))
        expected = {
            **dict.fromkeys(names, "off"),
            "enable_mmin": "unavailable",
            "execution_intelligence": "unavailable",
        }
        assert (await desk.status())["advanced"] == expected
        await desk.settle(advanced=AdvancedSettings(enable_meta_ai=True, enable_gmig=True))
        expected = {**dict.fromkeys(names, "off"), "enable_meta_ai": "unavailable", "enable_gmig": "unavailable"}
        assert (await desk.status())["advanced"] == expected
