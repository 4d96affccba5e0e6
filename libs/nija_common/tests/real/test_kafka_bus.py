"""What only Apache Kafka shows: members that die or sleep, transactions left open, a broker that goes and comes back."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from nija_common.bus.kafka import AWAY_S, KafkaBus
from nija_common.bus.port import Bus, BusUnavailable, Edge, Member, Message, Reader, Record, TopicPartition
from nija_common.events.topics import SHARED_TOPICS, Kind, Topic
from nija_common.testing.processes import Server

pytestmark = pytest.mark.kafka

SCRIPT = Path(__file__).with_name("lonely_member.py")
FACTS = Topic("facts", Kind.FACT, "user", partitions=2)
STATES = Topic("states", Kind.STATE, "user", partitions=2)
PLACES = [TopicPartition(FACTS.name, p) for p in range(2)]


class Holder:
    def __init__(self) -> None:
        self.places: frozenset[TopicPartition] = frozenset()

    async def assigned(self, places: frozenset[TopicPartition]) -> Mapping[TopicPartition, int]:
        self.places = places
        return {}

    async def revoked(self, places: frozenset[TopicPartition]) -> None:
        self.places -= places


@pytest.fixture
async def bus(kafka_bootstrap: str, namespace: str) -> AsyncIterator[Bus]:
    async with KafkaBus.open(kafka_bootstrap, namespace=namespace, session_timeout_s=1.0) as bus:
        await bus.ensure([FACTS, STATES])
        yield bus


def messages(topic: Topic, count: int, start: int = 0) -> list[Message]:
    return [Message(topic.name, n % 2, f"k{n % 2}", str(n).encode()) for n in range(start, start + count)]


async def polled(source: Member | Reader, count: int) -> list[Record]:
    found: list[Record] = []
    async with asyncio.timeout(30):
        while len(found) < count:
            found += await source.poll(100, 0.2)
    return found


def values(records: Sequence[Record]) -> list[int]:
    return sorted(int(record.value) for record in records)


@asynccontextmanager
async def lonely(bootstrap: str, namespace: str, count: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """A member in another process that has polled everything and committed nothing."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(SCRIPT), bootstrap, namespace, FACTS.name, str(count)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert await answer(process) == "polled"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def answer(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    return (await asyncio.wait_for(process.stdout.readline(), 60)).decode().strip()


async def test_what_a_killed_member_had_not_committed_comes_again_elsewhere(
    bus: Bus, kafka_bootstrap: str, namespace: str
) -> None:
    await bus.send(messages(FACTS, 10))
    async with lonely(kafka_bootstrap, namespace, 10) as process:
        process.kill()
        began = time.monotonic()
        async with bus.join("readers", [FACTS.name], Holder()) as member:
            assert values(await polled(member, 10)) == list(range(10))
        assert time.monotonic() - began < 15, "after the session time-out, not after the broker's patience"


async def test_a_member_that_sleeps_through_its_session_cannot_commit_when_it_wakes(
    bus: Bus, kafka_bootstrap: str, namespace: str
) -> None:
    await bus.send(messages(FACTS, 10))
    async with lonely(kafka_bootstrap, namespace, 10) as process:
        process.send_signal(signal.SIGSTOP)
        holder = Holder()
        async with bus.join("readers", [FACTS.name], holder) as member:
            records = await polled(member, 10)
            await member.commit({record.place: 1 for record in records})
            process.send_signal(signal.SIGCONT)
            assert process.stdin is not None
            process.stdin.write(b"commit\n")
            assert await answer(process) == "NotOwner"
            assert await bus.committed("readers", PLACES) == dict.fromkeys(PLACES, 1)


async def test_positions_pass_the_marks_of_transactions_up_to_the_end(bus: Bus) -> None:
    places = [TopicPartition(STATES.name, p) for p in range(2)]
    async with bus.state_publisher("p") as publisher:
        for n in range(3):
            await publisher.publish(messages(STATES, 2, 2 * n))
    ends = await bus.ends(places)
    assert all(end > 3 for end in ends.values()), "each transaction leaves a mark behind its records"
    async with bus.read(dict.fromkeys(places, Edge.BEGINNING)) as reader:
        assert values(await polled(reader, 6)) == list(range(6))
        async with asyncio.timeout(20):
            while {p: reader.position(p) for p in places} != ends:
                assert await reader.poll(10, 0.05) == []


