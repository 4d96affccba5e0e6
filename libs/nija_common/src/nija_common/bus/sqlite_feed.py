"""Reading several partitions of the embedded log in turn: what group members and free readers share."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from nija_common.bus import sqlite_log
from nija_common.bus.port import BusUnavailable, NotOwner, Record, TopicPartition
from nija_common.bus.sqlite_log import Lanes, Tail, Wakeful
from nija_common.errors import NijaError
from nija_common.storage.sqlite_engine import Engine


class Feed(Wakeful):
    """Positions in some lanes, and polling from them. One poll at a time."""

    def __init__(self, engine: Engine, lanes: Lanes, tail: Tail) -> None:
        super().__init__()
        self._failure: Exception | None = None
        self._suspended = False
        self._engine = engine
        self._lanes = lanes
        self._tail = tail
        self._positions: dict[int, int] = {}
        self._paused: set[int] = set()
        self._turn = 0

    def place(self, positions: Mapping[TopicPartition, int]) -> None:
        """Starts to read these partitions."""
        numbered = {self._lanes.of(*where): offset for where, offset in positions.items()}
        self._positions.update(numbered)
        self._suspended = False
        self._tail.watch(self, numbered)

    def suspend(self) -> None:
        """Returns nothing until `place`, not even from a poll that has begun; positions stay."""
        self._suspended = True

    def clear(self) -> None:
        """Forgets its partitions."""
        self._tail.leave(self, list(self._positions))
        self._positions.clear()
        self._paused.clear()

    def fail(self, reason: Exception) -> None:
        """From now on every poll raises this."""
        self._failure = reason
        self.bell.set()

    def seek(self, where: TopicPartition, offset: int) -> None:
        """Raises NotOwner for a partition that is not read here."""
        lane = self._lanes.of(*where)
        if lane not in self._positions:
            raise NotOwner(f"{where.topic}/{where.partition} is not read here")
        self._positions[lane] = offset
        self.ready.add(lane)
        self.bell.set()

    def pause(self, where: TopicPartition) -> None:
        """Nothing happens if the partition is not read here (any more); so with `resume`."""
        lane = self._lanes.of(*where)
        if lane in self._positions:
            self._paused.add(lane)

    def resume(self, where: TopicPartition) -> None:
        self._paused.discard(self._lanes.of(*where))
        self.bell.set()

    def position(self, where: TopicPartition) -> int:
        """Raises KeyError for a partition that is not read here."""
        return self._positions[self._lanes.of(*where)]

    async def poll(self, max_records: int, timeout: float) -> list[Record]:
        """The next records, or none after `timeout` seconds. Raises BusUnavailable, and what `fail` was given."""
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout
        while True:
            self.bell.clear()
            if self._failure is not None:
                raise self._failure
            found = await self._fetch(max_records)
            if found:
                return found
            if self._waiting_lanes():
                continue
            left = until - loop.time()
            if left <= 0:
                return []
            timer = loop.call_later(left, self.bell.set)
            try:
                await self.bell.wait()
            finally:
                timer.cancel()

    def _waiting_lanes(self) -> list[int]:
        return [] if self._suspended else [lane for lane in self.ready if lane not in self._paused]

    async def _fetch(self, max_records: int) -> list[Record]:
        lanes = sorted(self._waiting_lanes())
        if not lanes:
            return []
        # Each poll begins one lane further on, so that a busy partition starves no other.
        self._turn += 1
        split = self._turn % len(lanes)
        wanted = [(lane, self._positions[lane]) for lane in lanes[split:] + lanes[:split]]
        try:
            fetched = await self._engine.read(lambda connection: sqlite_log.fetch(connection, wanted, max_records))
        except NijaError as error:
            raise BusUnavailable(error.message) from error
        records: list[Record] = []
        for lane, start, rows, follows in fetched:
            if self._suspended or lane in self._paused or self._positions.get(lane) != start:
                continue  # taken away, paused or sought meanwhile
            where = self._lanes.place(lane)
            records.extend(sqlite_log.record(where, row) for row in rows)
            self._positions[lane] = follows
            if follows >= self._tail.ends.get(lane, 0):
                self.ready.discard(lane)
        return records
