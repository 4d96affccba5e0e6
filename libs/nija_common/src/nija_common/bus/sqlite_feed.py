"""Reading several partitions of the embedded log in turn: what group members and free readers share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from nija_common.bus import sqlite_log
from nija_common.bus.port import BusUnavailable, NotOwner, Record, TopicPartition
from nija_common.bus.sqlite_log import Lanes, Tail, Wakeful
from nija_common.errors import NijaError
from nija_common.storage.sqlite_engine import Engine


class Feed(Wakeful):
    """Positions in some lanes, and polling from them. One poll at a time.

    `check` is called before each look and raises what makes polling pointless.
    """

    def __init__(self, engine: Engine, lanes: Lanes, tail: Tail, check: Callable[[], None]) -> None:
        super().__init__()
        self._check = check
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

    def seek(self, where: TopicPartition, offset: int) -> None:
        lane = self._own(where)
        self._positions[lane] = offset
        self.ready.add(lane)
        self.bell.set()

    def pause(self, where: TopicPartition) -> None:
        self._paused.add(self._own(where))

    def resume(self, where: TopicPartition) -> None:
        self._paused.discard(self._own(where))
        self.bell.set()

    def position(self, where: TopicPartition) -> int:
        return self._positions[self._own(where)]

    async def poll(self, max_records: int, timeout: float) -> list[Record]:
        """The next records, or none after `timeout` seconds. Raises BusUnavailable."""
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout
        while True:
            self.bell.clear()
            self._check()
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

    def _own(self, where: TopicPartition) -> int:
        lane = self._lanes.of(*where)
        if lane not in self._positions:
            raise NotOwner(f"{where.topic}/{where.partition} is not read here")
        return lane

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
