"""`nija migrate --check` and `--new-incarnation`: what differs from the catalogue, and the new life of a restored MongoDB."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from nija_auth.handlers.restored import end_everything
from nija_cli.endings import Failed
from nija_cli.environment import platform_settings, read_environment
from nija_cli.maintenance import opened
from nija_cli.operating.republish import told_again
from nija_cli.services import SERVICES
from nija_common.bus import sqlite_log
from nija_common.bus.parked import ParkedKey
from nija_common.runtime.infrastructure import DATABASE_FILE, Incarnations, Infrastructure, open_infrastructure
from nija_common.runtime.node import schema_differences, schema_unknown, topics_of
from nija_common.storage import sqlite_schema
from nija_common.storage.incarnations import next_incarnation
from nija_common.storage.outbox import LEASE
from nija_common.telemetry.logging import configure_logging
from nija_common.values.clock import SystemClock
from nija_common.values.document import Document
from nija_trading.handlers.pool import WORKERS


async def show_differences(data_dir: Path | None) -> None:
    """`nija migrate --check`: changes nothing. Raises Failed where something differs."""
    settings = platform_settings(read_environment(), data_dir=data_dir)
    configure_logging("warning")
    if settings.store == "sqlite":
        found = embedded_differences(settings.data_dir / DATABASE_FILE)
        if settings.bus != "sqlite":
            async with open_infrastructure(settings, SystemClock(), second=True) as infrastructure:
                found += await infrastructure.bus.differences(topics_of(SERVICES))
    else:
        async with open_infrastructure(settings, SystemClock()) as infrastructure:
            found = await schema_differences(infrastructure, SERVICES) + await schema_unknown(infrastructure, SERVICES)
    for line in found:
        print(line)
    if found:
        raise Failed(f"{len(found)} things differ; `nija migrate` makes what is missing or declared otherwise")
    print("topics, collections and indexes are as declared")


def embedded_differences(database: Path) -> list[str]:
    """Of a data folder's file, running or not; opened for reading only. Raises Failed, sqlite3.Error."""
    if not database.is_file():
        raise Failed(f"there is no platform in {database.parent}; `nija up` makes one")
    with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        tables = {str(name) for (name,) in connection.execute("SELECT name FROM sqlite_master").fetchall()}
        found = sqlite_schema.missing_platform(connection)
        found += sqlite_log.differences(connection, topics_of(SERVICES)) if "log_topics" in tables else ["no log"]
        for service in SERVICES:
            kinds: list[type[Document]] = [*service.collections, ParkedKey]
            for look in (sqlite_schema.differences, sqlite_schema.unknown):
                found += [f"{service.name}: {line}" for line in look(connection, service.name, kinds)]
    return found


async def begin_incarnation(data_dir: Path | None) -> None:
    """`nija migrate --new-incarnation`, after MongoDB was restored and before anything runs on it. Raises Failed."""
    settings = platform_settings(read_environment(), data_dir=data_dir)
    configure_logging("warning")
    if settings.store != "mongodb":
        raise Failed("`nija restore` begins a new incarnation itself; this is for a MongoDB that was restored")
    async with open_infrastructure(settings, SystemClock()) as infrastructure:
        assert infrastructure.incarnations is not None
        await _refuse_running(infrastructure)
        number = await _begun(infrastructure.incarnations)
    print(f"incarnation {number}: what is told from now on is newer than all before")
    async with opened("auth", data_dir) as (auth, _):
        ended = await end_everything(auth.deps)
    print(f"{ended} sessions have ended: everybody signs in anew")
    for service in SERVICES:
        if service.states:
            told = await told_again(service, service.states, None, data_dir)
            print(f"{service.name}: {told} states are told again")


async def _refuse_running(infrastructure: Infrastructure) -> None:
    for service in SERVICES:
        storage = infrastructure.storage_of(service.name)
        # Each process of a service relays or trades, under leases that are short; those of loops may last hours.
        held = [*await storage.leases(LEASE), *await storage.leases(WORKERS)]
        if held:
            raise Failed(
                f"{service.name} runs ({held[0].holder}): stop every service first; one that was killed is forgotten"
                " after 10 s"
            )


async def _begun(incarnations: Incarnations) -> int:
    """One number for every service, so that they can be compared by eye."""
    number = next_incarnation(*[await incarnations.incarnation(service.name) for service in SERVICES])
    for service in SERVICES:
        await incarnations.begin_incarnation(service.name, number)
    return number
