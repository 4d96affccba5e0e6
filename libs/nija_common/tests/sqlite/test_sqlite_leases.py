"""Leases of a process that is gone: whoever has the folder's lock knows that nobody holds them."""

from __future__ import annotations

from pathlib import Path

from nija_common.storage.sqlite import SqliteDatabase
from nija_common.values.clock import ManualClock

AN_HOUR_MS = 3_600_000


async def test_a_platform_that_starts_frees_the_leases_of_the_one_before(path: Path, clock: ManualClock) -> None:
    async with SqliteDatabase.open(path, clock) as died:
        before = await died.storage("trading").take("shard-1", "the dead", AN_HOUR_MS)
    async with SqliteDatabase.open(path, clock) as started:
        storage = started.storage("trading")
        assert await storage.leases("shard-") == []
        taken = await storage.take("shard-1", "the living", AN_HOUR_MS)
    assert before is not None and taken is not None
    assert taken.epoch == before.epoch + 1, "what the dead had begun can still not be committed"


async def test_a_command_beside_a_running_platform_frees_nothing(path: Path, clock: ManualClock) -> None:
    async with SqliteDatabase.open(path, clock) as running:
        await running.storage("trading").take("shard-1", "the platform", AN_HOUR_MS)
        async with SqliteDatabase.open(path, clock, second=True) as command:
            assert [lease.holder for lease in await command.storage("trading").leases("shard-")] == ["the platform"]
            assert await command.storage("trading").take("shard-1", "another", AN_HOUR_MS) is None
