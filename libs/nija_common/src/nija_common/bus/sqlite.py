"""The bus port on the embedded log: durable, in one process, readable and writable by a second connection.

Delivery is at least once and order holds within a partition only, as on Kafka; a record is visible once its
transaction is committed. What groups have not read is never dropped.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import TypeVar

from nija_common.bus import sqlite_log, sqlite_retention
from nija_common.bus.port import (
    BusUnavailable,
    Edge,
    Listener,
    Member,
    Message,
    NotOwner,
    Reader,
    Record,
    Since,
    Start,
    StatePublisher,
    TopicPartition,
)
from nija_common.bus.sqlite_feed import Feed
from nija_common.bus.sqlite_log import UnknownTopic
from nija_common.bus.sqlite_retention import LanePolicy
from nija_common.errors import NijaError
from nija_common.events.topics import Topic
from nija_common.storage.sqlite import SqliteDatabase
from nija_common.storage.sqlite_engine import Transaction

T = TypeVar("T")


class SqliteBus:
    """Port `Bus` over one open file."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database
        self._engine = database.engine
        self._lanes = database.lanes

    async def send(self, messages: Sequence[Message]) -> None:
        if messages:
            await self._write(self._appending(messages))

    @asynccontextmanager
    async def _join(self, group: str, topics: Sequence[str], listener: Listener) -> AsyncIterator[Member]:
        if self._database.second:
            raise BusUnavailable("Groups live in the process of the platform; a second one cannot join them.")
        member = await self._database.groups.join(group, topics, listener)
        try:
            yield member
        finally:
            member.leave()

    def join(self, group: str, topics: Sequence[str], listener: Listener) -> AbstractAsyncContextManager[Member]:
        return self._join(group, topics, listener)

    @asynccontextmanager
    async def _open_reader(self, starts: Mapping[TopicPartition, Start]) -> AsyncIterator[Reader]:
        reader = SqliteReader(Feed(self._engine, self._lanes, self._database.tail))
        reader.feed.place(await self.offsets(starts))
        try:
            yield reader
        finally:
            reader.feed.clear()

    def read(self, starts: Mapping[TopicPartition, Start]) -> AbstractAsyncContextManager[Reader]:
        return self._open_reader(starts)

    @asynccontextmanager
    async def _open_publisher(self, publisher_id: str) -> AsyncIterator[StatePublisher]:
        epoch = await self._write(lambda unit: sqlite_log.next_epoch(unit.connection, publisher_id))
        yield SqliteStatePublisher(self, publisher_id, epoch)

    def state_publisher(self, publisher_id: str) -> AbstractAsyncContextManager[StatePublisher]:
        return self._open_publisher(publisher_id)

    async def ends(self, places: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        lanes = {self._lane(where): where for where in places}
        found = await self._read(lambda connection: sqlite_log.ends(connection, lanes))
        return {lanes[lane]: end for lane, end in found.items()}

    async def offsets(self, starts: Mapping[TopicPartition, Start]) -> dict[TopicPartition, int]:
        lanes = {where: self._lane(where) for where in starts}
        return await self._read(
            lambda connection: {where: _offset_of(connection, lanes[where], start) for where, start in starts.items()}
        )

    async def committed(self, group: str, places: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        lanes = {self._lane(where): where for where in places}
        found = await self._read(lambda connection: sqlite_log.committed(connection, group, lanes))
        return {lanes[lane]: offset for lane, offset in found.items()}

    async def ensure(self, topics: Sequence[Topic]) -> None:
        await self._write(lambda unit: sqlite_log.ensure(unit.connection, topics))
        await self._read(self._lanes.load)

    async def differences(self, topics: Sequence[Topic]) -> list[str]:
        return await self._read(lambda connection: sqlite_log.differences(connection, topics))

    async def prune(self) -> int:
        """Drops what the policies of the topics no longer keep and every group has read; returns how many records.

        A loop of the platform calls it. Works in small steps, so that writers wait for none of it for long.
        """
        lanes = await self._read(sqlite_retention.lanes_with_policy)
        return sum([await self._prune(lane) for lane in lanes])

    async def _prune(self, lane: LanePolicy) -> int:
        now_ms = self._database.clock.now_ms()
        found = await self._read(lambda connection: sqlite_retention.droppable(connection, lane, now_ms))
        for i in range(0, len(found.places), sqlite_retention.STEP):
            step = found.places[i : i + sqlite_retention.STEP]
            await self._write(partial(sqlite_retention.drop, places=step))
        if found.compacted_to is not None:
            await self._write(partial(sqlite_retention.note, lane=lane, found=found))
        return len(found.places)

    # Used by this module's own classes.

    async def _write(self, run: Callable[[Transaction], T]) -> T:
        try:
            return await self._engine.write(run)
        except NijaError as error:
            raise BusUnavailable(error.message) from error

    async def _read(self, run: Callable[..., T]) -> T:
        try:
            return await self._engine.read(run)
        except NijaError as error:
            raise BusUnavailable(error.message) from error

    def _lane(self, where: TopicPartition) -> int:
        try:
            return self._lanes.of(*where)
        except UnknownTopic as error:
            raise BusUnavailable(str(error)) from error

    def _appending(self, messages: Sequence[Message]) -> Callable[[Transaction], None]:
        try:
            entries = [sqlite_log.entry_of(self._lanes, message) for message in messages]
        except UnknownTopic as error:
            raise BusUnavailable(str(error)) from error
        return lambda unit: sqlite_log.append(unit, entries, self._database.clock.now_ms())


class SqliteReader:
    """Port `Reader`."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed

    async def poll(self, max_records: int, timeout: float) -> list[Record]:
        return await self.feed.poll(max_records, timeout)

    def position(self, place: TopicPartition) -> int:
        return self.feed.position(place)


class SqliteStatePublisher:
    """Port `StatePublisher`: its epoch is looked up in the transaction that appends."""

    def __init__(self, bus: SqliteBus, publisher_id: str, epoch: int) -> None:
        self._bus = bus
        self._id = publisher_id
        self._epoch = epoch

    async def publish(self, messages: Sequence[Message]) -> None:
        appending = self._bus._appending(messages)

        def run(unit: Transaction) -> None:
            if sqlite_log.epoch(unit.connection, self._id) != self._epoch:
                raise NotOwner(f"another has opened the publisher {self._id}")
            appending(unit)

        await self._bus._write(run)


def _offset_of(connection: sqlite3.Connection, lane: int, start: Start) -> int:
    match start:
        case Edge.BEGINNING:
            return 0
        case Edge.END:
            return sqlite_log.ends(connection, (lane,))[lane]
        case Since(at_ms):
            return sqlite_log.first_since(connection, lane, at_ms)
        case int():
            return start
