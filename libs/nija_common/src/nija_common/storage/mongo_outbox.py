"""The outbox in MongoDB: rows that commits have left, read in a snapshot, woken by a change stream.

A commit draws its numbers from counters that it writes, so a later number is never visible without the earlier
ones, and a snapshot shows no hole. A plain scan could: it may pass a place before the row is there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import pymongo
import structlog
from pymongo import ReadPreference
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError

from nija_common.bus.port import Message, NotOwner
from nija_common.cancellation import heeding_cancellation
from nija_common.storage import mongo_errors, mongo_rights
from nija_common.storage.mongo_commit import MAJORITY, SNAPSHOT
from nija_common.storage.mongo_schema import OUTBOX, Raw
from nija_common.storage.port import Lease, OutboxRow

log = structlog.get_logger(__name__)

MARK_S = 5.0
LOOK_EVERY_S = 0.02
REOPEN_S = 0.25


class Bell:
    """Rings when rows are inserted: follows the collection's change stream from the first time somebody waits."""

    def __init__(self, database: AsyncDatabase[Raw]) -> None:
        self._database = database
        self._rung = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def wait(self, timeout_s: float) -> None:
        """Until it rings, or rang since the last wait; at the latest after `timeout_s`."""
        if self._task is None:
            self._task = asyncio.create_task(self._follow(), name="outbox-bell")
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._rung.wait()
        self._rung.clear()

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _follow(self) -> None:
        """Whoever waits looks again after its own time, so a stream that breaks only makes waking slower."""
        while True:
            try:
                with heeding_cancellation():
                    await self._ring_at_inserts()
            except PyMongoError as error:
                log.warning("outbox_stream_broken", database=self._database.name, reason=type(error).__name__)
            await asyncio.sleep(REOPEN_S)

    async def _ring_at_inserts(self) -> None:
        async with await self._database[OUTBOX].watch([{"$match": {"operationType": "insert"}}]) as changes:
            # What came between two streams is looked at now.
            self._rung.set()
            while changes.alive:
                with heeding_cancellation():
                    await changes.next()
                self._rung.set()


class MongoOutbox:
    """Port `Outbox` for one service."""

    def __init__(self, database: AsyncDatabase[Raw], bell: Bell) -> None:
        self._database = database
        self._bell = bell

    async def pending(self, limit: int) -> list[OutboxRow]:
        rows: list[Raw] = []

        async def read(session: AsyncClientSession) -> None:
            rows[:] = await self._oldest(session, limit)

        await self._in_transaction(read)
        return [_row(raw) for raw in _without_holes(rows)]

    async def mark_published(self, rows: Sequence[OutboxRow], lease: Lease) -> None:
        ids = [row.id for row in rows]

        async def mark(session: AsyncClientSession) -> None:
            if not await mongo_rights.assert_held(self._database, lease, session):
                raise NotOwner(f"the lease {lease.name} has passed on")
            await self._database[OUTBOX].delete_many({"_id": {"$in": ids}}, session=session)

        await self._in_transaction(mark)

    async def changed(self, timeout_s: float) -> None:
        await self._bell.wait(timeout_s)

    async def wait_published(self, commit_id: str, timeout_s: float) -> bool:
        """Whether no event of the commit is left, waiting up to `timeout_s` for it."""
        deadline = time.monotonic() + timeout_s
        while True:
            with mongo_errors.translated():
                if await self._database[OUTBOX].find_one({"commit": commit_id}, {"_id": 1}) is None:
                    return True
            if time.monotonic() >= deadline:
                return False
            await asyncio.sleep(LOOK_EVERY_S)

    async def _oldest(self, session: AsyncClientSession, limit: int) -> list[Raw]:
        """The oldest rows by the writers' clocks, and before each whatever its key still has before it."""
        outbox = self._database[OUTBOX]
        first = await outbox.find({}, sort=[("created_ms", 1)], limit=limit, session=session).to_list()
        if len(first) < limit:
            return first
        lowest: dict[tuple[str, str], int] = {}
        for row in first:
            place = (row["topic"], row["key"])
            lowest[place] = min(lowest.get(place, row["order"]), row["order"])
        before = [{"topic": t, "key": k, "order": {"$lt": order}} for (t, k), order in lowest.items()]
        earlier = await outbox.find({"$or": before}, sort=[("order", 1)], limit=limit, session=session).to_list()
        return earlier + first

    async def _in_transaction(self, work: Callable[[AsyncClientSession], Any]) -> None:
        deadline = time.monotonic() + MARK_S
        while True:
            try:
                with (
                    heeding_cancellation(),
                    pymongo.timeout(max(deadline - time.monotonic(), 0.05)),
                ):
                    async with (
                        self._database.client.start_session(causal_consistency=False) as session,
                        await session.start_transaction(SNAPSHOT, MAJORITY, ReadPreference.PRIMARY),
                    ):
                        await work(session)
                return
            except PyMongoError as error:
                # Both steps may be run twice: reading changes nothing, and rows are removed by id.
                if not mongo_errors.is_transient(error) or time.monotonic() >= deadline:
                    raise mongo_errors.of(error) from error


def _without_holes(rows: Sequence[Raw]) -> list[Raw]:
    """By key in order, each up to the first number that is missing; keys by their oldest row."""
    by_key: dict[tuple[str, str, bool], list[Raw]] = {}
    for row in sorted(rows, key=lambda each: (each["created_ms"], each["topic"], each["key"])):
        by_key.setdefault((row["topic"], row["key"], row["seq"] == 0), []).append(row)
    whole: list[Raw] = []
    for each in by_key.values():
        each.sort(key=lambda row: int(row["order"]))
        first = int(each[0]["order"])
        whole.extend(row for i, row in enumerate(each) if row["order"] == first + i)
    return whole


def _row(raw: Raw) -> OutboxRow:
    message = Message(raw["topic"], int(raw["partition"]), raw["key"], bytes(raw["value"]), dict(raw["headers"]))
    return OutboxRow(str(raw["_id"]), message, bool(raw["state"]), int(raw["seq"]), int(raw["created_ms"]))
