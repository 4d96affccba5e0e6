"""`/analytics/*`, `/account/stats` and the links of exports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from nija_common.testing.client import Answer, ApiClient
from nija_common.testing.platforms import wait_for

Refused = Callable[[Answer, int, str], None]


@pytest.fixture
def traded(running: ApiClient, position: dict[str, Any]) -> ApiClient:
    """The user with one closed trade, which the figures hold."""
    running.ok("POST", f"/trading/positions/{position['position_id']}/close")
    wait_for("it counts", lambda: running.ok("GET", "/account/performance")["metrics"]["total_trades"] == 1, every=0.2)
    return running


def test_get_account_stats__success(traded: ApiClient) -> None:
    stats = traded.ok("GET", "/account/stats")
    assert stats["account"]["user_id"] == traded.user_id
    assert stats["trading"]["total_trades_all_time"] == 1


def test_get_analytics_dashboard__success(traded: ApiClient) -> None:
    shown = traded.ok("GET", "/analytics/dashboard")
    assert shown["today"]["trades"] == shown["month"]["trades"] == 1
    assert shown["balance"] < 10_000


def test_get_analytics_trades__success(traded: ApiClient, stranger: ApiClient) -> None:
    shown = traded.ok("GET", "/analytics/trades?period=7d&symbol=BTC-USD&group_by=day")
    assert (shown["total_trades"], shown["by_outcome"]["losses"]) == (1, 1)
    assert [day["trades"] for day in shown["by_day"]] == [1]
    assert stranger.ok("GET", "/analytics/trades")["total_trades"] == 0


def test_post_analytics_export__success(traded: ApiClient) -> None:
    made = traded.ok("POST", "/analytics/export", {"format": "csv", "data_type": "trades"})
    assert made["file_size_bytes"] > 0
    assert made["expires_at"] > "2020"


def test_get_exports_by_id__success(traded: ApiClient) -> None:
    made = traded.ok("POST", "/analytics/export", {"format": "csv", "data_type": "trades"})
    file = httpx.get(made["download_url"])
    assert (file.status_code, len(file.content)) == (200, made["file_size_bytes"])
    assert len(file.text.splitlines()) == 2


def test_get_exports_by_id__unauthorized(user: ApiClient) -> None:
    link = user.ok("POST", "/analytics/export", {"format": "json", "data_type": "performance"})["download_url"]
    for wrong in (link[:-1] + ("0" if link[-1] != "0" else "1"), link.split("?")[0]):
        answer = httpx.get(wrong)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "UNAUTHORIZED")
