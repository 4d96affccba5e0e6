"""Replaying candles through the live engine on the paper broker gives exactly the backtest's trades, kills included."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from nija_common.testing import start_platform
from nija_common.values.clock import SystemClock
from nija_trading.domain.account import Account
from nija_trading.service import SERVICE


async def finished(desk: Any, wait_until: Any) -> None:
    async def paused() -> bool:
        return bool((await desk.status())["status"] == "paused")

    await wait_until(paused, "the replay has ended", 30.0)


async def test_the_replay_makes_the_backtests_trades(
    tmp_path: Path, replayed: Any, check_trades: Any, user_of: Any, wait_until: Any
) -> None:
    assert len(replayed.expected.trades) == 6
    async with start_platform(tmp_path / "data", [SERVICE], clock=SystemClock(), env=replayed.env) as platform:
        desk = user_of(platform, "usr_a")
        await desk.settle()
        await desk.start(strategy="APEX_V72", risk_profile="high")
        await finished(desk, wait_until)
        await check_trades(desk, replayed.expected)
        assert "last candle" in (await desk.status())["last_error"]


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_kill_at_any_commit_neither_doubles_nor_loses_an_order(
    tmp_path: Path, replayed: Any, check_trades: Any, faults: Any, user_of: Any, wait_until: Any, when: str
) -> None:
    kills = 0
    for at in range(1 if when == "before" else 5, 90, 9):
        folder = tmp_path / f"data-{at}"
        storages: list[Any] = []
        dying = faults.mortal_service(storages, at, when)
        try:
            async with start_platform(folder, [dying], clock=SystemClock(), env=replayed.env) as platform:
                desk = user_of(platform, "usr_a")
                await desk.settle()
                storages[0].armed = True
                assert (await desk.start(strategy="APEX_V72", risk_profile="high")).status_code in (200, 500)
                await finished_or_dead(desk, storages[0], wait_until)
        except* faults.Killed:
            kills += 1
        async with start_platform(folder, [SERVICE], clock=SystemClock(), env=replayed.env) as platform:
            desk = user_of(platform, "usr_a")
            if (await desk.status())["status"] == "stopped":
                await desk.start(strategy="APEX_V72", risk_profile="high")
            await finished(desk, wait_until)
            await check_trades(desk, replayed.expected)
    assert kills > 5


async def finished_or_dead(desk: Any, storage: Any, wait_until: Any) -> None:
    """Looks past the store that may be dead."""
    calm = storage.inner

    async def over() -> bool:
        account = await calm.get(Account, desk.user_id)
        return storage.dead or (account is not None and account.status == "paused")

    await wait_until(over, "the replay has ended, or its process", 30.0)
    if storage.dead:
        await asyncio.sleep(30)  # the end of the process cancels this