async def test_records_of_a_transaction_that_was_left_open_are_never_seen(
    bus: Bus, kafka_bootstrap: str, namespace: str
) -> None:
    place = TopicPartition(STATES.name, 0)
    # A publisher that dies in the middle: what it wrote is flushed, and nobody ends the transaction.
    dying = AIOKafkaProducer(bootstrap_servers=kafka_bootstrap, transactional_id=f"{namespace}p")
    await dying.start()
    await dying.begin_transaction()
    await dying.send_and_wait(namespace + STATES.name, b"666", key=b"k0", partition=0)
    await dying.client.close()
    async with bus.read({place: Edge.BEGINNING}) as reader:
        assert await reader.poll(10, 0.3) == []
        assert await bus.ends([place]) == {place: 0}, "the end is that of what is committed"
        async with bus.state_publisher("p") as publisher:
            await publisher.publish([Message(STATES.name, 0, "k0", b"1")])
        assert values(await polled(reader, 1)) == [1]
        assert await reader.poll(10, 0.3) == []
    await dying.stop()


async def test_platforms_with_different_namespaces_do_not_see_each_other(
    bus: Bus, kafka_bootstrap: str, namespace: str
) -> None:
    async with KafkaBus.open(kafka_bootstrap, namespace=f"{namespace}other-") as other:
        await other.ensure([FACTS])
        await bus.send(messages(FACTS, 4))
        assert await other.ends(PLACES) == dict.fromkeys(PLACES, 0)


async def test_the_catalogue_is_made_as_it_says_and_a_wrong_policy_is_told(
    bus: Bus, kafka_bootstrap: str, namespace: str
) -> None:
    async with KafkaBus.open(kafka_bootstrap, namespace=f"{namespace}catalogue-") as other:
        assert len(await other.differences(SHARED_TOPICS)) == len(SHARED_TOPICS)
        await other.ensure(SHARED_TOPICS)
        assert await other.differences(SHARED_TOPICS) == []
    as_state = Topic(FACTS.name, Kind.STATE, "user", partitions=2)
    told = await bus.differences([as_state])
    assert any("cleanup.policy=delete instead of compact" in difference for difference in told)


async def test_a_record_that_is_too_large_is_refused_for_what_it_is(bus: Bus) -> None:
    with pytest.raises(ValueError, match="larger"):
        await bus.send([Message(FACTS.name, 0, "k", b"x" * 1_100_000)])
    async with bus.state_publisher("p") as publisher:
        with pytest.raises(ValueError, match="larger"):
            await publisher.publish(
                [Message(STATES.name, 0, "k0", b"7"), Message(STATES.name, 0, "k", b"x" * 1_100_000)]
            )
        await publisher.publish([Message(STATES.name, 0, "k0", b"8")])
    async with bus.read({TopicPartition(STATES.name, 0): Edge.BEGINNING}) as reader:
        assert values(await polled(reader, 1)) == [8], "nothing of the refused transaction"


async def test_a_broker_that_is_killed_is_an_error_of_each_call_and_all_goes_on_when_it_is_back(
    private_kafka: Server,
) -> None:
    bootstrap = f"127.0.0.1:{private_kafka.port}"
    async with KafkaBus.open(bootstrap, session_timeout_s=2.0) as bus:
        await bus.ensure([FACTS, STATES])
        await bus.send(messages(FACTS, 4))
        async with bus.join("readers", [FACTS.name], Holder()) as member, bus.state_publisher("p") as publisher:
            records = await polled(member, 4)
            await publisher.publish(messages(STATES, 2))
            private_kafka.kill()
            async with asyncio.timeout(30):
                sent = asyncio.create_task(bus.send(messages(FACTS, 2, 100)))
                with pytest.raises(BusUnavailable):
                    await bus.ends(PLACES)
                with pytest.raises(BusUnavailable):
                    async with bus.read({PLACES[0]: Edge.BEGINNING}):
                        raise AssertionError("nobody is there")
                with pytest.raises(BusUnavailable):
                    await publisher.publish(messages(STATES, 2, 2))
                with pytest.raises(BusUnavailable):
                    await sent
                began = time.monotonic()
                with pytest.raises(BusUnavailable):
                    await bus.send(messages(FACTS, 2, 100))
                assert time.monotonic() - began < 0.5, "who comes just after a failure does not wait as well"
            private_kafka.start()
            with pytest.raises(BusUnavailable):
                await publisher.publish(messages(STATES, 2, 4))
            await asyncio.sleep(AWAY_S)
            await bus.send(messages(FACTS, 4, 4))
            # Nothing was committed, so what came before the outage may come again; all that was acknowledged comes.
            seen = set(values(records))
            async with asyncio.timeout(30):
                while not seen >= set(range(8)):
                    seen |= set(values(await member.poll(100, 0.2)))
            async with bus.state_publisher("p") as successor:
                await successor.publish(messages(STATES, 2, 6))
        assert all(end >= 4 for end in (await bus.ends(PLACES)).values())
