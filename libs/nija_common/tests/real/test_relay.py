"""The relay between MongoDB and Apache Kafka: what it carries, in which order, and what its end in the middle may do."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path

import orjson
import pytest

from nija_common.bus.kafka import KafkaBus
from nija_common.bus.port import Bus, BusUnavailable, Edge, Message, NotOwner, Record, StatePublisher, TopicPartition
from nija_common.events.base import Emission
from nija_common.events.topics import Kind, Topic
from nija_common.storage.mongo import MongoServer
from nija_common.storage.outbox import Relay
from nija_common.storage.port import Commit, Outbox, Storage
from nija_common.telemetry import metrics
from nija_common.values.clock import SystemClock
from nija_common.values.ids import new_id

pytestmark = [pytest.mark.mongo, pytest.mark.kafka]

SCRIPT = Path(__file__).with_name("crashing_relay.py")
FACTS = Topic("facts", Kind.FACT, "user", partitions=2)
STATES = Topic("states", Kind.STATE, "user", partitions=2)
LEASE_MS = 1_000


@pytest.fixture
async def server(mongo_url: str, namespace: str) -> AsyncIterator[MongoServer]:
    async with MongoServer.open(mongo_url, namespace=namespace) as server:
        await server.storage("orders").migrate([])
        yield server


@pytest.fixture
async def bus(kafka_bootstrap: str, namespace: str) -> AsyncIterator[Bus]:
    async with KafkaBus.open(kafka_bootstrap, namespace=namespace) as bus:
        await bus.ensure([FACTS, STATES])
        yield bus


def event(topic: Topic, key: str, text: str = "") -> Emission:
    return Emission(
        id=new_id("evt"),
        topic=topic,
        key=key,
        partition=0,
        type="counted",
        version=1,
        source="orders",
        time_ms=0,
        correlation_id="c",
        causation_id=None,
        traceparent=None,
        data={"text": text},
    )


async def emit(storage: Storage, *events: Emission) -> str:
    commit = Commit(new_id("cmt"), emissions=list(events))
    await storage.commit(commit, deadline_s=20)
    return commit.id


def relay_of(server: MongoServer, bus: Bus, holder: str, *, outbox: Outbox | None = None) -> Relay:
    return Relay(
        service="orders",
        outbox=outbox or server.outbox("orders"),
        storage=server.storage("orders"),
        bus=bus,
        clock=SystemClock(),
        holder=holder,
        lease_ms=LEASE_MS,
    )


@asynccontextmanager
async def running(relay: Relay) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(relay.run())
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def on_the_bus(bus: Bus, topic: Topic) -> list[Record]:
    places = [TopicPartition(topic.name, p) for p in range(topic.partitions)]
    ends = await bus.ends(places)
    found: list[Record] = []
    async with bus.read(dict.fromkeys(places, Edge.BEGINNING)) as reader, asyncio.timeout(20):
        while any(reader.position(place) < end for place, end in ends.items()):
            found += await reader.poll(1_000, 0.1)
    return found


def numbers(records: Sequence[Record], key: str) -> list[int]:
    """The `seq` of each record of the key, repeats included."""
    return [orjson.loads(r.value)["seq"] for r in records if r.key == key]


async def test_committed_events_come_to_the_bus_in_order_and_leave_the_outbox(server: MongoServer, bus: Bus) -> None:
    storage = server.storage("orders")

    async def write(key: str) -> None:
        for _ in range(10):
            await emit(storage, event(FACTS, key), event(STATES, key), event(FACTS, key))

    async with running(relay_of(server, bus, "one")):
        await asyncio.gather(*(write(f"u{i}") for i in range(4)))
        last = await emit(storage, event(STATES, "u0"))
        assert await storage.wait_published(last, 20)
        async with asyncio.timeout(20):
            while await server.outbox("orders").pending(1):
                await asyncio.sleep(0.01)
    facts, states = await on_the_bus(bus, FACTS), await on_the_bus(bus, STATES)
    for i in range(4):
        # Where the machine is slow the lease may run out in between, and a batch go out again.
        assert list(dict.fromkeys(numbers(facts, f"u{i}"))) == list(range(1, 21))
        assert list(dict.fromkeys(numbers(states, f"u{i}"))) == list(range(1, 11 + (i == 0)))
    assert facts[0].headers["type"] == "counted"


async def test_an_event_is_on_the_bus_soon_after_its_commit(server: MongoServer, bus: Bus) -> None:
    storage = server.storage("orders")
    async with running(relay_of(server, bus, "one")):
        assert await storage.wait_published(await emit(storage, event(STATES, "u")), 20)
        for _ in range(5):
            assert await storage.wait_published(await emit(storage, event(STATES, "u")), 2.0)


async def test_of_two_relays_one_works_and_the_other_takes_over(server: MongoServer, bus: Bus) -> None:
    storage = server.storage("orders")
    async with running(relay_of(server, bus, "two")):
        async with running(relay_of(server, bus, "one")):
            assert await storage.wait_published(await emit(storage, event(FACTS, "u")), 20)
            assert len(await storage.leases("relay")) == 1
        assert await storage.wait_published(await emit(storage, event(FACTS, "u")), 20)
    assert list(dict.fromkeys(numbers(await on_the_bus(bus, FACTS), "u"))) == [1, 2]


class HeldBus:
    """A bus whose publisher stops before it publishes, as a process does that the machine has put aside."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self.reached = asyncio.Event()
        self.go_on = asyncio.Event()
        self.failure: BaseException | None = None

    async def send(self, messages: Sequence[Message]) -> None:
        await self._bus.send(messages)

    def state_publisher(self, publisher_id: str) -> AbstractAsyncContextManager[StatePublisher]:
        return self._open(publisher_id)

    @asynccontextmanager
    async def _open(self, publisher_id: str) -> AsyncIterator[StatePublisher]:
        async with self._bus.state_publisher(publisher_id) as publisher:
            self._publisher = publisher
            yield self

    async def publish(self, messages: Sequence[Message]) -> None:
        self.reached.set()
        await self.go_on.wait()
        try:
            await self._publisher.publish(messages)
        except NotOwner as error:
            self.failure = error
            raise


