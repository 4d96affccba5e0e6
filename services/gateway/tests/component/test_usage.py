"""Who called how often leaves as events: every interval, once, also around trouble and at the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from nija_common.errors import unavailable
from nija_common.events.administration import ApiUsageCounted
from nija_common.runtime.platform import Platform
from nija_common.storage.port import Commit
from nija_common.storage.unit_of_work import Work
from nija_common.testing.running import start_platform
from nija_common.values.clock import ManualClock
from nija_common.values.tiers import Tier
from nija_gateway.service import SERVICE
from nija_gateway.wiring import build

BALANCE = "/api/v1/account/balance"
GLOBAL = "global"


async def told(gateway: Any, count: int) -> list[ApiUsageCounted]:
    """The events, once there are so many."""
    async with asyncio.timeout(10):
        while len(found := await gateway.platform.emitted(ApiUsageCounted)) < count:
            await asyncio.sleep(0.005)
    events: list[ApiUsageCounted] = found
    return events


def calls_of(events: list[ApiUsageCounted], user_id: str) -> int:
    return sum(event.calls for event in events if event.user_id == user_id)


async def test_every_interval_each_caller_is_told_and_global_also_without_a_call(gateway: Any) -> None:
    await gateway.known("usr_a")
    for _ in range(3):
        await gateway.client("usr_a").get(BALANCE)
    gateway.toy.status = 502
    await gateway.client("usr_a").get(BALANCE)
    gateway.toy.status = 200
    await gateway.client().get("/api/v1/subscription/plans")
    await gateway.client().get(BALANCE)
    begun = gateway.clock.now_ms()
    gateway.clock.advance(10)
    events = {event.user_id: event for event in await told(gateway, 2)}
    assert (events["usr_a"].calls, events["usr_a"].errors) == (4, 1)
    assert (events[GLOBAL].calls, events[GLOBAL].errors) == (2, 0)
    assert (events["usr_a"].from_ms, events["usr_a"].to_ms) == (begun, begun + 10_000)
    gateway.clock.advance(10)
    third = (await told(gateway, 3))[-1]
    assert (third.user_id, third.calls, third.from_ms) == (GLOBAL, 0, begun + 10_000)


async def test_calls_that_are_refused_count_for_whoever_made_them(gateway: Any) -> None:
    await gateway.known("usr_a", Tier.FREE)
    answers = [await gateway.client("usr_a").get(BALANCE) for _ in range(12)]
    assert [answer.status_code for answer in answers][-2:] == [429, 429]
    assert (await gateway.client("usr_a").get("/api/v1/admin/anything")).status_code == 403
    gateway.clock.advance(10)
    events = await told(gateway, 2)
    assert (calls_of(events, "usr_a"), calls_of(events, GLOBAL)) == (13, 0)


class UnsureStorage:
    """Commits, and says that it does not know whether it has, while `unsure`."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.unsure = True
        self.tried = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def commit(self, commit: Commit, *, deadline_s: float = 5.0) -> None:
        await self.inner.commit(commit, deadline_s=deadline_s)
        if self.unsure:
            self.tried.set()
            raise unavailable("It is not known whether this was saved.")


async def test_what_is_not_known_to_be_committed_is_told_once_when_the_store_is_sure_again(
    tmp_path: Path, clock: ManualClock
) -> None:
    storages: list[UnsureStorage] = []

    @asynccontextmanager
    async def build_unsure(settings: Any, platform: Platform) -> AsyncIterator[Any]:
        storage: Any = UnsureStorage(platform.storage)
        storages.append(storage)
        work = Work(storage, platform.bus, platform.clock, platform.service)
        async with build(settings, replace(platform, work=work)) as deps:
            yield deps

    async with start_platform(tmp_path, [replace(SERVICE, build=build_unsure)], clock=clock) as platform:
        await platform.client("gateway").get("/")
        clock.advance(10)
        await asyncio.wait_for(storages[0].tried.wait(), 10)
        await platform.client("gateway").get("/")
        storages[0].unsure = False
    async with start_platform(tmp_path, [SERVICE], clock=clock) as platform:
        events = await platform.emitted(ApiUsageCounted)
        assert [event.calls for event in events if event.calls] == [1, 1]


async def test_the_last_counts_are_told_when_the_process_ends(tmp_path: Path, clock: ManualClock) -> None:
    async with start_platform(tmp_path, [SERVICE], clock=clock) as platform:
        for _ in range(5):
            assert (await platform.client("gateway").get("/")).status_code == 200
    async with start_platform(tmp_path, [SERVICE], clock=clock) as platform:
        events = await platform.emitted(ApiUsageCounted)
        assert calls_of(events, GLOBAL) == 5
