"""The consume loop: once each, in order, past poison, through outages; and parked keys come back in order."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nija_common.bus.parked import PARKED_KEYS_A_MINUTE, ParkedKey, parked_id
from nija_common.bus.port import Edge, Message, TopicPartition
from nija_common.bus.replay import replay_key
from nija_common.events.catalogue import codec
from nija_common.events.identity import SessionRevoked, UserSnapshot
from nija_common.events.topics import SESSIONS
from nija_common.runtime.manifest import Service
from nija_common.storage.reads import ReadsOwnWrites
from nija_common.testing import TestPlatform, start_platform
from nija_common.values.clock import ManualClock
from nija_common.values.shards import shard_of

GROUP = "toy.api"


def revoked(user: str, session: str) -> SessionRevoked:
    return SessionRevoked(user_id=user, session_id=session, revoked_until_ms=None, reason="logout")


def snapshot(user: str) -> UserSnapshot:
    return UserSnapshot.model_validate({**UserSnapshot.example, "user_id": user})


async def tally(platform: TestPlatform, kind: Any, user: str) -> Any:
    return await platform.deps("toy").storage.get(kind, user)


async def raw_records(platform: TestPlatform) -> list[Message]:
    """Every record of nija-sessions, as messages that can be sent again."""
    bus = platform.node.infrastructure.bus
    places = [TopicPartition(SESSIONS.name, p) for p in range(SESSIONS.partitions)]
    ends = await bus.ends(places)
    found: list[Message] = []
    async with bus.read(dict.fromkeys(places, Edge.BEGINNING)) as reader:
        while any(reader.position(place) < end for place, end in ends.items()):
            records = await reader.poll(1000, 0.05)
            found += [Message(r.topic, r.partition, r.key or "", r.value, r.headers) for r in records]
    return found


async def test_each_event_counts_once_and_in_order(
    tmp_path: Path, clock: ManualClock, toy: Service, tally_class: Any
) -> None:
    async with start_platform(tmp_path, [toy], clock=clock) as platform:
        events = [revoked(f"usr_{i % 7}", f"s{i:04}") for i in range(350)]
        await platform.given_events(*events)
        for user in range(7):
            seen = (await tally(platform, tally_class, f"usr_{user}")).seen
            assert seen == tuple(f"s{i:04}" for i in range(350) if i % 7 == user)
        assert sorted(platform.deps("toy").heard) == [f"s{i:04}" for i in range(350)]


async def test_a_restart_goes_on_where_the_commit_left_it(
    tmp_path: Path, clock: ManualClock, toy: Service, tally_class: Any
) -> None:
    async with start_platform(tmp_path, [toy], clock=clock) as platform:
        await platform.given_events(revoked("usr_1", "a"), revoked("usr_1", "b"))
    async with start_platform(tmp_path, [toy], clock=clock) as platform:
        await platform.given_events(revoked("usr_1", "c"))
        assert (await tally(platform, tally_class, "usr_1")).seen == ("a", "b", "c")
        assert platform.deps("toy").tried == ["c"]


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_duplicates_through_the_bus_change_nothing(
    tmp_path_factory: pytest.TempPathFactory, toy: Service, tally_class: Any, data: st.DataObject
) -> None:
    """Every record comes one to three times, late repeats included; the first of each keeps its order."""
    repeats = data.draw(st.lists(st.integers(1, 3), min_size=40, max_size=40))
    lateness = data.draw(st.lists(st.integers(0, 49), min_size=120, max_size=120))

    async def story() -> None:
        folder = tmp_path_factory.mktemp("bus")
        async with start_platform(folder, [toy], clock=ManualClock()) as platform:
            events = [revoked(f"usr_{i % 3}", f"s{i:02}") for i in range(40)]
            await platform.given_events(*events)
            expected = {u: (await tally(platform, tally_class, f"usr_{u}")).seen for u in range(3)}
            late: list[tuple[int, int, Message]] = []
            position = 0
            for index, message in enumerate(await raw_records(platform)):
                for _ in range(repeats[index] - 1):
                    late.append((index + lateness[position], position, message))
                    position += 1
            late.sort(key=lambda entry: entry[:2])
            await platform.node.infrastructure.bus.send([entry[2] for entry in late])
            await platform.settled()
            assert {u: (await tally(platform, tally_class, f"usr_{u}")).seen for u in range(3)} == expected

    asyncio.run(story())


async def test_a_poison_event_parks_its_key_and_nobody_elses(
    tmp_path: Path, clock: ManualClock, toy: Service, tally_class: Any
) -> None:
    async with start_platform(tmp_path, [toy], clock=clock) as platform:
        deps = platform.deps("toy")
        deps.broken.add("poison")
        same_partition = next(f"usr_{i}" for i in range(1000) if shard_of(f"usr_{i}") == shard_of("usr_bad"))
        await platform.given_events(
            revoked("usr_bad", "first"),
            revoked("usr_bad", "poison"),
            revoked("usr_bad", "later"),
            revoked(same_partition, "fine"),
        )
        assert (await tally(platform, tally_class, "usr_bad")).seen == ("first",)
        assert (await tally(platform, tally_class, same_partition)).seen == ("fine",)
        parked = await deps.storage.get(ParkedKey, parked_id(GROUP, SESSIONS.name, "usr_bad"))
        assert (parked.forwarded, parked.replayed) == (2, 0)
        assert "cannot handle poison" in parked.reason


async def test_a_replay_handles_the_parked_events_in_order_and_releases_the_key(
    tmp_path: Path, clock: ManualClock, toy: Service, tally_class: Any
) -> None:
    async with start_platform(tmp_path, [toy], clock=clock) as platform:
        deps, running = platform.deps("toy"), platform.node.running["toy"]
        deps.broken.add("b")
        await platform.given_events(*(revoked("usr_1", s) for s in ("a", "b", "c")))
        deps.broken.clear()
        parked = await deps.storage.get(ParkedKey, parked_id(GROUP, SESSIONS.name, "usr_1"))
        subscription = toy.roles["api"].subscriptions[0]
        handled = await replay_key(
            parked,
            service="toy",
            handlers=subscription.handlers,
            deps=deps,
            storage=running.storage,
            bus=platform.node.infrastructure.bus,
            work=running.work,
            codec=codec(),
        )
        assert handled == 2
        await platform.given_events(revoked("usr_1", "d"))
        assert (await tally(platform, tally_class, "usr_1")).seen == ("a", "b", "c", "d")
        assert await deps.storage.get(ParkedKey, parked.id) is None


async def test_a_replay_goes_on_beside_a_consumer_that_sets_more_aside_and_passes_over_what_it_is_told_to(
    tmp_path: Path, clock: ManualClock, toy: Service, tally_class: Any
) -> None:
    async with start_platform(tmp_path, [toy], clock=clock) as platform:
        deps, running = platform.deps("toy"), platform.node.running["toy"]
        deps.broken.add("0")
        await platform.given_events(*(revoked("usr_1", str(n)) for n in range(10)))
        parked = await deps.storage.get(ParkedKey, parked_id(GROUP, SESSIONS.name, "usr_1"))
        more = [revoked("usr_1", str(n)) for n in range(10, 20)]

        class Meanwhile(ReadsOwnWrites):
            """The consumer changes the key's document between its reading and the commit, once."""

            async def get(self, kind: Any, document_id: str) -> Any:
                found = await super().get(kind, document_id)
                if isinstance(found, ParkedKey) and found.replayed == 5 and more:
                    events, more[:] = list(more), []
                    await platform.given_events(*events)
                return found

        handled = await replay_key(
            parked,
            service="toy",
            handlers=toy.roles["api"].subscriptions[0].handlers,
            deps=deps,
            storage=Meanwhile(running.storage),
            bus=platform.node.infrastructure.bus,
            work=running.work,
            codec=codec(),
            skip=(0, 3),
        )
        assert handled == 20 and deps.tried.count("5") == 2
        seen = (await tally(platform, tally_class, "usr_1")).seen
        assert seen == tuple(str(n) for n in range(20) if n not in (0, 3))
        assert await deps.storage.get(ParkedKey, parked.id) is None


