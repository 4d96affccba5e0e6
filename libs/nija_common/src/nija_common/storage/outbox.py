"""The relay: carries committed events from a service's outbox to the bus, one relay a service, by lease.

Each (topic, key) goes out by `seq`, never past a row that could not be sent. Facts may go out twice after a
crash; consumers drop them by `seq`. State goes through a fenced publisher that is opened after the lease is
taken and before the first row is read: a relay that lost its lease without noticing can publish no old
snapshot. What cannot be sent stays in the outbox, and alarms.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import structlog

from nija_common.bus.port import Bus, BusUnavailable, Message, NotOwner, StatePublisher
from nija_common.errors import ErrorCode, NijaError
from nija_common.storage.port import Lease, Outbox, OutboxRow, Storage
from nija_common.telemetry import metrics
from nija_common.values.clock import Clock

log = structlog.get_logger(__name__)

LEASE = "relay"
LEASE_MS = 3_000
BATCH = 500
LOOK_S = 0.25
ALARM_AFTER = 10
BACKOFF_S = (0.05, 0.25, 1.0, 2.0, 5.0)
RELEASE_S = 1.0
CANCEL_AGAIN_S = 0.5

_AWAY = (ErrorCode.SERVICE_UNAVAILABLE, ErrorCode.DATABASE_ERROR)

Put = Callable[[Sequence[Message]], Awaitable[None]]


class Relay:
    """`holder` names this process in the lease."""

    def __init__(
        self,
        *,
        service: str,
        outbox: Outbox,
        storage: Storage,
        bus: Bus,
        clock: Clock,
        holder: str,
        lease_ms: int = LEASE_MS,
    ) -> None:
        self._service = service
        self._outbox = outbox
        self._storage = storage
        self._bus = bus
        self._clock = clock
        self._holder = holder
        self._lease_ms = lease_ms
        self._failures = 0
        self._refused: set[tuple[str, str]] = set()
        self._held_back = 0

    async def run(self) -> None:
        """Waits for the lease and relays while it lasts, until cancelled. What is away is waited for."""
        while True:
            try:
                lease = await self._storage.take(LEASE, self._holder, self._lease_ms)
                if lease is not None:
                    await self._lead(lease)
                await asyncio.sleep(self._lease_ms / 3000)
            except NotOwner as error:
                log.info("relay_replaced", service=self._service, reason=str(error))
                await asyncio.sleep(self._lease_ms / 3000)
            except (BusUnavailable, NijaError) as error:
                if isinstance(error, NijaError) and error.code not in _AWAY:
                    raise
                await self._wait_after(error)

    async def _lead(self, lease: Lease) -> None:
        """Relays until something ends it. Raises NotOwner once another has the lease."""
        try:
            await self._first_to_end(self._keep(lease), self._relay(lease))
        finally:
            # Whoever leads next measures; what this process has seen is no more to be added to that.
            self._measure(())
            await asyncio.shield(self._give_back(lease))

    async def _first_to_end(self, *parts: Awaitable[None]) -> None:
        """Runs both; what one raises ends the other too."""
        tasks = [asyncio.ensure_future(part) for part in parts]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            await _ended(tasks)

    async def _keep(self, lease: Lease) -> None:
        while True:
            await asyncio.sleep(self._lease_ms / 3000)
            await self._renew(lease)

    async def _renew(self, lease: Lease) -> None:
        renewed = await self._storage.take(lease.name, lease.holder, self._lease_ms)
        if renewed is None or renewed.epoch != lease.epoch:
            raise NotOwner("the relay's lease has passed on")

    async def _give_back(self, lease: Lease) -> None:
        with suppress(NijaError, TimeoutError):
            async with asyncio.timeout(RELEASE_S):
                await self._storage.release(lease)

    async def _relay(self, lease: Lease) -> None:
        async with self._bus.state_publisher(f"{self._service}-state") as publisher:
            # Opening shut our predecessor out; if it took too long, a successor is being shut out by mistake.
            await self._renew(lease)
            while True:
                rows = await self._outbox.pending(BATCH + self._held_back)
                self._measure(rows)
                ready = [row for row in rows if (row.message.topic, row.message.key) not in self._refused]
                self._held_back = len(rows) - len(ready)
                if ready:
                    await self._publish(ready, publisher, lease)
                    self._failures = 0
                else:
                    await self._outbox.changed(LOOK_S)

    async def _publish(self, rows: Sequence[OutboxRow], publisher: StatePublisher, lease: Lease) -> None:
        """Sends facts, then state; removes from the outbox what has been sent, also where the rest fails."""
        done: list[OutboxRow] = []
        try:
            done += await self._put([row for row in rows if not row.state], self._bus.send)
            done += await self._put([row for row in rows if row.state], publisher.publish)
        except BusUnavailable:
            if done:
                await self._outbox.mark_published(done, lease)
            raise
        if done:
            await self._outbox.mark_published(done, lease)

    async def _put(self, rows: Sequence[OutboxRow], put: Put) -> list[OutboxRow]:
        """Those that were sent: all of them, unless the bus refuses one for what it is."""
        if not rows:
            return []
        try:
            await put([row.message for row in rows])
            return list(rows)
        except ValueError:
            log.warning("relay_batch_taken_apart", service=self._service, rows=len(rows))
        done: list[OutboxRow] = []
        for row in rows:
            place = (row.message.topic, row.message.key)
            if place in self._refused:
                continue
            try:
                await put([row.message])
            except ValueError as error:
                self._refuse(row, error)
            else:
                done.append(row)
        return done

    def _refuse(self, row: OutboxRow, error: ValueError) -> None:
        """Leaves the row, and all later ones of its key, where they are. A restart tries them again."""
        self._refused.add((row.message.topic, row.message.key))
        metrics.OUTBOX_FAILURES.labels(self._service).inc()
        log.error(
            "outbox_row_refused",
            service=self._service,
            row=row.id,
            topic=row.message.topic,
            key=row.message.key,
            reason=str(error),
        )

    async def _wait_after(self, error: Exception) -> None:
        delay = BACKOFF_S[min(self._failures, len(BACKOFF_S) - 1)]
        self._failures += 1
        metrics.OUTBOX_FAILURES.labels(self._service).inc()
        tell = log.error if self._failures % ALARM_AFTER == 0 else log.warning
        tell("outbox_waits", service=self._service, failures=self._failures, delay_s=delay, reason=str(error))
        # Nothing else looks at the rows now, and their age is what the alarm goes by.
        with suppress(NijaError):
            self._measure(await self._outbox.pending(BATCH))
        await asyncio.sleep(delay)

    def _measure(self, rows: Sequence[OutboxRow]) -> None:
        """Both gauges see at most one batch: more rows than that are a queue all the same."""
        oldest = min((row.created_ms for row in rows), default=None)
        age_s = 0.0 if oldest is None else max(0.0, (self._clock.now_ms() - oldest) / 1000)
        metrics.OUTBOX_ROWS.labels(self._service).set(len(rows))
        metrics.OUTBOX_AGE_SECONDS.labels(self._service).set(age_s)


async def _ended(tasks: Sequence[asyncio.Future[None]]) -> None:
    """Cancels the tasks until all have ended: libraries that use `asyncio.wait_for` may miss a cancellation."""
    while any(not task.done() for task in tasks):
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=CANCEL_AGAIN_S)
    await asyncio.gather(*tasks, return_exceptions=True)
