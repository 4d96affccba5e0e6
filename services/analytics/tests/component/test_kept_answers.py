"""Answers that are kept are never older than the store, of another day, of another question, or without bound."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from nija_analytics.domain.aggregates import Ledger
from nija_analytics.domain.results import EVERY, ResultMonth
from nija_analytics.domain.statistics import DayResult
from nija_analytics.store import Results
from nija_common.events.trading import BalanceRead, PositionOpened, TradeClosed
from nija_common.runtime.infrastructure import open_infrastructure
from nija_common.storage.unit_of_work import Work
from nija_common.testing import TestPlatform
from nija_common.testing.events import example_of
from nija_common.values.clock import ManualClock
from nija_common.values.money import SCALE

DAY_S = 86_400
NAME = "usr_a/paper"
PERFORMANCE = "/account/performance?period=7d"
TRADES = "/analytics/trades?period=all&group_by=day"
DASHBOARD = "/analytics/dashboard"
KEPT = (PERFORMANCE, TRADES, DASHBOARD)


async def data(platform: TestPlatform, path: str, user: str = "usr_a") -> Any:
    answer = await platform.client("analytics", platform.token(user)).get(f"/api/v1{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def closed(number: int, clock: ManualClock, pnl: str, **changes: Any) -> TradeClosed:
    at_ms = clock.now_ms()
    fields = {"user_id": "usr_a", "trade_id": f"trd_{number}", "realized_pnl": pnl, "paper": True}
    times = {"opened_at_ms": at_ms - 600_000, "closed_at_ms": at_ms}
    return example_of(TradeClosed, **{**fields, **times, **changes})


def trades_of(path: str, answer: Any) -> int:
    """How many trades of today the answer tells of, by the figure that each has."""
    if path == DASHBOARD:
        return int(answer["today"]["trades"])
    return int(answer["metrics"]["total_trades"] if path == PERFORMANCE else answer["total_trades"])


@pytest.fixture
async def traded(platform: TestPlatform, clock: ManualClock) -> TestPlatform:
    """One trade of today, and every answer asked for once."""
    began = example_of(BalanceRead, user_id="usr_a", cash="10000", initial=True, paper=True, at_ms=clock.now_ms())
    await platform.given_events(began, closed(1, clock, "100"), source="trading-engine")
    for path in KEPT:
        assert trades_of(path, await data(platform, path)) == 1
    return platform


@asynccontextmanager
async def another(platform: TestPlatform, clock: ManualClock) -> AsyncIterator[tuple[Results, Work]]:
    """Analytics' store as another process has it: connections of its own, nothing shared with the platform."""
    async with open_infrastructure(platform.node.settings, clock, second=True) as infrastructure:
        storage = infrastructure.storage_of("analytics")
        yield Results(storage), Work(storage, infrastructure.bus, clock, "analytics")


async def months_gone(platform: TestPlatform, clock: ManualClock) -> None:
    """Takes the documents away that answers are made of, and leaves the ledger: what is told now has been kept."""
    async with another(platform, clock) as (results, work):
        uow = work.open()
        uow.delete(*await results.months(NAME, EVERY, None))
        await work.commit(uow)


@pytest.mark.parametrize("path", KEPT)
async def test_the_same_question_of_an_unchanged_ledger_reads_nothing_but_the_ledger(
    traded: TestPlatform, clock: ManualClock, path: str
) -> None:
    first = await data(traded, path)
    await months_gone(traded, clock)
    assert await data(traded, path) == first


@pytest.mark.parametrize("path", KEPT)
async def test_a_trade_that_another_process_counts_is_in_the_very_next_answer(
    traded: TestPlatform, clock: ManualClock, path: str
) -> None:
    async with another(traded, clock) as (results, work):
        for counted in (2, 3):
            ledger = await results.ledger(NAME)
            assert ledger is not None
            (month,) = await results.months(NAME, EVERY, None)
            (day,) = month.days.values()
            more = DayResult(day.day, trades=counted, wins=counted, gross_win=day.gross_win + SCALE)
            uow = work.open()
            uow.save(
                ledger.model_copy(update={"trades": counted, "net": ledger.net + SCALE}),
                month.model_copy(update={"days": {str(day.day): more}}),
            )
            await work.commit(uow)
            assert trades_of(path, await data(traded, path)) == counted


