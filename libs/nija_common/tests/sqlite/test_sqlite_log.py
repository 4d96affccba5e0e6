"""Retention of the embedded log, and members that do not answer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from nija_common.bus.port import Bus, Edge, Listener, Message, NotOwner, TopicPartition
from nija_common.bus.sqlite import SqliteBus
from nija_common.bus.sqlite_groups import Groups
from nija_common.events.topics import Topic, parked_topic
from nija_common.storage.sqlite import SqliteDatabase
from nija_common.values.clock import ManualClock

HOUR = 3_600


class Quiet(Listener):
    def __init__(self) -> None:
        self.held: frozenset[TopicPartition] = frozenset()

    async def assigned(self, places: frozenset[TopicPartition]) -> Mapping[TopicPartition, int]:
        self.held = places
        return {}

    async def revoked(self, places: frozenset[TopicPartition]) -> None:
        self.held = frozenset()


@pytest.fixture
async def bus(database: SqliteDatabase, facts: Topic, states: Topic, wake_ups: Topic) -> SqliteBus:
    made = SqliteBus(database)
    await made.ensure([facts, states, wake_ups])
    return made


async def left(bus: Bus, topic: Topic) -> list[int]:
    place = TopicPartition(topic.name, 0)
    async with bus.read({place: Edge.BEGINNING}) as reader:
        return [record.offset for record in await reader.poll(10_000, 0.0)]


async def send(bus: Bus, topic: Topic, count: int, key: str = "k") -> None:
    await bus.send([Message(topic.name, 0, key, b"x") for _ in range(count)])


async def read_to(bus: Bus, topic: Topic, offset: int) -> None:
    """A group joins, commits this offset for the first partition and leaves."""
    async with bus.join(f"readers of {topic.name}", [topic.name], Quiet()) as member, asyncio.timeout(10):
        await member.poll(10_000, 5.0)
        await member.commit({TopicPartition(topic.name, 0): offset})


async def test_wake_ups_go_after_an_hour_and_facts_after_seven_days(
    bus: SqliteBus, clock: ManualClock, facts: Topic, wake_ups: Topic
) -> None:
    for topic in (facts, wake_ups):
        await send(bus, topic, 3)
    clock.advance(HOUR - 1)
    await send(bus, wake_ups, 1)
    assert await bus.prune() == 0
    clock.advance(2)
    assert await bus.prune() == 3
    assert await left(bus, wake_ups) == [3]
    assert await left(bus, facts) == [0, 1, 2]
    clock.advance(7 * 24 * HOUR)
    await bus.prune()
    assert await left(bus, facts) == []
    await send(bus, facts, 1)
    assert await left(bus, facts) == [3], "offsets go on"


async def test_nothing_goes_that_a_registered_group_has_not_read(
    bus: SqliteBus, clock: ManualClock, facts: Topic, states: Topic
) -> None:
    for topic in (facts, states):
        await send(bus, topic, 1_200)
        await read_to(bus, topic, 1_000)
    clock.advance(30 * 24 * HOUR)
    await bus.prune()
    assert await left(bus, facts) == list(range(1_000, 1_200))
    assert await left(bus, states) == list(range(1_000, 1_200))


async def test_a_group_that_has_committed_nothing_has_read_nothing(
    bus: SqliteBus, clock: ManualClock, facts: Topic
) -> None:
    async with bus.join("g", [facts.name], Quiet()):
        pass
    await send(bus, facts, 3)
    clock.advance(30 * 24 * HOUR)
    assert await bus.prune() == 0


async def test_compaction_keeps_the_newest_of_each_key_as_often_as_it_runs(bus: SqliteBus, states: Topic) -> None:
    for round_ in range(3):
        for key in ("a", "b"):
            await send(bus, states, 2, key)
        assert await bus.prune() == (2 if round_ == 0 else 4)
        assert await bus.prune() == 0
        assert await left(bus, states) == [round_ * 4 + 1, round_ * 4 + 3]


async def test_a_reader_goes_on_behind_what_was_dropped(bus: SqliteBus, clock: ManualClock, wake_ups: Topic) -> None:
    place = TopicPartition(wake_ups.name, 0)
    await send(bus, wake_ups, 5)
    async with bus.read({place: Edge.BEGINNING}) as reader:
        clock.advance(HOUR + 1)
        await bus.prune()
        assert await reader.poll(10, 0.0) == []
        assert reader.position(place) == 5
        await send(bus, wake_ups, 1)
        assert [record.offset for record in await reader.poll(10, 5.0)] == [5]


async def test_a_member_that_does_not_give_its_partitions_back_is_put_out(
    database: SqliteDatabase, bus: SqliteBus, facts: Topic
) -> None:
    class Stuck(Quiet):
        async def revoked(self, places: frozenset[TopicPartition]) -> None:
            await asyncio.Event().wait()

    groups = Groups(database.engine, database.lanes, database.tail, answer_s=0.05)
    stuck, other = Stuck(), Quiet()
    first = await groups.join("g", [facts.name], stuck)
    async with asyncio.timeout(10):
        while not stuck.held:
            await asyncio.sleep(0.005)
        second = await groups.join("g", [facts.name], other)
        while len(other.held) < facts.partitions:
            await asyncio.sleep(0.005)
        with pytest.raises(NotOwner):
            await first.poll(1, 1.0)
        with pytest.raises(NotOwner):
            await first.commit({TopicPartition(facts.name, 0): 1})
    first.leave()
    second.leave()
    await groups.close()


async def test_what_a_group_no_longer_reads_is_not_kept_for_it(
    bus: SqliteBus, clock: ManualClock, facts: Topic, wake_ups: Topic
) -> None:
    async def joined(*topics: str) -> None:
        listener = Quiet()
        async with bus.join("g", topics, listener), asyncio.timeout(10):
            while not listener.held:
                await asyncio.sleep(0.005)

    await joined(facts.name, wake_ups.name)
    await send(bus, wake_ups, 3)
    clock.advance(HOUR + 1)
    assert await bus.prune() == 0
    await joined(facts.name)
    assert await bus.prune() == 3


async def test_parked_records_are_kept_however_old(tmp_path: Path) -> None:
    clock = ManualClock()
    parked = parked_topic("toy")
    async with SqliteDatabase.open(tmp_path / "log.sqlite3", clock) as database:
        bus = SqliteBus(database)
        await bus.ensure([parked])
        await bus.send([Message(parked.name, 0, "k", b"{}")])
        clock.advance(400 * 86_400)
        await bus.prune()
        place = TopicPartition(parked.name, 0)
        async with bus.read({place: Edge.BEGINNING}) as reader:
            assert [r.value for r in await reader.poll(10, 1.0)] == [b"{}"]
