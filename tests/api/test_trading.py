"""`/trading/*`, `/webhooks/tradingview`, the webhook key and the global kill switch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest

from nija_common.testing.client import Answer, ApiClient
from nija_common.testing.platforms import wait_for

Refused = Callable[[Answer, int, str], None]
PAPER = {"broker": "coinbase", "paper_trading": True, "strategy": "SIGNALS_ONLY"}


def test_post_trading_start__success(user: ApiClient) -> None:
    answer = user.post("/trading/start", {**PAPER, "risk_profile": "medium"})
    assert (answer.status, answer.data["status"]) == (200, "starting")
    assert answer.data["estimated_ready_in_seconds"] > 0


def test_post_trading_start__already_running(running: ApiClient, refused: Refused) -> None:
    refused(running.post("/trading/start", PAPER), 409, "ALREADY_RUNNING")


def test_post_trading_start__subscription_required(user: ApiClient, refused: Refused) -> None:
    live = {"broker": "coinbase", "paper_trading": False, "risk_profile": "medium"}
    refused(user.post("/trading/start", live), 402, "SUBSCRIPTION_REQUIRED")


def test_post_trading_start__no_broker_configured(admin: ApiClient, user: ApiClient, refused: Refused) -> None:
    admin.ok("PUT", f"/admin/users/{user.user_id}", {"subscription_tier": "pro"})
    live = {"broker": "coinbase", "paper_trading": False}
    wait_for("the tier is known", lambda: user.post("/trading/start", live).code != "SUBSCRIPTION_REQUIRED", every=0.2)
    refused(user.post("/trading/start", live), 400, "NO_BROKER_CONFIGURED")


def test_post_trading_start__unsupported_broker(user: ApiClient, refused: Refused) -> None:
    refused(user.post("/trading/start", {**PAPER, "broker": "nonsense"}), 400, "UNSUPPORTED_BROKER")


def test_post_trading_start__invalid_risk_level(user: ApiClient, refused: Refused) -> None:
    refused(user.post("/trading/start", {**PAPER, "risk_profile": "insane"}), 400, "INVALID_RISK_LEVEL")


def test_post_trading_start__kill_switch_active(user: ApiClient, refused: Refused) -> None:
    user.ok("POST", "/trading/emergency-stop", {"reason": "drill", "close_positions": False})
    refused(user.post("/trading/start", PAPER), 403, "KILL_SWITCH_ACTIVE")


def test_post_trading_stop__success(running: ApiClient) -> None:
    answer = running.post("/trading/stop", {"close_positions": False, "emergency": False})
    assert (answer.status, answer.data["status"], answer.data["open_positions"]) == (200, "stopped", 0)


def test_post_trading_stop__not_running(user: ApiClient, refused: Refused) -> None:
    refused(user.post("/trading/stop", {}), 400, "NOT_RUNNING")


def test_get_trading_status__success(running: ApiClient) -> None:
    status = running.ok("GET", "/trading/status")
    assert (status["status"], status["broker"], status["paper_trading"]) == ("running", "coinbase", True)
    assert status["uptime_seconds"] >= 0


def test_post_trading_emergency_stop__success(running: ApiClient, position: dict[str, Any]) -> None:
    answer = running.post("/trading/emergency-stop", {"reason": "drill", "close_positions": True})
    assert (answer.status, answer.data["status"], answer.data["positions_closed"]) == (200, "emergency_stopped", 1)
    assert running.ok("GET", "/trading/status")["status"] == "stopped"


def test_post_trading_emergency_reset__success(user: ApiClient) -> None:
    user.ok("POST", "/trading/emergency-stop", {"reason": "drill", "close_positions": False})
    assert user.post("/trading/emergency-reset").data["status"] == "stopped"
    assert user.post("/trading/start", PAPER).status == 200


def test_post_trading_positions_close__success(running: ApiClient, position: dict[str, Any]) -> None:
    answer = running.post(f"/trading/positions/{position['position_id']}/close")
    assert (answer.status, answer.data["status"]) == (200, "closing")
    wait_for("it is closed", lambda: not running.ok("GET", "/account/positions")["positions"], every=0.2)
    (trade,) = wait_for("it is in the history", lambda: running.ok("GET", "/account/history?status=closed")["trades"])
    assert (trade["trade_id"], trade["exit_reason"]) == (answer.data["trade_id"], "manual")


def test_post_trading_positions_close__position_not_found(user: ApiClient, refused: Refused) -> None:
    refused(user.post("/trading/positions/pos_nothing/close"), 404, "POSITION_NOT_FOUND")


def test_post_trading_positions_close__anothers_id(
    position: dict[str, Any], stranger: ApiClient, refused: Refused
) -> None:
    refused(stranger.post(f"/trading/positions/{position['position_id']}/close"), 404, "POSITION_NOT_FOUND")


def test_post_config_webhook_key__success(user: ApiClient) -> None:
    first = user.post("/config/webhook-key")
    second = user.post("/config/webhook-key")
    assert first.status == second.status == 201
    assert first.data["webhook_key"] != second.data["webhook_key"]


def test_post_config_webhook_key__exceeds_tier_limit(admin: ApiClient, user: ApiClient, refused: Refused) -> None:
    admin.ok("PUT", f"/admin/users/{user.user_id}", {"subscription_tier": "basic"})
    wait_for("the tier is known", lambda: user.post("/config/webhook-key").status != 201, every=0.2)
    refused(user.post("/config/webhook-key"), 403, "EXCEEDS_TIER_LIMIT")


def test_get_config_webhook_key__success(user: ApiClient) -> None:
    key = user.ok("POST", "/config/webhook-key")["webhook_key"]
    shown = user.ok("GET", "/config/webhook-key")
    assert key not in shown["webhook_key_masked"]
    assert key.endswith(shown["webhook_key_masked"][-2:])


def test_get_config_webhook_key__not_found(user: ApiClient, refused: Refused) -> None:
    refused(user.get("/config/webhook-key"), 404, "NOT_FOUND")


def test_post_webhooks_tradingview__success(running: ApiClient, alert: dict[str, Any], anybody: ApiClient) -> None:
    answer = anybody.post("/webhooks/tradingview", alert)
    assert (answer.status, answer.data["received"], answer.data["status"]) == (200, True, "processing")
    assert anybody.post("/webhooks/tradingview", alert).data["trade_id"] == answer.data["trade_id"]
    wait_for("it is in the history", lambda: running.ok("GET", "/account/history")["trades"], every=0.2)


def test_post_webhooks_tradingview__token_invalid(alert: dict[str, Any], anybody: ApiClient, refused: Refused) -> None:
    refused(anybody.post("/webhooks/tradingview", {**alert, "api_key": "wrong"}), 401, "TOKEN_INVALID")


def test_post_webhooks_tradingview__not_running(user: ApiClient, anybody: ApiClient, refused: Refused) -> None:
    key = user.ok("POST", "/config/webhook-key")["webhook_key"]
    asked = {"symbol": "BTC-USD", "action": "buy", "api_key": key}
    refused(anybody.post("/webhooks/tradingview", asked), 400, "NOT_RUNNING")


def test_post_webhooks_tradingview__kill_switch_active(
    running: ApiClient, alert: dict[str, Any], anybody: ApiClient, refused: Refused
) -> None:
    running.ok("POST", "/trading/emergency-stop", {"reason": "drill", "close_positions": False})
    refused(anybody.post("/webhooks/tradingview", alert), 403, "KILL_SWITCH_ACTIVE")


@pytest.fixture
def alert_refused(
    admin: ApiClient, running: ApiClient, alert: dict[str, Any], anybody: ApiClient, refused: Refused
) -> Callable[[dict[str, Any], str], None]:
    """Asserts that alerts are refused once trading knows how an administrator has changed the account."""

    def check(change: dict[str, Any], code: str) -> None:
        admin.ok("PUT", f"/admin/users/{running.user_id}", change)
        numbers = count()

        def ask() -> Answer:
            return anybody.post("/webhooks/tradingview", {**alert, "alert_id": f"n{next(numbers)}"})

        wait_for("the change is known", lambda: ask().status != 200, every=0.2)
        refused(ask(), 403, code)

    return check


def test_post_webhooks_tradingview__account_suspended(alert_refused: Callable[[dict[str, Any], str], None]) -> None:
    alert_refused({"status": "suspended"}, "ACCOUNT_SUSPENDED")


def test_post_webhooks_tradingview__account_disabled(alert_refused: Callable[[dict[str, Any], str], None]) -> None:
    alert_refused({"status": "disabled"}, "ACCOUNT_DISABLED")


def test_post_webhooks_tradingview__exceeds_tier_limit(alert_refused: Callable[[dict[str, Any], str], None]) -> None:
    alert_refused({"subscription_tier": "basic"}, "EXCEEDS_TIER_LIMIT")


def test_post_webhooks_tradingview__bad_input(alert: dict[str, Any], anybody: ApiClient, refused: Refused) -> None:
    for wrong in ({"action": "hold"}, {"symbol": "{{ticker}}"}, {"symbol": "DOGE-USD"}, {"size_usd": -1}):
        refused(anybody.post("/webhooks/tradingview", {**alert, **wrong}), 400, "VALIDATION_ERROR")


@pytest.fixture
def tripped(admin: ApiClient) -> Iterator[Answer]:
    """The global switch, tripped for the length of a test: other tests of this worker do not run meanwhile."""
    body = {"reason": "drill", "close_all_positions": False, "notify_users": False}
    try:
        yield admin.post("/admin/kill-switch", body)
    finally:
        admin.ok("DELETE", "/admin/kill-switch?reason=over")


def test_post_admin_kill_switch__success(tripped: Answer, user: ApiClient, refused: Refused) -> None:
    assert tripped.status == 200
    assert tripped.data["affected_users"] >= 0
    refused(user.post("/trading/start", PAPER), 403, "KILL_SWITCH_ACTIVE")


def test_delete_admin_kill_switch__success(admin: ApiClient, user: ApiClient) -> None:
    admin.ok("POST", "/admin/kill-switch", {"reason": "drill", "close_all_positions": False, "notify_users": False})
    assert admin.call("DELETE", "/admin/kill-switch?reason=over").status == 200
    assert user.post("/trading/start", PAPER).status == 200
