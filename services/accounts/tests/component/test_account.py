"""Balance, positions and history: trading's facts in, true arithmetic out."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from nija_accounts.service import SERVICE
from nija_common.events.base import Event
from nija_common.events.trading import (
    BalanceRead,
    BotStatusChanged,
    MarketMarked,
    PositionChanged,
    PositionClosed,
    PositionOpened,
    TradeAccepted,
    TradeCancelled,
    TradeClosed,
    TradeOpened,
    TradeReduced,
)
from nija_common.testing import TestPlatform, start_platform
from nija_common.testing.events import example_of
from nija_common.values.clock import ManualClock
from nija_common.values.times import iso

T0 = 1_769_683_320_000
DAY = 86_400_000


async def get(platform: TestPlatform, path: str, user: str = "usr_a") -> Any:
    answer = await platform.client("accounts", platform.token(user)).get(f"/api/v1/account/{path}")
    return answer.json()["data"] if answer.status_code == 200 else (answer.status_code, answer.json()["error"]["code"])


async def given(platform: TestPlatform, *events: Event) -> None:
    await platform.given_events(*events, source="trading-engine")


def ran(**changes: Any) -> BotStatusChanged:
    return example_of(BotStatusChanged, **{"user_id": "usr_a", **changes})


def cash(amount: str, **changes: Any) -> BalanceRead:
    return example_of(BalanceRead, user_id="usr_a", cash=amount, **changes)


def position(**changes: Any) -> PositionOpened:
    fields = {"entry_price": 40000.0, "quantity": "0.01", "size_usd": "400", "mark_price": 40000.0, "at_ms": T0}
    return example_of(PositionOpened, user_id="usr_a", **{**fields, **changes})


def mark(price: float, at_ms: int, **changes: Any) -> MarketMarked:
    return example_of(MarketMarked, price=price, at_ms=at_ms, **changes)


def trade(number: int, *, symbol: str = "BTC-USD", opened_at_ms: int = T0, **changes: Any) -> TradeClosed:
    return example_of(
        TradeClosed,
        user_id="usr_a",
        trade_id=f"trd_{number}",
        symbol=symbol,
        opened_at_ms=opened_at_ms,
        closed_at_ms=opened_at_ms + 90_000,
        **changes,
    )


async def test_before_the_first_start_there_is_no_balance_and_nothing_is_open(platform: TestPlatform) -> None:
    assert await get(platform, "balance") == (400, "NO_BROKER_CONFIGURED")
    assert await get(platform, "positions") == {
        "positions": [],
        "summary": {
            "total_positions": 0,
            "total_value_usd": 0.0,
            "total_unrealized_pnl": 0.0,
            "total_unrealized_pnl_pct": 0.0,
        },
    }
    history = await get(platform, "history")
    assert (history["trades"], history["pagination"]["total_items"]) == ([], 0)


async def test_a_stop_before_any_start_makes_no_account(platform: TestPlatform) -> None:
    await given(platform, ran(), cash("9600"), ran(broker="", paper=False, status="stopped"))
    assert (await get(platform, "balance"))["cash"] == 9600.0
    await given(platform, ran(user_id="usr_b", broker="", status="stopped"))
    assert await get(platform, "balance", user="usr_b") == (400, "NO_BROKER_CONFIGURED")


async def test_equity_is_cash_and_positions_at_the_last_price(platform: TestPlatform) -> None:
    await given(platform, ran(), cash("9600"), position())
    await given(platform, mark(41000.0, T0 + 1000))
    balance = await get(platform, "balance")
    assert (balance["cash"], balance["equity"], balance["unrealized_pnl"]) == (9600.0, 10010.0, 10.0)
    shown = await get(platform, "positions")
    (only,) = shown["positions"]
    assert (only["current_price"], only["size_usd"], only["unrealized_pnl"]) == (41000.0, 400.0, 10.0)
    assert only["unrealized_pnl_pct"] == 2.5
    assert shown["summary"] == {
        "total_positions": 1,
        "total_value_usd": 410.0,
        "total_unrealized_pnl": 10.0,
        "total_unrealized_pnl_pct": 2.5,
    }
    assert balance["cash"] + shown["summary"]["total_value_usd"] == balance["equity"]


async def test_without_a_mark_a_position_shows_the_price_its_last_event_carried(platform: TestPlatform) -> None:
    await given(platform, ran(), cash("9600"), position(mark_price=40400.0))
    assert (await get(platform, "positions"))["positions"][0]["current_price"] == 40400.0
    await given(platform, mark(39000.0, T0 - 1))
    assert (await get(platform, "positions"))["positions"][0]["current_price"] == 40400.0


async def test_a_mark_of_another_broker_prices_nothing_here(platform: TestPlatform) -> None:
    await given(platform, ran(), cash("9600"), position(), mark(50000.0, T0 + 1, broker="kraken"))
    assert (await get(platform, "positions"))["positions"][0]["current_price"] == 40000.0


async def test_positions_follow_their_changes_and_filters(platform: TestPlatform) -> None:
    eth = position(position_id="pos_eth", symbol="ETH-USD", broker="kraken")
    await given(platform, ran(), position(), eth)
    await given(platform, example_of(PositionChanged, **{**position().model_dump(), "stop_loss": 40100.0}))
    assert [p["stop_loss"] for p in (await get(platform, "positions?symbol=BTC-USD"))["positions"]] == [40100.0]
    assert [p["symbol"] for p in (await get(platform, "positions?broker=kraken"))["positions"]] == ["ETH-USD"]
    assert (await get(platform, "positions?symbol=BTC-USD&broker=kraken"))["summary"]["total_positions"] == 0
    await given(platform, example_of(PositionClosed, user_id="usr_a", position_id="pos_eth"))
    assert (await get(platform, "positions"))["summary"]["total_positions"] == 1
    assert (await get(platform, "positions", user="usr_b"))["positions"] == []


async def test_paper_and_live_are_two_ledgers(platform: TestPlatform) -> None:
    await given(platform, ran(), cash("9600"), position(), trade(1))
    await given(platform, ran(paper=False), cash("500", paper=False), trade(2, paper=False))
    assert (await get(platform, "balance"))["cash"] == 500.0
    assert (await get(platform, "balance?mode=paper"))["cash"] == 9600.0
    assert (await get(platform, "positions"))["positions"] == []
    assert len((await get(platform, "positions?mode=paper"))["positions"]) == 1
    assert [t["trade_id"] for t in (await get(platform, "history"))["trades"]] == ["trd_2"]
    assert [t["trade_id"] for t in (await get(platform, "history?mode=paper"))["trades"]] == ["trd_1"]
    assert await get(platform, "history?mode=both") == (400, "VALIDATION_ERROR")


async def test_a_trade_from_receipt_to_its_end(platform: TestPlatform) -> None:
    both = {"user_id": "usr_a", "trade_id": "trd_1"}
    await given(platform, ran(), example_of(TradeAccepted, **both, at_ms=T0))
    (pending,) = (await get(platform, "history"))["trades"]
    assert (pending["status"], pending["entry_price"], pending["quantity"]) == ("pending", None, 0.0)
    assert (await get(platform, "history?status=open"))["trades"] == []
    await given(platform, example_of(TradeOpened, **both, at_ms=T0 + 500, fees="3.00"))
    (opened,) = (await get(platform, "history?status=open"))["trades"]
    assert (opened["exit_price"], opened["closed_at"], opened["realized_pnl"]) == (None, None, None)
    await given(platform, example_of(TradeReduced, **both, realized_pnl="0.21", fees="0.20"))
    (reduced,) = (await get(platform, "history?status=open"))["trades"]
    assert (reduced["realized_pnl"], reduced["fees"]) == (0.21, 3.2)
    await given(
        platform, example_of(TradeClosed, **both, opened_at_ms=T0 + 500, closed_at_ms=T0 + 125_500, fees="5.02")
    )
    (closed,) = (await get(platform, "history?status=closed"))["trades"]
    assert closed["duration_minutes"] == 2
    assert (closed["realized_pnl"], closed["fees"], closed["exit_reason"]) == (0.06, 5.02, "trailing_stop")
    assert (await get(platform, "history?status=open"))["trades"] == []


async def test_a_cancelled_trade_says_why_and_holds_no_numbers(platform: TestPlatform) -> None:
    event = example_of(TradeCancelled, user_id="usr_a", reason="position_exists", accepted_at_ms=T0)
    await given(platform, ran(), event)
    (shown,) = (await get(platform, "history?status=cancelled"))["trades"]
    assert shown["reason"] == "position_exists"
    assert shown["opened_at"] == "2026-01-29T10:42:00Z"
    nulls = ("entry_price", "exit_price", "realized_pnl", "closed_at", "exit_reason", "duration_minutes")
    assert [shown[name] for name in nulls] == [None] * 6
    assert (shown["quantity"], shown["size_usd"], shown["fees"]) == (0.0, 0.0, 0.0)


async def test_pages_hold_every_trade_once_newest_first(platform: TestPlatform) -> None:
    await given(platform, ran(), *(trade(n, opened_at_ms=T0 + n) for n in range(7)))
    pages = [await get(platform, f"history?page={page}&per_page=3") for page in (1, 2, 3)]
    assert [t["trade_id"] for page in pages for t in page["trades"]] == [f"trd_{n}" for n in range(6, -1, -1)]
    assert pages[1]["pagination"] == {
        "page": 2,
        "per_page": 3,
        "total_items": 7,
        "total_pages": 3,
        "has_next": True,
        "has_prev": True,
    }
    beyond = await get(platform, "history?page=9&per_page=3")
    assert (beyond["trades"], beyond["pagination"]["has_next"]) == ([], False)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("start_date=2026-01-29&end_date=2026-01-29", [0]),
        ("start_date=2026-01-30", [2, 1]),
        ("end_date=2026-01-30", [1, 0]),
        ("end_date=2026-01-29T10:42:00Z", [0]),
        ("end_date=2026-01-29T10:41:59", []),
        ("start_date=2026-01-29T12:42:00%2B02:00&end_date=2026-01-29T12:42:00+02:00", [0]),
        ("symbol=eth-usd&start_date=2026-01-01", [1]),
        ("symbol=ETH-USD&status=closed&end_date=2026-01-29", []),
        ("start_date=0001-01-01&end_date=9999-12-31", [2, 1, 0]),
    ],
)
async def test_dates_are_utc_and_an_end_without_a_time_includes_its_day(
    platform: TestPlatform, query: str, found: list[int]
) -> None:
    symbols = ["BTC-USD", "ETH-USD", "BTC-USD"]
    events = [trade(n, symbol=symbols[n], opened_at_ms=T0 + n * DAY) for n in range(3)]
    await given(platform, ran(), *events)
    assert [t["trade_id"] for t in (await get(platform, f"history?{query}"))["trades"]] == [f"trd_{n}" for n in found]


@pytest.mark.parametrize(
    "query",
    [
        "per_page=101",
        "per_page=0",
        "page=0",
        "page=x",
        "status=pending",
        "start_date=yesterday",
        "start_date=2026-02-30",
        "start_date=2026-02-02&end_date=2026-02-01",
    ],
)
async def test_a_wrong_query_is_a_validation_error(platform: TestPlatform, query: str) -> None:
    assert await get(platform, f"history?{query}") == (400, "VALIDATION_ERROR")


async def test_marks_of_the_last_hour_are_known_after_a_restart(tmp_path: Path, clock: ManualClock) -> None:
    async with start_platform(tmp_path, [SERVICE], clock=clock) as before:
        await given(before, ran(), cash("0"), position(), mark(42000.0, T0 + 5))
    clock.advance(3500)
    async with start_platform(tmp_path, [SERVICE], clock=clock) as after:
        assert (await get(after, "balance"))["equity"] == 420.0


async def test_every_page_of_every_filter_is_that_of_the_whole_history(platform: TestPlatform) -> None:
    """Trades over three months in every status, some accepted a day before they are filled, against a plain list."""
    chance = random.Random(11)
    told: list[tuple[str, str, str, int]] = []
    events: list[Event] = [ran()]
    for number in range(160):
        at_ms, symbol = T0 - chance.randrange(80) * DAY - chance.randrange(DAY), chance.choice(["BTC-USD", "ETH-USD"])
        status = chance.choice(["pending", "open", "closed", "closed", "cancelled"])
        ids = {"user_id": "usr_a", "trade_id": f"trd_{number:03}", "symbol": symbol}
        accepted_ms = at_ms - (DAY if status in ("open", "closed") else 0)
        events.append(example_of(TradeAccepted, **ids, at_ms=accepted_ms))
        if status in ("open", "closed"):
            events.append(example_of(TradeOpened, **ids, at_ms=at_ms))
        if status == "closed":
            events.append(example_of(TradeClosed, **ids, opened_at_ms=at_ms))
        if status == "cancelled":
            events.append(example_of(TradeCancelled, **ids, accepted_at_ms=at_ms))
        told.append((ids["trade_id"], symbol, status, at_ms))
    await given(platform, *events)
    told.sort(key=lambda row: (row[3], row[0]), reverse=True)
    for _ in range(60):
        query: dict[str, Any] = {"page": chance.randrange(1, 8), "per_page": chance.choice([1, 7, 30])}
        low, high = sorted(T0 - chance.randrange(90 * DAY) // 1000 * 1000 for _ in range(2))
        of_symbol, of_status = chance.choice([None, "BTC-USD"]), chance.choice([None, "open", "closed", "cancelled"])
        query |= {} if of_symbol is None else {"symbol": of_symbol}
        query |= {} if of_status is None else {"status": of_status}
        if chance.random() < 0.7:
            query["start_date"] = iso(low)
        if chance.random() < 0.7:
            query["end_date"] = iso(high)
        wanted = [
            row[0]
            for row in told
            if of_symbol in (None, row[1])
            and of_status in (None, row[2])
            and ("start_date" not in query or row[3] >= low)
            and ("end_date" not in query or row[3] <= high)
        ]
        page = await get(platform, f"history?{urlencode(query)}")
        skip = (query["page"] - 1) * query["per_page"]
        assert page["pagination"]["total_items"] == len(wanted), query
        assert [t["trade_id"] for t in page["trades"]] == wanted[skip : skip + query["per_page"]], query
