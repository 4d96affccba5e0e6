"""Makes the looks that fit the settings, and says what they found."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import orjson
from rich.console import Console
from rich.text import Text

from nija_cli.endings import Failed
from nija_cli.environment import platform_settings
from nija_cli.operating.doctor import progress
from nija_cli.operating.doctor.configured import settings_findings
from nija_cli.operating.doctor.findings import Finding, looked, ok, warn
from nija_cli.operating.doctor.folder import due_findings, folder_findings, waiting_of
from nija_cli.operating.doctor.reach import reach_findings
from nija_common.events.topics import USERS
from nija_common.runtime.infrastructure import DATABASE_FILE, Infrastructure, open_infrastructure
from nija_common.runtime.settings import PlatformSettings, environment
from nija_common.storage.sqlite_lock import holder_of
from nija_common.telemetry.logging import configure_logging
from nija_common.values.clock import SystemClock

COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


async def examine(data_dir: Path | None, *, as_json: bool, exchanges: bool) -> None:
    """`nija doctor`. Raises Failed where anything has failed."""
    configure_logging("error")
    env = environment(os.environ)
    found = settings_findings(env)
    if not any(finding.level == "fail" for finding in found):
        settings = platform_settings(env, data_dir=data_dir)
        found += await _platform(settings)
        found += await looked("outside", reach_findings(settings, env, exchanges=exchanges), "look at the settings")
    _tell(found, as_json)
    failed = sum(finding.level == "fail" for finding in found)
    if failed:
        raise Failed(f"{failed} {'thing has' if failed == 1 else 'things have'} to be put right")


async def _platform(settings: PlatformSettings) -> list[Finding]:
    if settings.store == "sqlite":
        return await _embedded(settings)
    todo = "is MongoDB running, and is NIJA_MONGO_URL right?"
    return await looked("store", _distributed(settings), todo)


async def _embedded(settings: PlatformSettings) -> list[Finding]:
    database = settings.data_dir / DATABASE_FILE
    if not database.is_file():
        return [warn("folder", f"there is no platform in {settings.data_dir}", "`nija up` makes one")]
    found = await looked("folder", folder_findings(settings), "look at the folder's rights")
    due = await looked("schema", due_findings(settings), "restore a backup: `nija restore --force`")
    found += due
    if any(finding.level != "ok" and not finding.text.endswith("declared by nobody") for finding in due):
        return found  # what is not there cannot be asked; opening would make it
    async with open_infrastructure(settings, SystemClock(), second=True) as infrastructure:
        running = holder_of(database) is not None
        found += await _progress(infrastructure, waiting_of(settings), embedded=True, running=running)
    return found


async def _distributed(settings: PlatformSettings) -> list[Finding]:
    async with open_infrastructure(settings, SystemClock()) as infrastructure:
        found = await looked(
            "store", progress.store_findings(infrastructure), "is MongoDB a replica set with a primary?"
        )
        bus = await looked("bus", _bus(infrastructure), "is Kafka running, and is NIJA_KAFKA_BOOTSTRAP right?")
        found += bus
        if bus[0].level == "ok":
            found += await looked("schema", progress.schema_findings(infrastructure), "run `nija migrate`")
        if all(finding.level != "fail" for finding in found):
            waiting = progress.waiting_on_kafka(infrastructure)
            found += await _progress(infrastructure, waiting, embedded=False, running=True)
    return found


async def _bus(infrastructure: Infrastructure) -> list[Finding]:
    loop = asyncio.get_running_loop()
    began = loop.time()
    await infrastructure.bus.differences([USERS])  # answers before there are topics too
    return [ok("bus", f"answers in {(loop.time() - began) * 1000:.0f} ms")]


async def _progress(
    infrastructure: Infrastructure, waiting: progress.Waiting, *, embedded: bool, running: bool
) -> list[Finding]:
    found = await looked("lag", progress.lag_findings(waiting), "look at the bus")
    found += await looked("parked", progress.parked_findings(infrastructure), "look at the store")
    if not embedded:
        found += await looked("outbox", progress.outbox_findings(infrastructure), "look at the store")
    if running:
        leases = progress.lease_findings(infrastructure, relays=not embedded)
        found += await looked("leases", leases, "look at the store")
    return found


def _tell(found: list[Finding], as_json: bool) -> None:
    if as_json:
        failed = any(finding.level == "fail" for finding in found)
        lines = [{"level": one.level, "area": one.area, "text": one.text, "todo": one.todo} for one in found]
        print(orjson.dumps({"ok": not failed, "findings": lines}, option=orjson.OPT_INDENT_2).decode())
        return
    console = Console(soft_wrap=True, highlight=False)
    for one in found:
        line = Text(f"{one.level:<5}", style=COLOURS[one.level])
        line.append(f"{one.area:<16} {one.text}", style="default")
        if one.todo:
            line.append(f" - {one.todo}", style="bold")
        console.print(line)
