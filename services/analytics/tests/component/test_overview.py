"""Statistics of all time, the dashboard and the breakdown of trades over HTTP, from trading's facts."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from nija_common.events.identity import UserSnapshot
from nija_common.events.preferences import SettingsSnapshot, TradingSettings
from nija_common.events.subscriptions import SubscriptionSnapshot
from nija_common.events.trading import (
    BalanceRead,
    BotStatusChanged,
    PositionChanged,
    PositionClosed,
    PositionOpened,
    TradeClosed,
)
from nija_common.testing import TestPlatform
from nija_common.testing.events import example_of
from nija_common.values.clock import ManualClock
from nija_common.values.tiers import Tier, effective

DAY = 86_400_000
HOUR = 3_600_000


async def answer(platform: TestPlatform, path: str, user: str = "usr_a", **token: Any) -> Any:
    got = await platform.client("analytics", platform.token(user, **token)).get(f"/api/v1{path}")
    return got.json()["data"] if got.status_code == 200 else (got.status_code, got.json()["error"]["code"])


def began(at_ms: int, **changes: Any) -> BalanceRead:
    return example_of(BalanceRead, **{"user_id": "usr_a", "cash": "10000", "initial": True, "at_ms": at_ms, **changes})


def closed(number: int, at_ms: int, pnl: str, **changes: Any) -> TradeClosed:
    fields = {
        "user_id": "usr_a",
        "trade_id": f"trd_{number}",
        "size_usd": "500.00",
        "realized_pnl": pnl,
        "realized_pnl_pct": float(pnl) / 5,
        "fees": "1.00",
        "opened_at_ms": at_ms - 600_000,
        "closed_at_ms": at_ms,
    }
    return example_of(TradeClosed, **{**fields, **changes})


def held(number: int, **changes: Any) -> PositionOpened:
    return example_of(PositionOpened, **{"user_id": "usr_a", "position_id": f"pos_{number}", **changes})


async def test_stats_of_an_account_worked_by_hand(platform: TestPlatform, clock: ManualClock) -> None:
    """10,000; +100 in December; -40, +10, +20 in January; 500 and 1,500 held."""
    now = clock.now_ms()
    await platform.given_events(
        began(now - 60 * DAY),
        closed(1, now - 40 * DAY, "100"),
        closed(2, now - 3 * DAY, "-40"),
        closed(3, now - 2 * DAY, "10"),
        closed(4, now - 1 * DAY, "20"),
        held(1, size_usd="500"),
        held(2, size_usd="1000"),
        example_of(PositionChanged, user_id="usr_a", position_id="pos_2", size_usd="1500"),
        held(3, size_usd="700"),
        example_of(PositionClosed, user_id="usr_a", position_id="pos_3"),
        source="trading-engine",
    )
    await platform.given_events(
        example_of(UserSnapshot, user_id="usr_a", registered_at_ms=now - 61 * DAY - HOUR), source="auth"
    )
    trading = TradingSettings(risk_level="high", max_position_size_usd=5000.0, max_concurrent_positions=8)
    await platform.given_events(
        example_of(SettingsSnapshot, user_id="usr_a", trading=trading.model_dump(mode="json")), source="accounts"
    )
    tier = effective(Tier.BASIC, from_ms=now - DAY, live=True).model_dump(mode="json")
    await platform.given_events(
        example_of(SubscriptionSnapshot, user_id="usr_a", tier="basic", effective=[tier]), source="billing"
    )
    assert await answer(platform, "/account/stats") == {
        "account": {
            "user_id": "usr_a",
            "subscription_tier": "basic",
            "account_age_days": 61,
            "total_deposits": 10_000.0,
            "total_withdrawals": 0.0,
            "current_balance": 10_090.0,
            "all_time_high": 10_100.0,
            "all_time_low": 10_000.0,
        },
        "trading": {
            "total_trades_all_time": 4,
            "total_volume_usd": 2_000.0,
            "total_fees_paid": 4.0,
            "best_month": {"month": "2025-12", "pnl": 100.0, "pnl_pct": 1.0},
            "current_streak": {"type": "winning", "count": 2, "started": "2026-01-27T10:42:00Z"},
        },
        "risk": {
            "current_risk_level": "high",
            "max_position_size_usd": 500.0,
            "max_positions": 5,
            "current_leverage": round(2_000 / 10_090, 4),
            "available_leverage": 1.0,
        },
    }


async def test_a_new_account_has_its_trials_limits_zeros_and_nulls(platform: TestPlatform) -> None:
    stats = await answer(platform, "/account/stats")
    assert stats["account"] == {
        "user_id": "usr_a",
        "subscription_tier": "free",
        "account_age_days": 0,
        "total_deposits": 0.0,
        "total_withdrawals": 0.0,
        "current_balance": 0.0,
        "all_time_high": 0.0,
        "all_time_low": 0.0,
    }
    assert (stats["trading"]["best_month"], stats["trading"]["current_streak"]) == (None, None)
    assert (stats["risk"]["max_position_size_usd"], stats["risk"]["max_positions"]) == (500.0, 3)
    board = await answer(platform, "/analytics/dashboard")
    nothing = {"pnl": 0.0, "pnl_pct": 0.0, "trades": 0, "win_rate": None}
    assert (board["today"], board["week"], board["month"]) == (nothing, nothing, nothing)
    assert (board["active_positions"], board["balance"], board["top_performer"]) == (0, 0.0, None)
    trades = await answer(platform, "/analytics/trades")
    assert trades == {
        "period": "30d",
        "total_trades": 0,
        "by_outcome": {"wins": 0, "losses": 0, "win_rate": None},
        "by_symbol": [],
        "by_hour": [],
        "avg_hold_time_minutes": None,
        "best_trade": None,
        "worst_trade": None,
    }


async def test_administrators_have_the_limits_of_enterprise(platform: TestPlatform) -> None:
    trading = TradingSettings(max_position_size_usd=9000.0, max_concurrent_positions=40)
    await platform.given_events(
        example_of(SettingsSnapshot, user_id="usr_a", trading=trading.model_dump(mode="json")), source="accounts"
    )
    assert (await answer(platform, "/account/stats"))["risk"]["max_position_size_usd"] == 2000.0
    risk = (await answer(platform, "/account/stats", role="admin"))["risk"]
    assert (risk["max_position_size_usd"], risk["max_positions"]) == (9000.0, 40)


async def test_the_dashboard_of_a_month_worked_by_hand(platform: TestPlatform, clock: ManualClock) -> None:
    now = clock.now_ms()
    await platform.given_events(
        began(now - 90 * DAY),
        closed(1, now - 50 * DAY, "1000", symbol="SOL-USD"),
        closed(2, now - 29 * DAY, "110", symbol="BTC-USD"),
        closed(3, now - 6 * DAY, "222.2", symbol="ETH-USD"),
        closed(4, now - 6 * DAY, "-111.1", symbol="BTC-USD"),
        closed(5, now, "50", symbol="BTC-USD"),
        held(1),
        source="trading-engine",
    )
    assert await answer(platform, "/analytics/dashboard") == {
        "today": {"pnl": 50.0, "pnl_pct": round(5000 / 11_221.1, 4), "trades": 1, "win_rate": 1.0},
        "week": {"pnl": 161.1, "pnl_pct": round(16110 / 11_110, 4), "trades": 3, "win_rate": 0.6667},
        "month": {"pnl": 271.1, "pnl_pct": round(27110 / 11_000, 4), "trades": 4, "win_rate": 0.75},
        "active_positions": 1,
        "balance": 11_271.1,
        "top_performer": {"symbol": "ETH-USD", "pnl": 222.2, "pnl_pct": 2.02},
    }


async def test_with_a_symbol_every_number_is_of_that_symbol(platform: TestPlatform, clock: ManualClock) -> None:
    now = clock.now_ms()
    await platform.given_events(
        began(now - 9 * DAY),
        closed(1, now - 8 * DAY, "5", symbol="BTC-USD", opened_at_ms=now - 8 * DAY - 2 * HOUR),
        closed(2, now - 8 * DAY + HOUR, "-7", symbol="BTC-USD"),
        closed(3, now - 8 * DAY, "500", symbol="ETH-USD"),
        closed(4, now, "3", symbol="BTC-USD"),
        source="trading-engine",
    )
    for symbol in ("BTC-USD", "btc-usd", "BTC/USD"):
        assert await answer(platform, f"/analytics/trades?symbol={symbol}&group_by=week") == {
            "period": "30d",
            "total_trades": 3,
            "by_outcome": {"wins": 2, "losses": 1, "win_rate": 0.6667},
            "by_symbol": [{"symbol": "BTC-USD", "trades": 3, "pnl": 1.0}],
            "by_hour": [{"hour": 10, "trades": 2, "avg_pnl": 4.0}, {"hour": 11, "trades": 1, "avg_pnl": -7.0}],
            "by_week": [
                {"week": "2026-W04", "trades": 2, "avg_pnl": -1.0},
                {"week": "2026-W05", "trades": 1, "avg_pnl": 3.0},
            ],
            "avg_hold_time_minutes": 46.67,
            "best_trade": {"trade_id": "trd_1", "symbol": "BTC-USD", "pnl": 5.0, "pnl_pct": 1.0},
            "worst_trade": {"trade_id": "trd_2", "symbol": "BTC-USD", "pnl": -7.0, "pnl_pct": -1.4},
        }
    assert (await answer(platform, "/analytics/trades?symbol=DOGE-USD"))["total_trades"] == 0


@pytest.mark.parametrize(
    ("group", "row"),
    [
        ("day", {"day": "2026-01-29", "trades": 1, "avg_pnl": 3.0}),
        ("week", {"week": "2026-W05", "trades": 1, "avg_pnl": 3.0}),
        ("month", {"month": "2026-01", "trades": 1, "avg_pnl": 3.0}),
        ("hour", None),
    ],
)
async def test_groups_are_there_where_they_are_asked_for(
    platform: TestPlatform, clock: ManualClock, group: str, row: Any
) -> None:
    await platform.given_events(began(clock.now_ms()), closed(1, clock.now_ms(), "3"), source="trading-engine")
    found = await answer(platform, f"/analytics/trades?group_by={group}")
    assert found["by_hour"] == [{"hour": 10, "trades": 1, "avg_pnl": 3.0}]
    groups = {name: found[name] for name in ("by_day", "by_week", "by_month") if name in found}
    assert groups == ({} if row is None else {f"by_{group}": [row]})


PERIODS = {"7d": 7, "30d": 30, "90d": 90, "1y": 365, "all": 10_000}


async def test_every_period_and_symbol_agrees_with_the_whole_history(
    platform: TestPlatform, clock: ManualClock
) -> None:
    """600 random trades over 500 days, against pandas; periods begin within months."""
    chance = random.Random(7)
    now = clock.now_ms()
    times = sorted(now - chance.randrange(500 * DAY) for _ in range(600))
    rows: list[dict[str, Any]] = [
        {
            "n": n,
            "at": at,
            "pnl": chance.randrange(-9_000, 10_000) / 100,
            "symbol": chance.choice(["BTC-USD", "ETH-USD"]),
        }
        for n, at in enumerate(times)
    ]
    events = [closed(row["n"], row["at"], f"{row['pnl']}", symbol=row["symbol"]) for row in rows]
    await platform.given_events(began(now - 501 * DAY), *events, source="trading-engine")
    whole = pd.DataFrame(rows)
    whole["time"] = pd.to_datetime(whole["at"], unit="ms")
    midnight = pd.Timestamp(now, unit="ms").normalize()
    for period, days in PERIODS.items():
        for symbol in (None, "BTC-USD"):
            frame = whole[whole.time >= midnight - pd.Timedelta(days=days - 1)]
            frame = frame if symbol is None else frame[frame.symbol == symbol]
            query = f"?period={period}&group_by=day" + ("" if symbol is None else f"&symbol={symbol}")
            found = await answer(platform, f"/analytics/trades{query}")
            assert found["total_trades"] == len(frame)
            assert found["by_outcome"]["wins"] == (frame.pnl > 0).sum()
            sums = frame.groupby("symbol").pnl.agg(["count", "sum"]).round(2)
            assert {(r["symbol"], r["trades"], r["pnl"]) for r in found["by_symbol"]} == set(sums.itertuples(name=None))
            hours = frame.groupby(frame.time.dt.hour).pnl.agg(["count", "mean"])
            assert [(r["hour"], r["trades"]) for r in found["by_hour"]] == list(hours["count"].items())
            assert [r["avg_pnl"] for r in found["by_hour"]] == pytest.approx(list(hours["mean"]), abs=0.0051)
            assert [r["day"] for r in found["by_day"]] == sorted(set(frame.time.dt.strftime("%Y-%m-%d")))
            assert found["best_trade"]["trade_id"] == f"trd_{frame.n[frame.pnl == frame.pnl.max()].iloc[0]}"
            assert found["worst_trade"]["pnl"] == frame.pnl.min()
    month = whole[whole.time >= midnight - pd.Timedelta(days=29)]
    board = await answer(platform, "/analytics/dashboard")
    assert board["month"]["pnl"] == pytest.approx(month.pnl.sum(), abs=0.005)
    assert board["balance"] == pytest.approx(10_000 + whole.pnl.sum(), abs=0.005)
    top = month.groupby("symbol").pnl.sum()
    assert board["top_performer"]["symbol"] == top.idxmax()
    base = 10_000 + whole.pnl.sum() - month.pnl.sum()
    assert board["top_performer"]["pnl_pct"] == pytest.approx(100 * top.max() / base, abs=0.0001)


ROUTES = ("/account/stats", "/analytics/dashboard", "/analytics/trades")


async def test_paper_and_live_are_two_ledgers(platform: TestPlatform, clock: ManualClock) -> None:
    now = clock.now_ms()
    await platform.given_events(
        began(now),
        closed(1, now, "10"),
        held(1),
        began(now, paper=False, cash="500"),
        closed(2, now, "-5", paper=False),
        closed(3, now, "-6", paper=False),
        example_of(BotStatusChanged, user_id="usr_a", paper=False),
        source="trading-engine",
    )
    for query, trades, balance, active in (
        ("", 2, 489.0, 0),
        ("?mode=live", 2, 489.0, 0),
        ("?mode=paper", 1, 10_010.0, 1),
    ):
        assert (await answer(platform, f"/account/stats{query}"))["account"]["current_balance"] == balance
        board = await answer(platform, f"/analytics/dashboard{query}")
        assert (board["today"]["trades"], board["balance"], board["active_positions"]) == (trades, balance, active)
        assert (await answer(platform, f"/analytics/trades{query}"))["total_trades"] == trades


async def test_another_user_sees_nothing_of_it(platform: TestPlatform, clock: ManualClock) -> None:
    now = clock.now_ms()
    await platform.given_events(began(now), closed(1, now, "10"), held(1), source="trading-engine")
    assert (await answer(platform, "/account/stats", "usr_b"))["trading"]["total_trades_all_time"] == 0
    assert (await answer(platform, "/analytics/dashboard", "usr_b"))["active_positions"] == 0
    assert (await answer(platform, "/analytics/trades", "usr_b"))["by_symbol"] == []


@pytest.mark.parametrize("path", ROUTES)
async def test_a_token_is_needed(platform: TestPlatform, path: str) -> None:
    got = await platform.client("analytics").get(f"/api/v1{path}")
    assert (got.status_code, got.json()["error"]["code"]) == (401, "TOKEN_INVALID")


@pytest.mark.parametrize(
    "path",
    [
        "/account/stats?mode=both",
        "/analytics/dashboard?mode=",
        "/analytics/trades?mode=x",
        "/analytics/trades?period=2d",
        "/analytics/trades?group_by=year",
        "/analytics/trades?symbol=",
        "/analytics/trades?symbol=BTC",
        "/analytics/trades?symbol=BTC-USD%27--",
    ],
)
async def test_a_wrong_query_is_a_validation_error(platform: TestPlatform, path: str) -> None:
    assert await answer(platform, path) == (400, "VALIDATION_ERROR")


@pytest.mark.parametrize("path", ROUTES)
async def test_the_answers_have_the_references_fields(
    platform: TestPlatform, clock: ManualClock, shared_folder: Path, path: str
) -> None:
    operations = json.loads((shared_folder / "contract/operations.json").read_text())["operations"]
    wanted = next(o for o in operations if o["path"] == path)["response"]["data"]
    await platform.given_events(began(clock.now_ms()), closed(1, clock.now_ms(), "3"), source="trading-engine")
    found = await answer(platform, path)
    assert names(found) == names(wanted)


def names(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: names(inner) for name, inner in value.items()}
    return [names(value[0])] if isinstance(value, list) and value else None
