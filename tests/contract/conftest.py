"""The backends that the port suites run on. A test sees a backend only through these two classes and the ports."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from nija_common.bus.kafka import KafkaBus
from nija_common.bus.port import Bus, Edge, Message, Record, TopicPartition
from nija_common.bus.sqlite import SqliteBus
from nija_common.events.topics import Topic
from nija_common.storage.mongo import MongoServer
from nija_common.storage.port import Outbox, Storage
from nija_common.storage.sqlite import SqliteDatabase
from nija_common.testing.long_run import LONG
from nija_common.values.clock import ManualClock


class StorageBackend(ABC):
    """A store under test. `lease_ttl_ms` and `window_ms`: lengths that a test can work within and wait for; `at_once`:
    as many writers as it has time for."""

    lease_ttl_ms: int
    at_once: int
    window_ms: int

    @abstractmethod
    def storage(self, service: str = "orders") -> Storage:
        """The service's store; ask again after `restart`."""

    @abstractmethod
    def outbox(self, service: str = "orders") -> Outbox | None:
        """The service's outbox; None where events go to a log in the same commit."""

    @abstractmethod
    async def ensure(self, topics: Sequence[Topic]) -> None:
        """Makes the topics where the store writes to them itself."""

    @abstractmethod
    async def sent(self, topic: Topic, service: str = "orders") -> list[Message]:
        """What commits of the service have put on its way to the bus, in order within each partition."""

    @abstractmethod
    async def restart(self) -> None:
        """Leaves the store as a crash would and opens it again."""

    @abstractmethod
    async def pass_ms(self, ms: int) -> None:
        """Returns when the store's clock has moved on by that much."""


class BusBackend(ABC):
    """A bus under test. `deadline_s`: how long a condition may take to come true here."""

    deadline_s: float

    @abstractmethod
    async def client(self) -> Bus:
        """A client of its own, as another process would have; ask again after `restart`."""

    @abstractmethod
    async def restart(self) -> None:
        """All clients are gone without a word, and the bus is there again."""

    @abstractmethod
    async def compact(self, topic: Topic) -> bool:
        """Applies the topic's policy now; False where the broker does so when it likes."""


class SqliteStorageBackend(StorageBackend):
    def __init__(self, path: Path, *, outbox: bool) -> None:
        self.clock = ManualClock()
        self.lease_ttl_ms = 10_000
        self.at_once = 50
        self.window_ms = 60_000
        self._path = path
        self._outbox = outbox
        self._stack = AsyncExitStack()

    async def open(self) -> None:
        database = SqliteDatabase.open(self._path, self.clock, outbox=self._outbox)
        self.database = await self._stack.enter_async_context(database)

    async def close(self) -> None:
        await self._stack.aclose()

    def storage(self, service: str = "orders") -> Storage:
        return self.database.storage(service)

    def outbox(self, service: str = "orders") -> Outbox | None:
        return self.database.outbox(service) if self._outbox else None

    async def ensure(self, topics: Sequence[Topic]) -> None:
        await SqliteBus(self.database).ensure(topics)

    async def sent(self, topic: Topic, service: str = "orders") -> list[Message]:
        if self._outbox:
            return [
                r.message for r in await self.database.outbox(service).pending(10_000) if r.message.topic == topic.name
            ]
        bus = SqliteBus(self.database)
        return [Message(r.topic, r.partition, r.key or "", r.value, r.headers) for r in await all_records(bus, topic)]

    async def restart(self) -> None:
        await self.close()
        await self.open()

    async def pass_ms(self, ms: int) -> None:
        self.clock.advance(ms / 1000)


class SqliteBusBackend(BusBackend):
    def __init__(self, path: Path) -> None:
        self.clock = ManualClock()
        self.deadline_s = 5.0
        self._path = path
        self._stack = AsyncExitStack()

    async def open(self) -> None:
        self.database = await self._stack.enter_async_context(SqliteDatabase.open(self._path, self.clock))

    async def close(self) -> None:
        await self._stack.aclose()

    async def client(self) -> Bus:
        return SqliteBus(self.database)

    async def restart(self) -> None:
        await self.close()
        await self.open()

    async def compact(self, topic: Topic) -> bool:
        await SqliteBus(self.database).prune()
        return True


async def all_records(bus: Bus, topic: Topic) -> list[Record]:
    """Everything that the topic holds now, in order within each partition."""
    places = [TopicPartition(topic.name, partition) for partition in range(topic.partitions)]
    ends = await bus.ends(places)
    found: list[Record] = []
    async with bus.read(dict.fromkeys(places, Edge.BEGINNING)) as reader, asyncio.timeout(10):
        while any(reader.position(place) < end for place, end in ends.items()):
            found += await reader.poll(1_000, 0.1)
    return found


