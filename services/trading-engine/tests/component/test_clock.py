"""The replay's clock: one step at a time, and standing still while nobody runs; looks and scans as the user sees them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from nija_common.testing import start_platform
from nija_common.values.clock import ManualClock
from nija_common.values.times import iso
from nija_trading.service import SERVICE

CANDLE_MS = 300_000
ENV = {"NIJA_MARKET": "replay", "NIJA_SPEED": "300"}


async def test_the_clock_stands_still_while_the_platform_is_down(
    tmp_path: Path, calm_candles: Path, user_of: Any, wait_until: Any
) -> None:
    clock = ManualClock()
    env = {**ENV, "NIJA_CANDLES": str(calm_candles)}

    def step_is(deps: Any, steps: int, first: int) -> Any:
        async def there() -> bool:
            shard = await deps.store.shard(account_shard)
            return bool(shard.step_ms == first + steps * CANDLE_MS)

        return there

    async with start_platform(tmp_path / "data", [SERVICE], clock=clock, env=env) as platform:
        desk = user_of(platform, "usr_a")
        await desk.settle()
        await desk.start()
        await desk.running()
        deps = platform.deps("trading-engine")
        first = deps.market.first_ms
        account_shard = (await deps.store.account("usr_a")).shard
        await wait_until(step_is(deps, 0, first), "the first step is given at once")
        for steps in range(1, 4):
            clock.advance(1)
            await wait_until(step_is(deps, steps, first), f"step {steps}")
        status = await desk.status()
        assert status["last_scan"] == iso(clock.now_ms())
        assert status["next_scan"] == iso(clock.now_ms() + 1000)
        assert status["uptime_seconds"] == 3
    clock.advance(3600)
    async with start_platform(tmp_path / "data", [SERVICE], clock=clock, env=env) as platform:
        deps = platform.deps("trading-engine")
        desk = user_of(platform, "usr_a")
        await wait_until(lambda: _held(deps), "the shards are held again")
        await asyncio.sleep(0.1)
        assert await step_is(deps, 3, first)()
        clock.advance(1)
        await wait_until(step_is(deps, 4, first), "and it goes on from there")
        assert (await desk.status())["status"] == "running"


async def _held(deps: Any) -> bool:
    return len(await deps.storage.leases("shard/")) == 24
