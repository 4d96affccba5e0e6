"""The outbox of a store whose bus is elsewhere (SQLite store with the Kafka bus: tests and benchmarks)."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import suppress

import orjson

from nija_common.bus.port import Message, NotOwner
from nija_common.storage import sqlite_rights
from nija_common.storage.port import Lease, OutboxRow
from nija_common.storage.sqlite_engine import Engine, Transaction
from nija_common.storage.sqlite_query import listed
from nija_common.values.clock import Clock

LOOK_S = 0.25
"""How long a waiter trusts the bell alone."""


class Bell:
    """Rings for everybody who waits; `count` tells whether it rang since one last looked."""

    def __init__(self) -> None:
        self.count = 0
        self._rung = asyncio.Event()

    def ring(self) -> None:
        self.count += 1
        self._rung.set()
        self._rung = asyncio.Event()

    async def after(self, count: int, timeout_s: float) -> None:
        """Returns once it has rung more than `count` times, at the latest after `timeout_s`."""
        if self.count > count:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._rung.wait()


class SqliteOutbox:
    """Port `Outbox` for one service. Commits are serial here, so insertion order is `seq` order and has no holes."""

    def __init__(self, engine: Engine, bell: Bell, clock: Clock, service: str) -> None:
        self._engine = engine
        self._bell = bell
        self._clock = clock
        self._service = service
        self._looked_at = 0

    async def pending(self, limit: int) -> list[OutboxRow]:
        self._looked_at = self._bell.count
        rows = await self._engine.read(
            lambda connection: connection.execute(
                "SELECT id, topic, part, key, value, headers, state, seq, created_ms FROM sys_outbox "
                "WHERE service = ? ORDER BY n LIMIT ?",
                (self._service, limit),
            ).fetchall()
        )
        return [
            OutboxRow(row_id, Message(topic, part, key, value, orjson.loads(headers)), bool(state), seq, created_ms)
            for row_id, topic, part, key, value, headers, state, seq, created_ms in rows
        ]

    async def mark_published(self, rows: Sequence[OutboxRow], lease: Lease) -> None:
        def run(unit: Transaction) -> None:
            if not sqlite_rights.holds(unit.connection, self._service, lease, self._clock.now_ms()):
                raise NotOwner(f"the lease {lease.name} has passed on")
            for marks, ids in listed([row.id for row in rows]):
                unit.connection.execute(
                    f"DELETE FROM sys_outbox WHERE service = ? AND id IN ({marks})", (self._service, *ids)
                )
            unit.queued = True

        await self._engine.write(run)

    async def changed(self, timeout_s: float) -> None:
        await self._bell.after(self._looked_at, timeout_s)

    async def wait_published(self, commit_id: str, timeout_s: float) -> bool:
        """Whether no event of the commit is left in the outbox, waiting up to `timeout_s` for it."""
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout_s
        while True:
            count = self._bell.count
            if not await self._engine.read(lambda connection: _left(connection, self._service, commit_id)):
                return True
            left = until - loop.time()
            if left <= 0:
                return False
            await self._bell.after(count, min(left, LOOK_S))


def _left(connection: sqlite3.Connection, service: str, commit_id: str) -> bool:
    rows = connection.execute(
        "SELECT 1 FROM sys_outbox WHERE service = ? AND commit_id = ? LIMIT 1", (service, commit_id)
    ).fetchall()
    return bool(rows)
