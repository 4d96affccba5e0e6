"""What the platform tells of itself moves for the real reason: lag, parked keys, an outbox that waits, a loop that is held up."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from nija_common.bus.parked import PARKED_KEYS_A_MINUTE
from nija_common.bus.watch import EVERY_S
from nija_common.events.identity import SessionRevoked
from nija_common.events.topics import SESSIONS
from nija_common.runtime.infrastructure import open_infrastructure
from nija_common.runtime.loops import LAG_EVERY_S, watch_lag
from nija_common.runtime.manifest import Service
from nija_common.runtime.settings import PlatformSettings
from nija_common.storage.mongo import MongoServer
from nija_common.storage.outbox import Relay
from nija_common.storage.sqlite import SqliteDatabase
from nija_common.storage.sqlite_engine import Transaction
from nija_common.storage.unit_of_work import Work
from nija_common.testing import TestPlatform, start_platform
from nija_common.testing.measured import measured
from nija_common.testing.processes import free_ports
from nija_common.testing.sockets import eventually
from nija_common.values.clock import ManualClock

GROUP = "toy.api"
HERE = {"group": GROUP, "topic": SESSIONS.name}


def revoked(user: str, session: str) -> SessionRevoked:
    return SessionRevoked(user_id=user, session_id=session, revoked_until_ms=None, reason="logout")


async def append(platform: TestPlatform, *events: SessionRevoked) -> None:
    """Without waiting for anybody to apply them."""
    work = platform.node.running["toy"].work
    uow = work.open()
    uow.emit(*events)
    await work.commit(uow)


async def test_lag_is_what_a_group_has_not_applied_and_goes_when_it_has(
    tmp_path: Path, clock: ManualClock, toy: Service
) -> None:
    def lag() -> float:
        clock.advance(EVERY_S)
        return measured("nija_consumer_lag", **HERE)

    async with start_platform(tmp_path, [toy], clock=clock) as platform:
        deps = platform.deps("toy")
        deps.away.add("stuck")
        retried = measured("nija_events_retried_total", **HERE)
        await append(platform, *(revoked("usr_1", s) for s in ("stuck", "a", "b")))
        await eventually(lambda: lag() == 3, "three records behind")
        await eventually(lambda: measured("nija_events_retried_total", **HERE) > retried, "the batch is tried again")
        deps.away.clear()
        await platform.settled()
        await eventually(lambda: lag() == 0, "nothing behind")


async def test_the_age_of_what_was_applied_is_its_events(tmp_path: Path, clock: ManualClock, toy: Service) -> None:
    count, total = (measured(f"nija_event_age_seconds_{part}", **HERE) for part in ("count", "sum"))
    async with start_platform(tmp_path, [toy], clock=clock) as platform:
        deps = platform.deps("toy")
        deps.away.add("late")
        await append(platform, revoked("usr_1", "late"))
        await eventually(lambda: bool(deps.tried), "it is tried")
        clock.advance(7)
        deps.away.clear()
        await platform.settled()
    assert measured("nija_event_age_seconds_count", **HERE) == count + 1
    assert measured("nija_event_age_seconds_sum", **HERE) == pytest.approx(total + 7)


async def test_parked_keys_and_the_suspension_that_many_of_them_bring_are_told(
    tmp_path: Path, clock: ManualClock, toy: Service
) -> None:
    def parked() -> float:
        clock.advance(EVERY_S)
        return measured("nija_parked_keys", group=GROUP)

    counted = measured("nija_keys_parked_total", **HERE)
    async with start_platform(tmp_path, [toy], clock=clock) as platform:
        assert measured("nija_subscription_suspended", **HERE) == 0
        platform.deps("toy").broken.add("poison")
        await append(platform, *(revoked(f"usr_{i}", "poison") for i in range(PARKED_KEYS_A_MINUTE)))
        await eventually(lambda: measured("nija_subscription_suspended", **HERE) == 1, "the subscription is suspended")
        await eventually(lambda: parked() == PARKED_KEYS_A_MINUTE, "the parked keys are counted")
        assert measured("nija_keys_parked_total", **HERE) == counted + PARKED_KEYS_A_MINUTE
    async with start_platform(tmp_path, [toy], clock=clock):
        assert measured("nija_subscription_suspended", **HERE) == 0


async def test_an_outbox_grows_old_while_the_bus_is_away_and_says_so(tmp_path: Path, clock: ManualClock) -> None:
    (nobody,) = free_ports(1)
    settings = PlatformSettings(data_dir=tmp_path, bus="kafka", kafka_bootstrap=f"127.0.0.1:{nobody}")
    async with open_infrastructure(settings, clock) as infrastructure:
        storage, outbox = infrastructure.storage_of("toy"), infrastructure.outbox_of("toy")
        assert outbox is not None
        await storage.migrate([])
        work = Work(storage, infrastructure.bus, clock, "toy")
        uow = work.open()
        uow.emit(revoked("usr_1", "a"), revoked("usr_1", "b"))
        await work.commit(uow)
        clock.advance(40)
        relay = Relay(service="toy", outbox=outbox, storage=storage, bus=infrastructure.bus, clock=clock, holder="here")
        task = asyncio.create_task(relay.run())
        try:
            await eventually(lambda: measured("nija_outbox_age_seconds", service="toy") == 40, "the oldest row's age")
            assert measured("nija_outbox_rows", service="toy") == 2
            assert measured("nija_outbox_failures_total", service="toy") >= 1
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def test_a_loop_that_is_held_up_is_seen_to_be_late() -> None:
    before = measured("nija_loop_lag_seconds_sum")
    task = asyncio.create_task(watch_lag())
    await asyncio.sleep(0)
    time.sleep(LAG_EVERY_S + 0.2)  # noqa: ASYNC251 - this is what holds the loop up
    await eventually(lambda: measured("nija_loop_lag_seconds_sum") >= before + 0.19, "the delay is measured")
    task.cancel()


async def test_units_of_work_that_wait_for_the_writer_are_counted(tmp_path: Path, clock: ManualClock) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def hold(_unit: Transaction) -> None:
        begun.set()
        go_on.wait(10)

    async with SqliteDatabase.open(tmp_path / "file", clock) as database:
        first = asyncio.create_task(database.engine.write(hold))
        await eventually(begun.is_set, "the first has begun")
        others = [asyncio.create_task(database.engine.write(lambda _unit: None)) for _ in range(3)]
        await eventually(lambda: measured("nija_store_waiting", store="sqlite") == 3, "three wait")
        go_on.set()
        await asyncio.gather(first, *others)
        assert measured("nija_store_waiting", store="sqlite") == 0


@pytest.mark.mongo
async def test_connections_to_mongodb_are_counted_while_they_are_in_use(mongo_url: str, namespace: str) -> None:
    async with MongoServer.open(mongo_url, namespace=namespace) as server:
        storage = server.storage("toy")
        asking = [asyncio.create_task(storage.now_ms()) for _ in range(8)]
        await eventually(lambda: measured("nija_store_waiting", store="mongodb") >= 1, "a connection is in use")
        await asyncio.gather(*asking)
        assert measured("nija_store_waiting", store="mongodb") == 0


async def test_a_process_tells_which_roles_it_runs(tmp_path: Path, clock: ManualClock, toy: Service) -> None:
    async with start_platform(tmp_path, [toy], clock=clock):
        assert measured("nija_role", service="toy", role="api") == 1