async def test_a_relay_that_sleeps_through_its_lease_publishes_no_old_snapshot(
    server: MongoServer, bus: Bus, kafka_bootstrap: str, namespace: str
) -> None:
    storage = server.storage("orders")
    await emit(storage, event(STATES, "u", "old"))
    held = HeldBus(bus)
    rows = await server.outbox("orders").pending(10)
    async with bus.state_publisher("orders-state") as publisher:
        # The sleeper has read the old snapshot and opened its publisher before anybody else.
        held._publisher = publisher
        sleeper = asyncio.create_task(held.publish([row.message for row in rows]))
        await held.reached.wait()
        async with (
            KafkaBus.open(kafka_bootstrap, namespace=namespace) as other,
            running(relay_of(server, other, "successor")),
        ):
            assert await storage.wait_published(await emit(storage, event(STATES, "u", "new")), 20)
        held.go_on.set()
        with pytest.raises(NotOwner):
            await sleeper
    texts = [orjson.loads(r.value)["data"]["text"] for r in await on_the_bus(bus, STATES)]
    assert list(dict.fromkeys(texts)) == ["old", "new"] and texts[-1] == "new", "by the successor, never again"


async def test_a_relay_whose_lease_is_taken_while_it_sleeps_is_replaced_and_comes_back(
    server: MongoServer, bus: Bus, kafka_bootstrap: str, namespace: str
) -> None:
    storage = server.storage("orders")
    held = HeldBus(bus)
    async with running(relay_of(server, held, "sleeper")) as sleeper:  # type: ignore[arg-type]
        await emit(storage, event(STATES, "u"))
        await held.reached.wait()
        # Its renewals stop as well: the whole process is put aside.
        lease = (await storage.leases("relay"))[0]
        await storage.release(lease)
        async with (
            KafkaBus.open(kafka_bootstrap, namespace=namespace) as other,
            running(relay_of(server, other, "successor")),
        ):
            async with asyncio.timeout(20):
                while await server.outbox("orders").pending(1):
                    await asyncio.sleep(0.01)
        held.go_on.set()
        assert await storage.wait_published(await emit(storage, event(STATES, "u")), 20)
        assert not sleeper.done()
    assert list(dict.fromkeys(numbers(await on_the_bus(bus, STATES), "u"))) == [1, 2]


