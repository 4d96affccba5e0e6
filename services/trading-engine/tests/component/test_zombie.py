"""Promise 9: a worker that lost its shards writes nothing, and what it did once is not done again."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from nija_common.testing import start_platform
from nija_common.values.clock import SystemClock
from nija_trading.domain.account import Account
from nija_trading.handlers import execution
from nija_trading.handlers.memory import Bot, HeldShard, ShardLost
from nija_trading.service import SERVICE

LEASES = {"NIJA_TRADING_LEASE_MS": "300", "NIJA_TRADING_RENEW_MS": "60", "NIJA_TRADING_POLL_MS": "20"}


@pytest.mark.parametrize("sleep_at", [3, 12, 25])
async def test_a_worker_that_slept_through_its_leases_cannot_write(
    tmp_path: Path,
    replayed: Any,
    check_trades: Any,
    faults: Any,
    user_of: Any,
    wait_until: Any,
    another_worker: Any,
    sleep_at: int,
) -> None:
    env = {**replayed.env, **LEASES}
    storages: list[Any] = []
    clock = faults.SleepingClock()
    sleepy = faults.sleeping_service(storages, clock)
    only_api = {"trading-engine": ["api"]}
    async with start_platform(tmp_path / "data", [SERVICE], clock=SystemClock(), env=env, roles=only_api) as platform:
        desk = user_of(platform, "usr_a")
        await desk.settle()

        async def status(wanted: str) -> bool:
            return bool((await desk.status())["status"] == wanted)

        async with another_worker(platform, sleepy, env):
            storage = storages[0]
            await desk.start(strategy="APEX_V72", risk_profile="high")
            before = storage.commits

            async def far_enough() -> bool:
                return bool(storage.commits >= before + sleep_at) or await status("paused")

            await wait_until(far_enough, "the first worker has begun")
            clock.stopped_at = clock.monotonic()
            storage.awake.clear()
            async with another_worker(platform, SERVICE, env):
                await wait_until(lambda: status("paused"), "the second worker has finished", 30.0)
                written = await platform.deps("trading-engine").storage.get(Account, desk.user_id)
                known = len(storage.epochs)
                storage.awake.set()
                for _ in range(20):
                    await asyncio.sleep(0.01)
                after = await platform.deps("trading-engine").storage.get(Account, desk.user_id)
                assert after.ledgers == written.ledgers
                assert all(epoch > storage.epochs[known - 1] for epoch in storage.epochs[known:])
        await check_trades(desk, replayed.expected)


async def test_an_old_epoch_is_refused_before_anything_is_decided(engine: Any) -> None:
    async with engine() as desk:
        await desk.settle()
        await desk.start()
        await desk.running()
        deps = desk.platform.deps("trading-engine")
        account = await deps.storage.get(Account, desk.user_id)
        document = await deps.store.shard(account.shard)
        zombie = HeldShard(account.shard, account.epoch - 1, float("inf"), document, 0, 0)
        with pytest.raises(ShardLost):
            await execution.advance(deps, Bot(desk.user_id, zombie), 2**50)
        halted = HeldShard(account.shard, account.epoch, 0.0, document, 0, 0)
        with pytest.raises(ShardLost):
            await execution.advance(deps, Bot(desk.user_id, halted), 2**50)


async def test_a_second_worker_takes_its_share_and_gives_it_back(
    engine: Any, wait_until: Any, another_worker: Any
) -> None:
    async with engine(**LEASES) as desk:
        storage = desk.platform.deps("trading-engine").storage
        env = {"NIJA_MARKET": "replay", **LEASES}

        async def held() -> list[int]:
            holders: dict[str, int] = {}
            for lease in await storage.leases("shard/"):
                holders[lease.holder] = holders.get(lease.holder, 0) + 1
            return sorted(holders.values())

        async def alone() -> bool:
            return await held() == [24]

        async def shared() -> bool:
            return await held() == [12, 12]

        await wait_until(alone, "one worker has all")
        async with another_worker(desk.platform, SERVICE, env):
            await wait_until(shared, "two share")
        await wait_until(alone, "one has all again")