@pytest.mark.parametrize(
    "value",
    [b"\xff\xfe", b"{}", b"x" * 500_000, b'{"type":"session.revoked","version":99,"source":"s","data":{}}'],
    ids=["bytes", "no-envelope", "large", "unknown-version"],
)
async def test_a_malformed_record_is_parked_with_its_reason(
    tmp_path: Path, clock: ManualClock, toy: Service, tally_class: Any, value: bytes
) -> None:
    async with start_platform(tmp_path, [toy], clock=clock) as platform:
        bus = platform.node.infrastructure.bus
        await bus.send([Message(SESSIONS.name, shard_of("usr_1"), "usr_1", value)])
        await platform.given_events(revoked("usr_2", "fine"))
        parked = await platform.deps("toy").storage.get(ParkedKey, parked_id(GROUP, SESSIONS.name, "usr_1"))
        assert parked.forwarded == 1
        assert parked.reason
        assert (await tally(platform, tally_class, "usr_2")).seen == ("fine",)


async def test_a_hole_parks_the_key(tmp_path: Path, clock: ManualClock, toy: Service, tally_class: Any) -> None:
    async with start_platform(tmp_path, [toy], clock=clock) as platform:
        await platform.given_events(revoked("usr_1", "a"))
        (message,) = await raw_records(platform)
        skipped = message.value.replace(b'"seq":1', b'"seq":3').replace(b"[1,1]", b"[1,3]")
        await platform.node.infrastructure.bus.send(
            [Message(message.topic, message.partition, message.key, skipped, message.headers)]
        )
        await platform.settled()
        parked = await platform.deps("toy").storage.get(ParkedKey, parked_id(GROUP, SESSIONS.name, "usr_1"))
        assert parked.reason == "events 2 to 2 are missing"