@pytest.mark.parametrize("path", KEPT)
async def test_a_trade_of_the_platforms_own_consumer_is_in_the_next_answer(
    traded: TestPlatform, clock: ManualClock, path: str
) -> None:
    await traded.given_events(closed(2, clock, "-30"), source="trading-engine")
    assert trades_of(path, await data(traded, path)) == 2


async def test_a_read_model_that_was_built_anew_has_versions_that_mean_something_else(
    traded: TestPlatform, clock: ManualClock
) -> None:
    async with another(traded, clock) as (results, work):
        ledger = await results.ledger(NAME)
        (month,) = await results.months(NAME, EVERY, None)
        assert ledger is not None
        gone = work.open()
        gone.delete(ledger, month)
        await work.commit(gone)
        (day,) = month.days.values()
        anew: list[Ledger | ResultMonth] = [
            ledger.model_copy(update={"version": 0, "net": 7 * SCALE}),
            month.model_copy(update={"version": 0, "days": {str(day.day): DayResult(day.day, 1, 1, 0, 7 * SCALE)}}),
        ]
        for _ in range(ledger.version):
            uow = work.open()
            uow.save(*anew)
            await work.commit(uow)
            newest = await results.ledger(NAME)
            assert newest is not None
            anew = [newest, *await results.months(NAME, EVERY, None)]
        assert anew[0].version == ledger.version
    assert (await data(traded, PERFORMANCE))["metrics"]["net_pnl"] == 7.0


async def test_a_new_day_is_another_answer(traded: TestPlatform, clock: ManualClock) -> None:
    before = await data(traded, PERFORMANCE)
    clock.advance(DAY_S)
    after = await data(traded, PERFORMANCE)
    assert len(after["daily_pnl"]) == len(before["daily_pnl"]) + 1
    assert (await data(traded, DASHBOARD))["today"]["trades"] == 0
    clock.advance(7 * DAY_S - DAY_S)
    assert (await data(traded, PERFORMANCE))["metrics"]["total_trades"] == 0


async def test_questions_users_and_ledgers_are_kept_apart(traded: TestPlatform, clock: ManualClock) -> None:
    other = closed(9, clock, "-5", user_id="usr_b", symbol="ADA-USD")
    live = closed(8, clock, "3", paper=False, symbol="SOL-USD")
    await traded.given_events(other, live, source="trading-engine")
    asked = ("?mode=live", "?mode=paper", "?symbol=SOL-USD&mode=paper", "?group_by=day", "?group_by=week", "")
    told = [await data(traded, f"/analytics/trades{query}") for query in asked]
    assert [answer["total_trades"] for answer in told] == [1, 1, 0, 1, 1, 1]
    assert [row["symbol"] for row in told[0]["by_symbol"]] == ["SOL-USD"]
    assert [sorted(set(answer) & {"by_day", "by_week"}) for answer in told[3:]] == [["by_day"], ["by_week"], []]
    assert [row["symbol"] for row in (await data(traded, TRADES, "usr_b"))["by_symbol"]] == ["ADA-USD"]
    assert [await data(traded, f"/analytics/trades{query}") for query in asked] == told


async def test_what_is_open_is_counted_beside_a_ledger_that_stays(traded: TestPlatform, clock: ManualClock) -> None:
    assert (await data(traded, DASHBOARD))["active_positions"] == 0
    held = example_of(PositionOpened, user_id="usr_a", paper=True, opened_at_ms=clock.now_ms())
    await traded.given_events(held, source="trading-engine")
    assert (await data(traded, DASHBOARD))["active_positions"] == 1
