"""The bus port: what every adapter promises about order, groups, offsets, readers, fencing and policies."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import pytest

from nija_common.bus.port import (
    Bus,
    Edge,
    Listener,
    Member,
    Message,
    NotOwner,
    Reader,
    Record,
    Since,
    Start,
    TopicPartition,
)
from nija_common.events.topics import Kind, Topic

PARTITIONS = 4


class Backend(Protocol):
    deadline_s: float

    async def client(self) -> Bus: ...
    async def restart(self) -> None: ...
    async def compact(self, topic: Topic) -> bool: ...


Eventually = Callable[[Callable[[], bool | Awaitable[bool]]], Awaitable[None]]


class Holder(Listener):
    """A listener that remembers what it holds; `starts` is what it answers with."""

    def __init__(self, starts: Mapping[TopicPartition, int] | None = None) -> None:
        self.places: frozenset[TopicPartition] = frozenset()
        self.revocations: list[frozenset[TopicPartition]] = []
        self._starts = starts or {}

    async def assigned(self, places: frozenset[TopicPartition]) -> Mapping[TopicPartition, int]:
        self.places = places
        return {place: offset for place, offset in self._starts.items() if place in places}

    async def revoked(self, places: frozenset[TopicPartition]) -> None:
        self.places -= places
        self.revocations.append(places)


@pytest.fixture
async def topic(bus_backend: Backend) -> Topic:
    made = Topic(f"nija-suite-{secrets.token_hex(4)}", Kind.FACT, "user", partitions=PARTITIONS)
    await (await bus_backend.client()).ensure([made])
    return made


@pytest.fixture
async def states(bus_backend: Backend) -> Topic:
    made = Topic(f"nija-suite-{secrets.token_hex(4)}", Kind.STATE, "user", partitions=PARTITIONS)
    await (await bus_backend.client()).ensure([made])
    return made


@pytest.fixture
async def bus(bus_backend: Backend) -> Bus:
    return await bus_backend.client()


def places_of(topic: Topic) -> list[TopicPartition]:
    return [TopicPartition(topic.name, partition) for partition in range(topic.partitions)]


def numbered(topic: Topic, count: int, first: int = 0) -> list[Message]:
    """Messages 0, 1, 2… over all partitions, one key a partition."""
    return [
        Message(topic.name, n % topic.partitions, f"key{n % topic.partitions}", str(n).encode())
        for n in range(first, first + count)
    ]


async def polled(source: Member | Reader, count: int) -> list[Record]:
    """At least so many records; fails if they do not come."""
    found: list[Record] = []
    async with asyncio.timeout(30):
        while len(found) < count:
            found += await source.poll(100, 0.2)
    return found


async def everything(bus: Bus, topic: Topic, count: int) -> list[Record]:
    async with bus.read(dict.fromkeys(places_of(topic), Edge.BEGINNING)) as reader:
        return await polled(reader, count)


def values(records: list[Record]) -> list[int]:
    return sorted(int(record.value) for record in records)


def offsets_after(records: list[Record]) -> dict[TopicPartition, int]:
    return {record.place: record.offset + 1 for record in records}


# Sending and reading.


async def test_a_record_arrives_as_it_was_sent(bus: Bus, topic: Topic) -> None:
    sent = Message(topic.name, 2, "usr_ö", b"\x00\xff{}", {"type": "a.b", "traceparent": "00-1-2-01"})
    await bus.send([sent])
    (read,) = await everything(bus, topic, 1)
    assert (read.topic, read.partition, read.offset, read.key) == (topic.name, 2, 0, "usr_ö")
    assert (read.value, dict(read.headers)) == (sent.value, dict(sent.headers))
    assert read.timestamp_ms > 1_600_000_000_000


async def test_order_holds_within_a_partition_and_offsets_have_no_holes(bus: Bus, topic: Topic) -> None:
    for start in range(0, 200, 50):
        await bus.send(numbered(topic, 50, start))
    records = await everything(bus, topic, 200)
    for partition in range(PARTITIONS):
        mine = [record for record in records if record.partition == partition]
        assert [record.offset for record in mine] == list(range(50))
        assert [int(record.value) for record in mine] == list(range(partition, 200, PARTITIONS))


async def test_order_of_a_key_holds_while_many_send(bus: Bus, topic: Topic) -> None:
    async def send(key: int) -> None:
        for n in range(20):
            await bus.send([Message(topic.name, key % PARTITIONS, f"k{key}", str(n).encode())])

    await asyncio.gather(*(send(key) for key in range(8)))
    records = await everything(bus, topic, 160)
    for key in range(8):
        assert [int(r.value) for r in records if r.key == f"k{key}"] == list(range(20))


async def test_a_reader_starts_where_it_is_told(bus: Bus, topic: Topic) -> None:
    await bus.send(numbered(topic, 12))
    first, second, third, fourth = places_of(topic)
    records = await everything(bus, topic, 12)
    times = {record.offset: record.timestamp_ms for record in records if record.place == third}
    starts: dict[TopicPartition, Start] = {
        first: Edge.BEGINNING,
        second: Edge.END,
        third: Since(times[0]),
        fourth: 2,
    }
    async with bus.read(starts) as reader:
        found = await polled(reader, 7)
        await bus.send(numbered(topic, 4, 12))
        found += await polled(reader, 4)
    by_place = {place: [int(r.value) for r in found if r.place == place] for place in places_of(topic)}
    assert by_place == {first: [0, 4, 8, 12], second: [13], third: [2, 6, 10, 14], fourth: [11, 15]}


async def test_a_reader_since_a_time_to_come_starts_at_the_end(bus: Bus, topic: Topic) -> None:
    await bus.send(numbered(topic, 4))
    place = TopicPartition(topic.name, 0)
    async with bus.read({place: Since(4_000_000_000_000)}) as reader:
        assert await reader.poll(10, 0.1) == []
        await bus.send(numbered(topic, 1, 4))
        assert values(await polled(reader, 1)) == [4]


async def test_readers_share_nothing(bus: Bus, topic: Topic) -> None:
    await bus.send(numbered(topic, 8))
    assert values(await everything(bus, topic, 8)) == values(await everything(bus, topic, 8)) == list(range(8))


async def test_a_poll_without_records_ends_after_its_timeout(bus: Bus, topic: Topic) -> None:
    async with bus.read(dict.fromkeys(places_of(topic), Edge.END)) as reader, asyncio.timeout(10):
        assert await reader.poll(10, 0.05) == []


async def test_a_waiting_poll_is_woken_by_a_record(bus_backend: Backend, bus: Bus, topic: Topic) -> None:
    other = await bus_backend.client()
    async with bus.read(dict.fromkeys(places_of(topic), Edge.BEGINNING)) as reader, asyncio.timeout(20):
        waiting = asyncio.create_task(reader.poll(10, 60.0))
        await asyncio.sleep(0)
        await other.send(numbered(topic, 1))
        assert values(await waiting) == [0]


async def test_ends_tells_the_offset_after_the_last_record(bus: Bus, topic: Topic) -> None:
    await bus.send(numbered(topic, 6))
    ends = await bus.ends(places_of(topic))
    assert [ends[place] for place in places_of(topic)] == [2, 2, 1, 1]


async def test_offsets_tell_where_a_reader_would_start(bus: Bus, topic: Topic) -> None:
    await bus.send(numbered(topic, 12))
    first, second, third, fourth = places_of(topic)
    starts: dict[TopicPartition, Start] = {
        first: Edge.BEGINNING,
        second: Edge.END,
        third: Since(1_600_000_000_000),
        fourth: Since(4_000_000_000_000),
    }
    assert await bus.offsets(starts) == {first: 0, second: 3, third: 0, fourth: 3}
    assert await bus.offsets({first: 2}) == {first: 2}
    assert await bus.offsets({}) == {}


async def test_records_survive_a_restart(bus_backend: Backend, bus: Bus, topic: Topic) -> None:
    await bus.send(numbered(topic, 8))
    await bus_backend.restart()
    again = await bus_backend.client()
    assert values(await everything(again, topic, 8)) == list(range(8))
    await again.send(numbered(topic, 4, 8))
    assert values(await everything(again, topic, 12)) == list(range(12))


# Groups.


async def test_a_group_starts_at_the_beginning_and_goes_on_at_its_committed_offsets(
    bus_backend: Backend, bus: Bus, topic: Topic
) -> None:
    await bus.send(numbered(topic, 8))
    assert await bus.committed("readers", places_of(topic)) == {}
    async with bus.join("readers", [topic.name], Holder()) as member:
        records = await polled(member, 8)
        assert values(records) == list(range(8))
        await member.commit(offsets_after(records))
    await bus_backend.restart()
    again = await bus_backend.client()
    assert await again.committed("readers", places_of(topic)) == dict.fromkeys(places_of(topic), 2)
    await again.send(numbered(topic, 4, 8))
    async with again.join("readers", [topic.name], Holder()) as member:
        assert values(await polled(member, 4)) == [8, 9, 10, 11]


async def test_what_was_not_committed_is_delivered_again_after_a_crash(
    bus_backend: Backend, bus: Bus, topic: Topic
) -> None:
    await bus.send(numbered(topic, 8))
    async with bus.join("readers", [topic.name], Holder()) as member:
        records = await polled(member, 8)
        await member.commit({record.place: 1 for record in records})
        await bus_backend.restart()
    again = await bus_backend.client()
    async with again.join("readers", [topic.name], Holder()) as member:
        assert values(await polled(member, 4)) == [4, 5, 6, 7]


async def test_the_listener_decides_where_a_partition_starts(bus: Bus, topic: Topic) -> None:
    await bus.send(numbered(topic, 16))
    async with bus.join("readers", [topic.name], Holder()) as member:
        await member.commit(offsets_after(await polled(member, 16)))
    starts = {TopicPartition(topic.name, 0): 3, TopicPartition(topic.name, 1): 2}
    async with bus.join("readers", [topic.name], Holder(starts)) as member:
        assert values(await polled(member, 3)) == [9, 12, 13]


async def test_groups_do_not_touch_each_other(bus: Bus, topic: Topic) -> None:
    await bus.send(numbered(topic, 4))
    async with bus.join("one", [topic.name], Holder()) as one, bus.join("two", [topic.name], Holder()) as two:
        first, second = await asyncio.gather(polled(one, 4), polled(two, 4))
        await one.commit(offsets_after(first))
    assert values(first) == values(second) == [0, 1, 2, 3]
    assert await bus.committed("two", places_of(topic)) == {}


async def test_members_share_the_partitions_and_all_are_revoked_when_one_joins_or_leaves(
    bus_backend: Backend, bus: Bus, topic: Topic, eventually: Eventually
) -> None:
    everything_there_is = frozenset(places_of(topic))
    first, second = Holder(), Holder()
    other = await bus_backend.client()
    async with bus.join("readers", [topic.name], first) as member:
        await eventually(lambda: first.places == everything_there_is)
        async with other.join("readers", [topic.name], second) as late:
            await eventually(lambda: first.places | second.places == everything_there_is and bool(second.places))
            assert not first.places & second.places
            assert len(first.places) == len(second.places) == PARTITIONS // 2
            assert everything_there_is in first.revocations
            await bus.send(numbered(topic, 8))
            mine, theirs = await asyncio.gather(polled(member, 4), polled(late, 4))
            assert {r.place for r in mine} == first.places and {r.place for r in theirs} == second.places
            assert values(mine + theirs) == list(range(8))
        await eventually(lambda: first.places == everything_there_is)


async def test_a_member_that_lost_a_partition_cannot_commit_for_it(
    bus_backend: Backend, bus: Bus, topic: Topic, eventually: Eventually
) -> None:
    await bus.send(numbered(topic, 8))
    first, second = Holder(), Holder()
    other = await bus_backend.client()
    async with bus.join("readers", [topic.name], first) as member:
        records = await polled(member, 8)
        async with other.join("readers", [topic.name], second):
            await eventually(lambda: bool(second.places) and bool(first.places))
            lost = {p: offset for p, offset in offsets_after(records).items() if p in second.places}
            with pytest.raises(NotOwner):
                await member.commit(lost)
    assert await bus.committed("readers", list(lost)) == {}


async def test_work_in_hand_is_finished_and_committed_before_a_partition_moves(
    bus_backend: Backend, bus: Bus, topic: Topic, eventually: Eventually
) -> None:
    await bus.send(numbered(topic, 8))

    class Finishing(Holder):
        member: Member
        in_hand: Mapping[TopicPartition, int] = {}

        async def revoked(self, places: frozenset[TopicPartition]) -> None:
            await asyncio.sleep(0.05)
            await self.member.commit(self.in_hand)
            self.in_hand = {}
            await super().revoked(places)

    first, second = Finishing(), Holder()
    other = await bus_backend.client()
    async with bus.join("readers", [topic.name], first) as first.member:
        first.in_hand = offsets_after(await polled(first.member, 8))
        async with other.join("readers", [topic.name], second) as late:
            await eventually(lambda: bool(second.places))
            assert await bus.committed("readers", places_of(topic)) == dict.fromkeys(places_of(topic), 2)
            assert await late.poll(10, 0.2) == []


async def test_nothing_is_missed_while_members_come_and_go(bus_backend: Backend, bus: Bus, topic: Topic) -> None:
    handled: list[tuple[int, int]] = []
    all_sent = asyncio.Event()

    async def work(turns: int) -> None:
        """A member that handles and commits, and leaves after so many polls with records, or when all is handled."""
        client = await bus_backend.client()
        async with client.join("readers", [topic.name], Holder()) as member:
            while turns and len({n for _, n in handled}) < 120:
                records = await member.poll(7, 0.2)
                handled.extend((record.partition, int(record.value)) for record in records)
                turns -= bool(records)
                try:
                    await member.commit(offsets_after(records))
                except NotOwner:
                    continue

    async def send() -> None:
        for start in range(0, 120, 4):
            await bus.send(numbered(topic, 4, start))
            await asyncio.sleep(0.01)
        all_sent.set()

    async with asyncio.timeout(60):
        await asyncio.gather(send(), work(3), work(5), work(10_000))
    assert all_sent.is_set()
    assert {n for _, n in handled} == set(range(120))
    for partition in range(PARTITIONS):
        firsts = list(dict.fromkeys(n for where, n in handled if where == partition))
        assert firsts == sorted(firsts), "what is delivered again comes again in order, nothing overtakes"


async def test_what_a_listener_raises_comes_out_of_the_next_poll(bus: Bus, topic: Topic) -> None:
    class Failing(Holder):
        async def assigned(self, places: frozenset[TopicPartition]) -> Mapping[TopicPartition, int]:
            raise RuntimeError("no positions")

    async with bus.join("readers", [topic.name], Failing()) as member, asyncio.timeout(30):
        with pytest.raises(RuntimeError, match="no positions"):
            while True:
                await member.poll(10, 0.2)


async def test_a_paused_partition_waits_and_a_sought_one_goes_where_it_is_told(bus: Bus, topic: Topic) -> None:
    first, second = places_of(topic)[:2]
    async with bus.join("readers", [topic.name], Holder()) as member:
        await bus.send(numbered(topic, 8))
        await polled(member, 8)
        member.pause(first)
        await bus.send(numbered(topic, 4, 8))
        assert values(await polled(member, 3)) == [9, 10, 11]
        assert await member.poll(10, 0.2) == []
        await member.seek(second, 1)
        assert values(await polled(member, 2)) == [5, 9]
        member.resume(first)
        assert values(await polled(member, 1)) == [8]
        assert (member.position(first), member.position(second)) == (3, 3)


async def test_a_poll_returns_no_more_than_asked_and_starves_no_partition(bus: Bus, topic: Topic) -> None:
    await bus.send(numbered(topic, 400))
    async with bus.read(dict.fromkeys(places_of(topic), Edge.BEGINNING)) as reader:
        seen: set[int] = set()
        found = 0
        async with asyncio.timeout(30):
            while found < 400:
                records = await reader.poll(10, 0.5)
                assert len(records) <= 10
                found += len(records)
                seen |= {record.partition for record in records}
    assert seen == set(range(PARTITIONS))


# The fenced publisher.


async def test_a_state_publisher_writes_all_or_nothing_in_order(bus: Bus, states: Topic) -> None:
    async with bus.state_publisher(f"{states.name}-relay") as publisher:
        await publisher.publish(numbered(states, 8))
        await publisher.publish(numbered(states, 4, 8))
    async with bus.read(dict.fromkeys(places_of(states), Edge.BEGINNING)) as reader:
        records = await polled(reader, 12)
    for partition in range(PARTITIONS):
        assert [int(r.value) for r in records if r.partition == partition] == list(range(partition, 12, PARTITIONS))


async def test_a_publisher_is_fenced_once_another_of_its_id_is_opened(
    bus_backend: Backend, bus: Bus, states: Topic
) -> None:
    other = await bus_backend.client()
    publisher_id = f"{states.name}-relay"
    async with bus.state_publisher(publisher_id) as old:
        await old.publish(numbered(states, 1))
        async with other.state_publisher(publisher_id) as new:
            with pytest.raises(NotOwner):
                await old.publish(numbered(states, 1, 4))
            await new.publish(numbered(states, 1, 8))
            with pytest.raises(NotOwner):
                await old.publish(numbered(states, 1, 12))
    async with bus.read({TopicPartition(states.name, 0): Edge.BEGINNING}) as reader:
        assert values(await polled(reader, 2)) == [0, 8]
        assert await reader.poll(10, 0.3) == []


async def test_publishers_of_different_ids_do_not_fence_each_other(bus: Bus, states: Topic) -> None:
    async with (
        bus.state_publisher(f"{states.name}-one") as one,
        bus.state_publisher(f"{states.name}-two") as two,
    ):
        await one.publish(numbered(states, 1))
        await two.publish(numbered(states, 1, 4))
        await one.publish(numbered(states, 1, 8))
    async with bus.read({TopicPartition(states.name, 0): Edge.BEGINNING}) as reader:
        assert values(await polled(reader, 3)) == [0, 4, 8]


# Topics and policies.


async def test_ensure_is_idempotent_and_differences_tell_what_is_missing(bus: Bus, topic: Topic) -> None:
    assert await bus.differences([topic]) == []
    await bus.ensure([topic])
    assert await bus.differences([topic]) == []
    missing = Topic(f"{topic.name}-not", Kind.FACT, "user")
    assert any(missing.name in difference for difference in await bus.differences([topic, missing]))


async def test_differences_tell_of_other_partitions_and_policies_and_ensure_mends_policies(
    bus: Bus, topic: Topic, eventually: Eventually
) -> None:
    compacted = Topic(topic.name, Kind.STATE, "user", partitions=PARTITIONS)
    more = Topic(topic.name, Kind.FACT, "user", partitions=PARTITIONS + 1)
    assert await bus.differences([compacted]) != []
    assert await bus.differences([more]) != []
    await bus.ensure([compacted])

    async def mended() -> bool:
        return await bus.differences([compacted]) == []

    await eventually(mended)  # brokers learn of a new policy a little after it was accepted


async def test_compaction_keeps_the_newest_of_each_key_and_moves_positions_on(
    bus_backend: Backend, bus: Bus, states: Topic
) -> None:
    messages = [Message(states.name, 1, f"k{n % 3}", str(n).encode()) for n in range(30)]
    await bus.send(messages)
    place = TopicPartition(states.name, 1)
    if not await bus_backend.compact(states):
        assert await bus.differences([states]) == [], "the policy is what the broker works by"
        return
    async with bus.read({place: Edge.BEGINNING}) as reader:
        records = await polled(reader, 3)
        assert [(r.key, r.offset, int(r.value)) for r in records] == [("k0", 27, 27), ("k1", 28, 28), ("k2", 29, 29)]
        assert reader.position(place) == 30
    assert await bus.ends([place]) == {place: 30}