async def test_a_row_that_the_bus_refuses_holds_up_only_its_key(server: MongoServer, bus: Bus) -> None:
    storage = server.storage("orders")
    await emit(storage, event(FACTS, "big", "x" * 1_100_000))
    await emit(storage, event(FACTS, "big"), event(FACTS, "small"))
    async with running(relay_of(server, bus, "one")):
        assert await storage.wait_published(await emit(storage, event(FACTS, "small")), 20)
    assert [(row.message.key, row.seq) for row in await server.outbox("orders").pending(10)] == [("big", 1), ("big", 2)]
    seen = await on_the_bus(bus, FACTS)
    assert numbers(seen, "big") == []
    assert sorted(set(numbers(seen, "small"))) == [1, 2]


async def test_a_relay_killed_around_any_of_its_calls_loses_nothing_and_keeps_the_order(
    server: MongoServer, bus: Bus, mongo_url: str, kafka_bootstrap: str, namespace: str
) -> None:
    script = await asyncio.create_subprocess_exec(
        sys.executable, str(SCRIPT), mongo_url, kafka_bootstrap, namespace, stdout=subprocess.PIPE
    )
    out, _ = await asyncio.wait_for(script.communicate(), 110)
    assert script.returncode == 0
    ends = dict(line.split() for line in out.decode().splitlines())
    assert len(ends) > 12 and list(ends.values()).count("whole") == 1, "every call of the relay had its turn"
    facts, states = await on_the_bus(bus, FACTS), await on_the_bus(bus, STATES)
    for k in ends:
        key = f"k{k}"
        assert list(dict.fromkeys(numbers(facts, key))) == [1, 2, 3, 4, 5, 6], "repeats at most, never ahead"
        assert list(dict.fromkeys(numbers(states, key))) == [1, 2, 3]
        assert numbers(states, key)[-1] == 3, "the newest snapshot survives"
        assert await server.outbox(f"crash{k}").pending(10) == []


class FlakyBus:
    """A bus that is away for the first calls to open a publisher and to send."""

    def __init__(self, bus: Bus, failures: int) -> None:
        self._bus = bus
        self.left = {"open": failures, "send": failures}

    def _maybe_fail(self, call: str) -> None:
        if self.left[call] > 0:
            self.left[call] -= 1
            raise BusUnavailable(f"no {call} now")

    async def send(self, messages: Sequence[Message]) -> None:
        self._maybe_fail("send")
        await self._bus.send(messages)

    @asynccontextmanager
    async def state_publisher(self, publisher_id: str) -> AsyncIterator[StatePublisher]:
        self._maybe_fail("open")
        async with self._bus.state_publisher(publisher_id) as publisher:
            yield publisher


async def test_rows_wait_while_the_bus_is_away_and_go_out_in_order(server: MongoServer, bus: Bus) -> None:
    storage = server.storage("orders")
    flaky = FlakyBus(bus, 2)
    async with running(relay_of(server, flaky, "one")):  # type: ignore[arg-type]
        for _ in range(3):
            last = await emit(storage, event(FACTS, "u"), event(STATES, "u"))
        assert await storage.wait_published(last, 20)
    assert flaky.left == {"open": 0, "send": 0}
    for topic in (FACTS, STATES):
        assert list(dict.fromkeys(numbers(await on_the_bus(bus, topic), "u"))) == [1, 2, 3]


async def test_the_age_of_rows_is_told_while_the_bus_is_away(server: MongoServer, bus: Bus) -> None:
    told = metrics.OUTBOX_AGE_SECONDS.labels("orders")
    told.set(0)
    last = await emit(server.storage("orders"), event(FACTS, "u"))
    await asyncio.sleep(0.3)
    flaky = FlakyBus(bus, 2)
    async with running(relay_of(server, flaky, "one")):  # type: ignore[arg-type]
        async with asyncio.timeout(20):
            while told._value.get() < 0.3:
                await asyncio.sleep(0.005)
        assert await server.storage("orders").wait_published(last, 20)
