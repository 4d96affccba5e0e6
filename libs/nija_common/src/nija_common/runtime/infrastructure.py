"""Opens the store and the bus that the settings name. The one place that knows which adapters there are.

Two pairs are supported: SQLite with SQLite (one process) and MongoDB with Kafka. SQLite with Kafka serves
tests and benchmarks.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from nija_common.bus.kafka_access import Access
from nija_common.bus.port import Bus
from nija_common.errors import SettingsError
from nija_common.runtime.settings import KafkaSettings, PlatformSettings
from nija_common.storage.blobs import Blobs, FolderBlobs
from nija_common.storage.port import Outbox, Storage
from nija_common.values.clock import Clock

DATABASE_FILE = "nija.sqlite3"
FILES_FOLDER = "files"


class Incarnations(Protocol):
    """The lives of databases that are restored by other tools than ours: see `storage/incarnations.py`."""

    async def incarnation(self, service: str) -> int:
        """The life that a service's database is in."""
        ...

    async def begin_incarnation(self, service: str, number: int) -> None:
        """Begins a new one; nobody else may be at work on the database."""
        ...


@dataclass(frozen=True, slots=True)
class Infrastructure:
    """Store and bus, opened. `outbox_of` answers None where the store is the bus as well; `blobs_of` a service's files;
    `prune` drops what retention allows. `incarnations` is None where `nija restore` begins them."""

    bus: Bus
    storage_of: Callable[[str], Storage]
    outbox_of: Callable[[str], Outbox | None]
    blobs_of: Callable[[str], Blobs]
    prune: Callable[[], Awaitable[object]] | None = None
    incarnations: Incarnations | None = None


@asynccontextmanager
async def open_infrastructure(
    settings: PlatformSettings, clock: Clock, *, second: bool = False
) -> AsyncIterator[Infrastructure]:
    """Raises SettingsError for a pair that does not exist or a missing address; `unavailable` where nobody answers.

    `second`: join a platform that may be running on the same data folder (commands beside `nija up`).
    """
    pair = (settings.store, settings.bus)
    async with AsyncExitStack() as stack:
        if pair == ("sqlite", "sqlite"):
            yield await _embedded(stack, settings, clock, second=second)
        elif pair == ("mongodb", "kafka"):
            yield await _distributed(stack, settings)
        elif pair == ("sqlite", "kafka"):
            yield await _sqlite_with_kafka(stack, settings, clock, second=second)
        else:
            raise SettingsError(
                "NIJA_BUS: MongoDB needs Kafka; the supported pairs are sqlite+sqlite and mongodb+kafka"
            )


async def _embedded(stack: AsyncExitStack, settings: PlatformSettings, clock: Clock, *, second: bool) -> Infrastructure:
    from nija_common.bus.sqlite import SqliteBus
    from nija_common.storage.sqlite import SqliteDatabase

    make_folder(settings.data_dir)
    database = await stack.enter_async_context(
        SqliteDatabase.open(settings.data_dir / DATABASE_FILE, clock, second=second)
    )
    bus = SqliteBus(database)

    async def prune() -> None:
        await database.prune()
        await bus.prune()

    return Infrastructure(bus, database.storage, lambda _: None, _folders(settings), prune)


async def _sqlite_with_kafka(
    stack: AsyncExitStack, settings: PlatformSettings, clock: Clock, *, second: bool
) -> Infrastructure:
    from nija_common.storage.sqlite import SqliteDatabase

    make_folder(settings.data_dir)
    database = await stack.enter_async_context(
        SqliteDatabase.open(settings.data_dir / DATABASE_FILE, clock, outbox=True, second=second)
    )
    bus = await _kafka(stack, settings)
    return Infrastructure(bus, database.storage, database.outbox, _folders(settings), database.prune)


async def _distributed(stack: AsyncExitStack, settings: PlatformSettings) -> Infrastructure:
    from nija_common.storage.mongo import MongoServer

    if settings.mongo_url is None:
        raise SettingsError("NIJA_MONGO_URL: missing; NIJA_STORE=mongodb needs it")
    server = await stack.enter_async_context(
        MongoServer.open(settings.mongo_url.get_secret_value(), namespace=settings.namespace)
    )
    bus = await _kafka(stack, settings)
    return Infrastructure(bus, server.storage, server.outbox, server.blobs, incarnations=server)


def _folders(settings: PlatformSettings) -> Callable[[str], Blobs]:
    return lambda service: FolderBlobs(settings.data_dir / FILES_FOLDER / service)


async def _kafka(stack: AsyncExitStack, settings: PlatformSettings) -> Bus:
    from nija_common.bus.kafka import KafkaBus

    if settings.kafka_bootstrap is None:
        raise SettingsError("NIJA_KAFKA_BOOTSTRAP: missing; NIJA_BUS=kafka needs it")
    access = kafka_access(settings.kafka)
    try:
        access.options()
    except ValueError as error:
        raise SettingsError(f"NIJA_KAFKA__CA: {error}") from None
    return await stack.enter_async_context(
        KafkaBus.open(settings.kafka_bootstrap, namespace=settings.namespace, access=access)
    )


def kafka_access(kafka: KafkaSettings) -> Access:
    """What the settings say of it; a mechanism only where it is used."""
    return Access(
        protocol=kafka.security_protocol,
        mechanism=kafka.sasl_mechanism if kafka.sasl else None,
        username=kafka.username,
        password=None if kafka.password is None else kafka.password.get_secret_value(),
        ca=kafka.ca,
    )


def make_folder(folder: Path) -> None:
    """Makes the data folder, for its owner only. Raises SettingsError."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise SettingsError(f"NIJA_DATA_DIR: {error.strerror}: {folder}") from None
