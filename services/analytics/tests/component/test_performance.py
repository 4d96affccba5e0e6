"""Performance over HTTP from trading's facts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nija_common.events.trading import BalanceRead, BotStatusChanged, TradeClosed
from nija_common.testing import TestPlatform
from nija_common.testing.events import example_of
from nija_common.values.clock import ManualClock

DAY = 86_400_000


async def performance(platform: TestPlatform, query: str = "", user: str = "usr_a") -> Any:
    answer = await platform.client("analytics", platform.token(user)).get(f"/api/v1/account/performance{query}")
    return answer.json()["data"] if answer.status_code == 200 else (answer.status_code, answer.json()["error"]["code"])


def began(at_ms: int, **changes: Any) -> BalanceRead:
    return example_of(BalanceRead, **{"user_id": "usr_a", "cash": "10000", "initial": True, "at_ms": at_ms, **changes})


def closed(number: int, at_ms: int, pnl: str, fees: str = "1.00", **changes: Any) -> TradeClosed:
    fields = {
        "user_id": "usr_a",
        "trade_id": f"trd_{number}",
        "realized_pnl": pnl,
        "fees": fees,
        "opened_at_ms": at_ms - 600_000,
        "closed_at_ms": at_ms,
    }
    return example_of(TradeClosed, **{**fields, **changes})


async def test_an_account_that_never_traded_has_zeros_and_nulls(platform: TestPlatform) -> None:
    answer = await performance(platform)
    assert (answer["period"], answer["daily_pnl"], answer["equity_curve"]) == ("30d", [], [])
    metrics = answer["metrics"]
    assert (metrics["total_trades"], metrics["net_pnl"], metrics["max_drawdown"]) == (0, 0.0, 0.0)
    assert (metrics["win_rate"], metrics["sharpe_ratio"], metrics["profit_factor"]) == (None, None, None)


async def test_every_figure_of_three_days_worked_by_hand(platform: TestPlatform, clock: ManualClock) -> None:
    """10,000; then +100, -40; then -160; then +50: 9,950."""
    now = clock.now_ms()
    await platform.given_events(
        began(now - 2 * DAY),
        closed(1, now - 2 * DAY, "100"),
        closed(2, now - 2 * DAY, "-40"),
        closed(3, now - DAY, "-160"),
        closed(4, now, "50"),
        source="trading-engine",
    )
    answer = await performance(platform, "?period=all")
    returns = [60 / 10_000, -160 / 10_060, 50 / 9_900]
    mean = sum(returns) / 3
    deviation = (sum((r - mean) ** 2 for r in returns) / 2) ** 0.5
    assert answer["metrics"] == {
        "total_trades": 4,
        "winning_trades": 2,
        "losing_trades": 2,
        "win_rate": 0.5,
        "total_pnl": -46.0,
        "total_pnl_pct": -0.46,
        "avg_win": 75.0,
        "avg_loss": -100.0,
        "largest_win": 100.0,
        "largest_loss": -160.0,
        "profit_factor": 0.75,
        "sharpe_ratio": round(mean / deviation * 365**0.5, 4),
        "max_drawdown": -160.0,
        "max_drawdown_pct": -1.5905,
        "recovery_time_days": None,
        "avg_trade_duration_minutes": 10.0,
        "total_fees": 4.0,
        "net_pnl": -50.0,
    }
    assert answer["daily_pnl"] == [
        {"date": "2026-01-27", "pnl": 60.0},
        {"date": "2026-01-28", "pnl": -160.0},
        {"date": "2026-01-29", "pnl": 50.0},
    ]
    assert [row["equity"] for row in answer["equity_curve"]] == [10_060.0, 9_900.0, 9_950.0]


async def test_a_period_is_whole_days_and_begins_with_the_equity_of_its_start(
    platform: TestPlatform, clock: ManualClock
) -> None:
    now = clock.now_ms()
    await platform.given_events(
        began(now - 60 * DAY),
        closed(1, now - 50 * DAY, "1000"),
        closed(2, now - 7 * DAY, "500"),
        closed(3, now - 6 * DAY, "230"),
        source="trading-engine",
    )
    week = await performance(platform, "?period=7d")
    assert len(week["daily_pnl"]) == 7
    assert week["metrics"]["total_trades"] == 1
    assert week["metrics"]["total_pnl_pct"] == round(100 * 231 / 11_500, 4)
    assert [row["equity"] for row in week["equity_curve"]] == [11_730.0] * 7
    assert (await performance(platform))["metrics"]["total_trades"] == 2
    assert (await performance(platform, "?period=90d"))["metrics"]["net_pnl"] == 1730.0
    assert len((await performance(platform, "?period=1y"))["equity_curve"]) == 61


async def test_the_ledger_is_the_one_the_bot_last_ran_on_unless_named(
    platform: TestPlatform, clock: ManualClock
) -> None:
    now = clock.now_ms()
    await platform.given_events(
        began(now),
        closed(1, now, "10"),
        began(now, paper=False, cash="500"),
        closed(2, now, "-5", paper=False),
        example_of(BotStatusChanged, user_id="usr_a", paper=False),
        source="trading-engine",
    )
    assert (await performance(platform))["metrics"]["net_pnl"] == -5.0
    assert (await performance(platform, "?mode=paper"))["metrics"]["net_pnl"] == 10.0
    assert (await performance(platform, user="usr_b"))["metrics"]["total_trades"] == 0


async def test_a_second_brokers_account_adds_to_the_equity_once(platform: TestPlatform, clock: ManualClock) -> None:
    now = clock.now_ms()
    await platform.given_events(
        began(now - DAY), began(now, broker="kraken"), began(now, broker="kraken"), source="trading-engine"
    )
    assert [row["equity"] for row in (await performance(platform))["equity_curve"]] == [10_000.0, 20_000.0]


@pytest.mark.parametrize("query", ["?period=2d", "?period=", "?mode=both"])
async def test_a_wrong_query_is_a_validation_error(platform: TestPlatform, query: str) -> None:
    assert await performance(platform, query) == (400, "VALIDATION_ERROR")


async def test_performance_needs_a_token(platform: TestPlatform) -> None:
    answer = await platform.client("analytics").get("/api/v1/account/performance")
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "TOKEN_INVALID")


async def test_the_answer_has_the_references_fields(platform: TestPlatform, shared_folder: Path) -> None:
    operations = json.loads((shared_folder / "contract/operations.json").read_text())["operations"]
    wanted = next(o for o in operations if o["path"] == "/account/performance")["response"]["data"]
    answer = await performance(platform)
    assert set(answer) == set(wanted)
    assert set(answer["metrics"]) == set(wanted["metrics"])
