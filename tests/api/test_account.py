"""`/account/*` and `/config/settings`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nija_common.testing.client import Answer, ApiClient
from nija_common.testing.platforms import wait_for

Refused = Callable[[Answer, int, str], None]


def test_get_account_balance__success(running: ApiClient) -> None:
    balance = running.ok("GET", "/account/balance")
    assert (balance["cash"], balance["equity"], balance["currency"]) == (10_000, 10_000, "USD")


def test_get_account_balance__no_broker_configured(user: ApiClient, refused: Refused) -> None:
    refused(user.get("/account/balance"), 400, "NO_BROKER_CONFIGURED")


def test_get_account_positions__success(running: ApiClient, position: dict[str, Any], stranger: ApiClient) -> None:
    listed = running.ok("GET", "/account/positions?symbol=BTC-USD&broker=coinbase")
    assert listed["summary"]["total_positions"] == len(listed["positions"]) == 1
    assert running.ok("GET", "/account/positions?symbol=ETH-USD")["positions"] == []
    assert stranger.ok("GET", "/account/positions")["positions"] == []


def test_get_account_history__success(running: ApiClient, position: dict[str, Any], stranger: ApiClient) -> None:
    running.ok("POST", f"/trading/positions/{position['position_id']}/close")
    query = "?page=1&per_page=1&symbol=BTC-USD&status=closed&start_date=2020-01-01&end_date=2099-01-01"
    (trade,) = wait_for("it is closed", lambda: running.ok("GET", f"/account/history{query}")["trades"], every=0.2)
    assert trade["realized_pnl"] < 0 < trade["fees"]
    assert stranger.ok("GET", "/account/history")["trades"] == []


@pytest.mark.parametrize(
    "query", ["per_page=101", "page=0", "status=pending", "start_date=soon", "end_date=2020-13-01"]
)
def test_get_account_history__bad_input(user: ApiClient, refused: Refused, query: str) -> None:
    refused(user.get(f"/account/history?{query}"), 400, "VALIDATION_ERROR")


def test_get_account_performance__success(user: ApiClient) -> None:
    for query in ("", "?period=7d", "?period=all"):
        metrics = user.ok("GET", f"/account/performance{query}")["metrics"]
        assert (metrics["total_trades"], metrics["win_rate"]) == (0, None)


def test_get_account_performance__bad_input(user: ApiClient, refused: Refused) -> None:
    refused(user.get("/account/performance?period=2d"), 400, "VALIDATION_ERROR")


def test_get_config_settings__success(user: ApiClient) -> None:
    settings = user.ok("GET", "/config/settings")
    assert settings["trading"]["allowed_pairs"] == ["BTC-USD", "ETH-USD", "SOL-USD"]
    assert settings["trading"]["risk_level"] == "medium"


def test_put_config_settings__success(user: ApiClient) -> None:
    changed = user.ok(
        "PUT", "/config/settings", {"trading": {"risk_level": "high"}, "notifications": {"push_enabled": True}}
    )
    assert changed["updated_fields"] == ["risk_level"]
    assert user.ok("GET", "/config/settings")["trading"]["risk_level"] == "high"


def test_put_config_settings__invalid_risk_level(user: ApiClient, refused: Refused) -> None:
    refused(user.put("/config/settings", {"trading": {"risk_level": "insane"}}), 400, "INVALID_RISK_LEVEL")


def test_put_config_settings__exceeds_tier_limit(user: ApiClient, refused: Refused) -> None:
    above = {"trading": {"risk_level": "low", "max_position_size_usd": 1e9}}
    refused(user.put("/config/settings", above), 403, "EXCEEDS_TIER_LIMIT")
    assert user.ok("GET", "/config/settings")["trading"]["risk_level"] == "medium"


def test_put_config_settings__invalid_setting(user: ApiClient, refused: Refused) -> None:
    wrongs: list[dict[str, Any]] = [{"trading": {"nonsense": 1}}, {"nonsense": {}}]
    for wrong in wrongs:
        refused(user.put("/config/settings", wrong), 400, "INVALID_SETTING")


def test_put_config_settings__bad_input(user: ApiClient, refused: Refused) -> None:
    for wrong in ({"trading": {"max_daily_loss_usd": -1}}, {"trading": {"paper_trading": "perhaps"}}):
        refused(user.put("/config/settings", wrong), 400, "VALIDATION_ERROR")
