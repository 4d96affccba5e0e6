"""Commands for parked keys: list, show, replay."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table

from nija_cli.maintenance import opened
from nija_cli.services import SERVICES, named
from nija_common.bus.parked import ERROR_HEADER, OFFSET_HEADER, ParkedKey
from nija_common.bus.replay import parked_records, replay_key
from nija_common.errors import NijaError, SettingsError
from nija_common.events.catalogue import codec
from nija_common.storage.port import Storage
from nija_common.values.times import iso


async def _keys(storage: Storage) -> list[ParkedKey]:
    found: list[ParkedKey] = []
    after: str | None = None
    while True:
        page = await storage.find(ParkedKey, "by_group", limit=500, after=after)
        found += page.items
        after = page.after
        if after is None:
            return found


async def _of_key(storage: Storage, key: str) -> list[ParkedKey]:
    found = [parked for parked in await _keys(storage) if parked.key == key]
    if not found:
        raise SettingsError(f"{key}: no such key is parked there (`nija parked list` shows all)")
    return found


async def show_keys(data_dir: Path | None) -> None:
    """`nija parked list`."""
    table = Table("service", "topic", "key", "waiting", "since", "reason")
    for service in SERVICES:
        async with opened(service.name, data_dir) as (running, _):
            for parked in await _keys(running.storage):
                waiting = str(parked.forwarded - parked.replayed)
                table.add_row(service.name, parked.topic, parked.key, waiting, iso(parked.since_ms), parked.reason)
    Console().print(table if table.row_count else "no key is parked")


async def show_events(service: str, key: str, data_dir: Path | None) -> None:
    """`nija parked show`."""
    table = Table("number", "topic", "offset", "type", "reason", "replayed")
    async with opened(named(service).name, data_dir) as (running, infrastructure):
        for parked in await _of_key(running.storage, key):
            for number, record in enumerate(await parked_records(infrastructure.bus, service, parked)):
                headers = record.headers
                table.add_row(
                    str(number),
                    parked.topic,
                    headers.get(OFFSET_HEADER, ""),
                    headers.get("type", ""),
                    headers.get(ERROR_HEADER, ""),
                    "yes" if number < parked.replayed else "no",
                )
    Console().print(table)


async def replay(service: str, key: str, data_dir: Path | None) -> None:
    """`nija parked replay`."""
    manifest = named(service)
    async with opened(service, data_dir) as (running, infrastructure):
        for parked in await _of_key(running.storage, key):
            handlers = {
                event: handler
                for role, part in manifest.roles.items()
                if manifest.group(role) == parked.group
                for subscription in part.subscriptions
                if subscription.topic.name == parked.topic and not subscription.broadcast
                for event, handler in subscription.handlers.items()
            }
            try:
                handled = await replay_key(
                    parked,
                    service=service,
                    handlers=handlers,
                    deps=running.deps,
                    storage=running.storage,
                    bus=infrastructure.bus,
                    work=running.work,
                    codec=codec(),
                )
            except NijaError:
                raise
            except Exception as error:
                reason = f"{type(error).__name__}: {error}"
                raise SettingsError(
                    f"{parked.topic} {key} stays parked, an event still cannot be handled: {reason}"
                ) from error
            print(f"{parked.topic} {key}: {handled} events handled, the key is released")
