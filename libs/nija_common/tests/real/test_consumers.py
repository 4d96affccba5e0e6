"""Two processes of one service on Kafka and MongoDB's wire, killed and put aside at random moments: effects once each."""

from __future__ import annotations

import asyncio
import importlib.util
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import orjson
import pytest

from nija_common.bus.kafka import KafkaBus
from nija_common.bus.parked import ParkedKey
from nija_common.bus.port import Bus, Edge, TopicPartition
from nija_common.events.identity import SessionRevoked
from nija_common.events.topics import AUDIT, SESSIONS
from nija_common.runtime.freshness import Freshness
from nija_common.storage.mongo import MongoServer
from nija_common.storage.outbox import Relay
from nija_common.storage.unit_of_work import Work
from nija_common.values.clock import SystemClock

pytestmark = [pytest.mark.mongo, pytest.mark.kafka, pytest.mark.slow]

SCRIPT = Path(__file__).with_name("counting_service.py")
USERS = [f"usr-{n}" for n in range(6)] + [f"loose-{n}" for n in range(3)]
ROUNDS = 6


@pytest.fixture
def counting() -> ModuleType:
    """The script, for its documents."""
    spec = importlib.util.spec_from_file_location("counting_service", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
async def server(mongo_url: str, namespace: str) -> AsyncIterator[MongoServer]:
    async with MongoServer.open(mongo_url, namespace=namespace) as server:
        yield server


@pytest.fixture
async def bus(kafka_bootstrap: str, namespace: str) -> AsyncIterator[Bus]:
    async with KafkaBus.open(kafka_bootstrap, namespace=namespace) as bus:
        await bus.ensure([SESSIONS, AUDIT])
        yield bus


class Processes:
    """The members, each started again after it was killed."""

    def __init__(self, *arguments: str) -> None:
        self._command = (sys.executable, str(SCRIPT), *arguments)
        self.running: list[asyncio.subprocess.Process] = []

    async def start(self) -> None:
        quiet = asyncio.subprocess.DEVNULL
        self.running.append(await asyncio.create_subprocess_exec(*self._command, stdout=quiet, stderr=quiet))

    async def kill(self, process: asyncio.subprocess.Process) -> None:
        process.kill()
        await process.wait()
        self.running.remove(process)

    async def put_aside(self, process: asyncio.subprocess.Process) -> None:
        """Longer than its session and its lease, so that it wakes up as somebody who has been replaced."""
        process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(1.6)
        process.send_signal(signal.SIGCONT)

    async def end(self) -> None:
        for process in list(self.running):
            process.send_signal(signal.SIGCONT)
            await self.kill(process)


@pytest.mark.parametrize("seed", [1, 2])
async def test_every_event_takes_effect_once_and_in_order_while_members_are_killed_and_put_aside(
    seed: int,
    server: MongoServer,
    bus: Bus,
    counting: ModuleType,
    mongo_url: str,
    kafka_bootstrap: str,
    namespace: str,
) -> None:
    clock, chance = SystemClock(), random.Random(seed)
    source, service = server.storage("source"), server.storage("counter")
    await source.migrate([])
    await service.migrate([counting.Tally, counting.Mark, ParkedKey])
    work = Work(source, bus, clock, "source")
    relay = asyncio.create_task(
        Relay(service="source", outbox=server.outbox("source"), storage=source, bus=bus, clock=clock, holder="t").run()
    )
    told: dict[str, list[str]] = {user: [] for user in USERS}
    enough = asyncio.Event()
    members = Processes(mongo_url, kafka_bootstrap, namespace)

    async def tell() -> None:
        number = 0
        while not enough.is_set():
            uow = work.open()
            for user in chance.sample(USERS, 3):
                number += 1
                told[user].append(f"s{number}")
                uow.emit(SessionRevoked(user_id=user, session_id=f"s{number}", revoked_until_ms=None, reason="logout"))
            await work.commit(uow)
            await asyncio.sleep(0.02)

    try:
        await members.start()
        await members.start()
        telling = asyncio.create_task(tell())
        for _ in range(ROUNDS):
            await asyncio.sleep(chance.uniform(0.5, 1.5))
            victim = chance.choice(members.running)
            if chance.random() < 0.5:
                await members.kill(victim)
                await members.start()
            else:
                await members.put_aside(victim)
        enough.set()
        await telling
        await _until_applied(server, bus)
        relay_of_service = asyncio.create_task(_until_empty(server, "counter"))
        await asyncio.wait_for(relay_of_service, 30)
    finally:
        await members.end()
        relay.cancel()
        with suppress(asyncio.CancelledError):
            await relay
    await _check(server, bus, counting, told, namespace)


async def _until_applied(server: MongoServer, bus: Bus) -> None:
    """Everything told is on the bus, and applied up to its end, which is what a freshness wait asks."""
    await _until_empty(server, "source")
    fresh = Freshness(server.storage("counter"), bus, lambda _: "counter.consumer")
    deadline = time.monotonic() + 60
    for user in USERS:
        while not await fresh.caught_up(SESSIONS, user):
            assert time.monotonic() < deadline, "the members have not caught up"


async def _until_empty(server: MongoServer, service: str) -> None:
    async with asyncio.timeout(60):
        while await server.outbox(service).pending(1):
            await asyncio.sleep(0.02)


async def _check(server: MongoServer, bus: Bus, counting: Any, told: dict[str, list[str]], namespace: str) -> None:
    everything = {session for sessions in told.values() for session in sessions}
    marks = await server._client[f"{namespace}nija_counter"]["marks"].find().to_list()
    assert Counter(mark["session_id"] for mark in marks) == Counter(everything), "each handled once"
    tallies = await server.storage("counter").get_many(counting.Tally, USERS)
    for user in USERS:
        if not user.startswith("loose-"):
            assert list(tallies[user].seen) == told[user], "in the order in which it was told"
    answers: dict[str, dict[int, str]] = {user: {} for user in USERS}
    places = [TopicPartition(AUDIT.name, p) for p in range(AUDIT.partitions)]
    ends = await bus.ends(places)
    async with bus.read(dict.fromkeys(places, Edge.BEGINNING)) as reader, asyncio.timeout(30):
        while any(reader.position(place) < end for place, end in ends.items()):
            for record in await reader.poll(1_000, 0.1):
                envelope = orjson.loads(record.value)
                known = answers[record.key or ""]
                assert envelope["seq"] <= len(known) + 1, "no answer before an earlier one"
                assert known.setdefault(envelope["seq"], envelope["id"]) == envelope["id"]
    assert {user: len(known) for user, known in answers.items()} == {user: len(told[user]) for user in USERS}
