"""Runs the loops of a service: every so often, in one process at a time where a loop says so."""

from __future__ import annotations

import asyncio
from typing import Any

import structlog

from nija_common.bus.consumer import is_transient
from nija_common.runtime.manifest import Loop
from nija_common.storage.port import Storage
from nija_common.telemetry import metrics
from nija_common.values.clock import Clock

log = structlog.get_logger(__name__)

FAILURES_ALLOWED = 5
LEAST_LEASE_S = 15.0
LAG_EVERY_S = 0.25


async def run_loop(loop: Loop, *, service: str, deps: Any, storage: Storage, clock: Clock, holder: str) -> None:
    """Turns until cancelled. A failed turn is logged and counted; the fifth in a row that waiting cannot heal is raised."""
    failures = 0
    while True:
        try:
            await turn(loop, deps=deps, storage=storage, holder=holder)
            failures = 0
        except Exception as error:
            metrics.LOOP_FAILURES.labels(service, loop.name).inc()
            log.error("loop_failed", service=service, loop=loop.name, exc_info=error)
            if not is_transient(error):
                failures += 1
            if failures >= FAILURES_ALLOWED:
                raise
        await clock.sleep(loop.every_s)


async def watch_lag() -> None:
    """Until cancelled, how late this event loop comes to what is due: what every request and event here waits for."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + LAG_EVERY_S
        await asyncio.sleep(LAG_EVERY_S)
        metrics.LOOP_LAG_SECONDS.observe(max(0.0, loop.time() - due))


async def turn(loop: Loop, *, deps: Any, storage: Storage, holder: str) -> bool:
    """One turn, if this process may; whether it did. The lease outlives two periods, so its holder keeps it."""
    if loop.leased:
        ttl_ms = round(max(LEAST_LEASE_S, 2.5 * loop.every_s) * 1000)
        if await storage.take(f"loop/{loop.name}", holder, ttl_ms) is None:
            return False
    await loop.run(deps)
    return True