class MongoStorageBackend(StorageBackend):
    """MongoDB's wire. A crash takes the client: what it had begun is the server's to end."""

    def __init__(self, url: str, namespace: str) -> None:
        self.lease_ttl_ms = 300
        self.at_once = 50 if LONG else 15  # the wire is slow
        self.window_ms = 1_000
        self._url = url
        self._namespace = namespace
        self._stack = AsyncExitStack()

    async def open(self) -> None:
        server = MongoServer.open(self._url, namespace=self._namespace)
        self.server = await self._stack.enter_async_context(server)

    async def close(self) -> None:
        await self._stack.aclose()

    def storage(self, service: str = "orders") -> Storage:
        return self.server.storage(service)

    def outbox(self, service: str = "orders") -> Outbox | None:
        return self.server.outbox(service)

    async def ensure(self, topics: Sequence[Topic]) -> None:
        """Commits write to the outbox here; it knows no topics."""

    async def sent(self, topic: Topic, service: str = "orders") -> list[Message]:
        return [r.message for r in await self.server.outbox(service).pending(10_000) if r.message.topic == topic.name]

    async def restart(self) -> None:
        await self.close()
        await self.open()

    async def pass_ms(self, ms: int) -> None:
        until = await self.storage().now_ms() + ms
        async with asyncio.timeout(30):
            while await self.storage().now_ms() < until:
                await asyncio.sleep(0.01)


class KafkaBusBackend(BusBackend):
    """Apache Kafka. Every client is a bus of its own."""

    def __init__(self, bootstrap: str, namespace: str) -> None:
        self.deadline_s = 20.0
        self._bootstrap = bootstrap
        self._namespace = namespace
        self._stack = AsyncExitStack()

    async def close(self) -> None:
        await self._stack.aclose()

    async def client(self) -> Bus:
        bus = KafkaBus.open(self._bootstrap, namespace=self._namespace, session_timeout_s=2.0)
        return await self._stack.enter_async_context(bus)

    async def restart(self) -> None:
        await self.close()

    async def compact(self, topic: Topic) -> bool:
        return False


@asynccontextmanager
async def _mongo_storage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[StorageBackend]:
    backend = MongoStorageBackend(request.getfixturevalue("mongo_url"), request.getfixturevalue("namespace"))
    await backend.open()
    yield backend
    await backend.close()


@asynccontextmanager
async def _kafka_bus(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[BusBackend]:
    backend = KafkaBusBackend(request.getfixturevalue("kafka_bootstrap"), request.getfixturevalue("namespace"))
    yield backend
    await backend.close()


@asynccontextmanager
async def _sqlite_storage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[StorageBackend]:
    backend = SqliteStorageBackend(tmp_path / "store.sqlite3", outbox=request.param == "sqlite-outbox")
    await backend.open()
    yield backend
    await backend.close()


@asynccontextmanager
async def _sqlite_bus(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[BusBackend]:
    backend = SqliteBusBackend(tmp_path / "bus.sqlite3")
    await backend.open()
    yield backend
    await backend.close()


StorageFactory = Callable[[pytest.FixtureRequest, Path], AbstractAsyncContextManager[StorageBackend]]
BusFactory = Callable[[pytest.FixtureRequest, Path], AbstractAsyncContextManager[BusBackend]]

STORAGES: dict[str, StorageFactory] = {
    "sqlite": _sqlite_storage,
    "sqlite-outbox": _sqlite_storage,
    "mongo": _mongo_storage,
}
BUSES: dict[str, BusFactory] = {"sqlite": _sqlite_bus, "kafka": _kafka_bus}
MARKS = {"mongo": pytest.mark.mongo, "kafka": pytest.mark.kafka}


def _params(names: Iterable[str]) -> list[ParameterSet]:
    return [pytest.param(name, marks=MARKS.get(name, ())) for name in names]


@pytest.fixture(params=_params(STORAGES))
async def storage_backend(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[StorageBackend]:
    async with STORAGES[request.param](request, tmp_path) as backend:
        yield backend


@pytest.fixture(params=_params(BUSES))
async def bus_backend(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[BusBackend]:
    async with BUSES[request.param](request, tmp_path) as backend:
        yield backend


Eventually = Callable[[Callable[[], bool | Awaitable[bool]]], Awaitable[None]]


@pytest.fixture
def eventually() -> Eventually:
    """Waits until the condition holds; fails after 30 seconds."""

    async def wait(condition: Callable[[], bool | Awaitable[bool]]) -> None:
        async with asyncio.timeout(30):
            while True:
                held = condition()
                if held if isinstance(held, bool) else await held:
                    return
                await asyncio.sleep(0.01)

    return wait
