"""What the worker role does on its own: keeps leases, reads and steps the market, obeys commands, hears wake-ups.

A bus outage moves no shard and stops no bot: wake-ups only make the next look come sooner.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from nija_common.bus.port import BusUnavailable, Edge, TopicPartition
from nija_common.events.topics import TRADING_COMMANDS
from nija_common.runtime.manifest import Task
from nija_common.telemetry import metrics
from nija_common.values.clock import until
from nija_trading.deps import Deps
from nija_trading.handlers import pool
from nija_trading.handlers import worker as work
from nija_trading.handlers.pool import TRANSIENT, Worker

log = structlog.get_logger(__name__)

PAUSE_S = 0.5
"""After a failure that waiting can heal, and between two tries of the bus."""
POLL_S = 0.5


async def run_worker(deps: Deps) -> None:
    """One worker, until the process finishes: the step and the commands in hand are ended, then its leases given back."""
    worker = Worker(deps, deps.market)
    # Asked for when somebody looks: never older than that.
    metrics.SHARDS_HELD.set_function(lambda: len(worker.shards))
    metrics.BOTS_RUNNING.set_function(lambda: len(worker.bots()))
    try:
        async with asyncio.TaskGroup() as group:
            worker.spawn = group.create_task
            beside = [group.create_task(turn(worker), name=f"worker{turn.__name__}") for turn in (_leases, _market)]
            beside.append(group.create_task(_wake_ups(worker), name="worker_wake_ups"))
            trading = [group.create_task(turn(worker), name=f"worker{turn.__name__}") for turn in (_steps, _looks)]
            await deps.finishing.wait()
            worker.moved.set()
            deps.looks.set()
            await asyncio.gather(*trading)
            for task in beside:
                task.cancel()
    finally:
        await pool.leave(worker)


async def _leases(worker: Worker) -> None:
    deps = worker.deps
    while True:
        await _patiently("leases", pool.renew, worker)
        await deps.clock.sleep(deps.settings.trading_renew_ms / 1000)


async def _market(worker: Worker) -> None:
    """The market's own reading; there is news for steps, and for commands that wait for data."""

    def moved() -> None:
        worker.moved.set()
        worker.deps.looks.set()

    await worker.market.run(moved)


async def _steps(worker: Worker) -> None:
    deps = worker.deps
    while not deps.finishing.is_set():
        worker.moved.clear()
        wait_s = await _patiently("steps", work.step, worker)
        poll_s = deps.settings.trading_poll_ms / 1000
        if deps.finishing.is_set():
            return
        await until(deps.clock, worker.moved, poll_s if wait_s is None else min(wait_s, poll_s))


async def _looks(worker: Worker) -> None:
    deps = worker.deps
    while not deps.finishing.is_set():
        deps.looks.clear()
        await _patiently("looks", work.look, worker)
        if deps.finishing.is_set():
            return
        await until(deps.clock, deps.looks, deps.settings.trading_poll_ms / 1000)


async def _wake_ups(worker: Worker) -> None:
    """Reads the wake-ups of the held shards, in no group, from now on; what came before is found by a look."""
    deps = worker.deps
    while True:
        held = worker.held()
        if not held:
            await asyncio.sleep(POLL_S / 10)
            continue
        places = {TopicPartition(TRADING_COMMANDS.name, number): Edge.END for number in held}
        try:
            async with deps.bus.read(places) as reader:
                deps.looks.set()
                while worker.held() == held:
                    if await reader.poll(500, POLL_S):
                        deps.looks.set()
        except BusUnavailable as error:
            log.warning("bus_unavailable", reader="worker", reason=str(error))
            await asyncio.sleep(PAUSE_S)


async def _patiently(what: str, turn: Callable[[Worker], Awaitable[float | None]], worker: Worker) -> float | None:
    """One turn; what waiting can heal is logged and waited for, anything else ends the process."""
    try:
        return await turn(worker)
    except TRANSIENT as error:
        metrics.LOOP_FAILURES.labels("trading-engine", f"worker-{what}").inc()
        log.warning("worker_turn_failed", what=what, reason=repr(error))
        await asyncio.sleep(PAUSE_S)
        return None


WORKER = Task("worker", run_worker, finishes=True)
