"""Runs the loops of a service: every so often, in one process at a time where a loop says so."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import structlog

from nija_common.bus.consumer import is_transient
from nija_common.errors import NijaError
from nija_common.runtime.manifest import Loop
from nija_common.storage.port import Storage
from nija_common.telemetry import metrics
from nija_common.values.clock import Clock, until

log = structlog.get_logger(__name__)

FAILURES_ALLOWED = 5
LEAST_LEASE_S = 15.0
LAG_EVERY_S = 0.25
GIVE_BACK_S = 1.0


async def run_loop(
    loop: Loop, *, service: str, deps: Any, storage: Storage, clock: Clock, holder: str, finishing: asyncio.Event
) -> None:
    """Turns until cancelled, or until `finishing`: then the turn in hand is the last, and the lease is given back.

    A failed turn is logged and counted; the fifth in a row that waiting cannot heal is raised.
    """
    failures = 0
    try:
        while not finishing.is_set():
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
            await until(clock, finishing, loop.every_s)
    finally:
        if loop.leased:
            await _give_back(loop, storage, holder)


async def _give_back(loop: Loop, storage: Storage, holder: str) -> None:
    """Another process can have the loop at once. Where the store is away, the lease ends by itself."""
    with suppress(NijaError, TimeoutError):
        async with asyncio.timeout(GIVE_BACK_S):
            for lease in await storage.leases(_lease_of(loop)):
                if lease.name == _lease_of(loop) and lease.holder == holder:
                    await storage.release(lease)


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
        if await storage.take(_lease_of(loop), holder, ttl_ms) is None:
            return False
    await loop.run(deps)
    return True


def _lease_of(loop: Loop) -> str:
    return f"loop/{loop.name}"