async def test_a_transient_error_is_waited_out_without_loss(
    tmp_path: Path, clock: ManualClock, toy: Service, tally_class: Any
) -> None:
    async with start_platform(tmp_path, [toy], clock=clock) as platform:
        deps = platform.deps("toy")
        deps.away.add("b")
        giving = asyncio.create_task(platform.given_events(*(revoked("usr_1", s) for s in ("a", "b", "c"))))
        while deps.tried.count("b") < 3:
            await asyncio.sleep(0.01)
        deps.away.clear()
        await giving
        assert (await tally(platform, tally_class, "usr_1")).seen == ("a", "b", "c")
        assert await deps.storage.get(ParkedKey, parked_id(GROUP, SESSIONS.name, "usr_1")) is None


async def test_many_parked_keys_suspend_the_subscription_and_end_no_process(
    tmp_path: Path, clock: ManualClock, toy: Service, tally_class: Any
) -> None:
    async with start_platform(tmp_path, [toy], clock=clock) as platform:
        deps = platform.deps("toy")
        user = "usr_0"
        same = [u for u in (f"usr_{i}" for i in range(2000)) if shard_of(u) == shard_of(user)]
        poisons = same[:PARKED_KEYS_A_MINUTE]
        deps.broken.add("poison")
        work = platform.node.running["toy"].work
        uow = work.open()
        uow.emit(*(revoked(u, "poison") for u in poisons), revoked(same[-1], "after"))
        await work.commit(uow)
        group = platform.node.running["toy"].storage
        while (await group.count(ParkedKey, "by_group", (GROUP,))) < PARKED_KEYS_A_MINUTE:
            await asyncio.sleep(0.01)
        await platform.node.infrastructure.bus.ends([TopicPartition(SESSIONS.name, 0)])
        assert await tally(platform, tally_class, same[-1]) is None
        assert await tally(platform, tally_class, user) is None


async def test_a_search_among_documents_of_the_same_batch_sees_them(
    tmp_path: Path, clock: ManualClock, toy: Service, tally_class: Any
) -> None:
    async with start_platform(tmp_path, [toy], clock=clock) as platform:
        partition = shard_of("usr_0")
        users = [u for u in (f"usr_{i}" for i in range(1000)) if shard_of(u) == partition][:12]
        await platform.given_events(*(snapshot(u) for u in users))
        counts = [(await tally(platform, tally_class, f"all-{u}")).count for u in users]
        assert counts == list(range(12))
