"""Consumer groups of the embedded bus: who is a member, which partitions are whose, and since when.

As unpleasant as Kafka's on purpose: whoever joins or leaves has all partitions revoked and dealt out anew
(by range), and a commit that rests on an earlier generation is refused. Members live in this process; the
generation and the offsets lie in the file.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

import structlog

from nija_common.bus import sqlite_log
from nija_common.bus.port import BusUnavailable, Listener, NotOwner, Record, TopicPartition
from nija_common.bus.sqlite_feed import Feed
from nija_common.bus.sqlite_log import Lanes, Tail
from nija_common.errors import NijaError
from nija_common.storage.sqlite_engine import Engine

log = structlog.get_logger(__name__)

ANSWER_S = 30.0
"""How long a member may take to finish its work in hand, or to begin, before it is put out of the group."""

RETRY_S = 0.25


class Groups:
    """All groups of one file in this process."""

    def __init__(self, engine: Engine, lanes: Lanes, tail: Tail, answer_s: float = ANSWER_S) -> None:
        self._engine = engine
        self._lanes = lanes
        self._tail = tail
        self._answer_s = answer_s
        self._groups: dict[str, _Group] = {}

    async def join(self, name: str, topics: Sequence[str], listener: Listener) -> SqliteMember:
        """Registers the group for these topics and adds a member. Raises BusUnavailable."""
        for topic in topics:
            if not self._lanes.partitions(topic):
                raise BusUnavailable(f"topic {topic} does not exist; run `nija migrate`")
        try:
            await self._engine.write(lambda unit: sqlite_log.register(unit.connection, name, topics))
        except NijaError as error:
            raise BusUnavailable(error.message) from error
        group = self._groups.setdefault(name, _Group(name, self._engine, self._lanes))
        feed = Feed(self._engine, self._lanes, self._tail)
        member = SqliteMember(group, topics, listener, feed, self._engine, self._lanes, self._answer_s)
        group.add(member)
        return member

    async def close(self) -> None:
        """Ends what is still being dealt out."""
        for group in self._groups.values():
            await group.close()


class _Group:
    def __init__(self, name: str, engine: Engine, lanes: Lanes) -> None:
        self.name = name
        self.engine = engine
        self._lanes = lanes
        self._members: list[SqliteMember] = []
        self._stale = False
        self._closed = False
        self._dealing: asyncio.Task[None] | None = None

    def add(self, member: SqliteMember) -> None:
        self._members.append(member)
        self._deal_anew()

    def remove(self, member: SqliteMember) -> None:
        if member in self._members:
            self._members.remove(member)
            self._deal_anew()

    async def close(self) -> None:
        self._closed = True
        if self._dealing is not None:
            self._dealing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._dealing

    def _deal_anew(self) -> None:
        self._stale = True
        if self._closed:
            return
        if self._dealing is None or self._dealing.done():
            self._dealing = asyncio.create_task(self._deal(), name=f"deal-{self.name}")

    async def _deal(self) -> None:
        while self._stale:
            self._stale = False
            for member in self._members:
                member.suspend()
            await asyncio.gather(*(member.give_up() for member in list(self._members)))
            if not self._members:
                return
            try:
                generation = await self._next_generation(self._topics())
            except NijaError as error:
                log.warning("group_waits_for_the_database", group=self.name, reason=error.message)
                await asyncio.sleep(RETRY_S)
                self._stale = True
                continue
            if self._stale:
                continue  # somebody came or went meanwhile; nobody holds anything, so deal only once
            shares = self._by_range()
            await asyncio.gather(*(member.take_over(share, generation) for member, share in shares.items()))

    async def _next_generation(self, topics: list[str]) -> int:
        return await self.engine.write(lambda unit: sqlite_log.next_generation(unit.connection, self.name, topics))

    def _topics(self) -> list[str]:
        return sorted({topic for member in self._members for topic in member.topics})

    def _by_range(self) -> dict[SqliteMember, frozenset[TopicPartition]]:
        shares: dict[SqliteMember, set[TopicPartition]] = {member: set() for member in self._members}
        for topic in self._topics():
            takers = [member for member in self._members if topic in member.topics]
            partitions = self._lanes.partitions(topic)
            each, more = divmod(len(partitions), len(takers))
            start = 0
            for i, member in enumerate(takers):
                stop = start + each + (1 if i < more else 0)
                shares[member].update(TopicPartition(topic, part) for part in partitions[start:stop])
                start = stop
        return {member: frozenset(share) for member, share in shares.items()}


class SqliteMember:
    """Port `Member`."""

    def __init__(
        self,
        group: _Group,
        topics: Sequence[str],
        listener: Listener,
        feed: Feed,
        engine: Engine,
        lanes: Lanes,
        answer_s: float,
    ) -> None:
        self.topics = frozenset(topics)
        self._group = group
        self._listener = listener
        self._engine = engine
        self._lanes = lanes
        self._feed = feed
        self._answer_s = answer_s
        self._places: frozenset[TopicPartition] = frozenset()
        self._generation = 0
        self._left = asyncio.Event()

    async def poll(self, max_records: int, timeout: float) -> list[Record]:
        return await self._feed.poll(max_records, timeout)

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        if not self._places.issuperset(offsets):
            raise NotOwner(f"{self._group.name}: these partitions have moved to another member")
        numbered = {self._lanes.of(*where): offset for where, offset in offsets.items()}
        generation = self._generation
        try:
            done = await self._engine.write(
                lambda unit: sqlite_log.commit(unit.connection, self._group.name, generation, numbered)
            )
        except NijaError as error:
            raise BusUnavailable(error.message) from error
        if not done:
            raise NotOwner(f"{self._group.name}: the group has dealt its partitions anew")

    async def seek(self, place: TopicPartition, offset: int) -> None:
        self._feed.seek(place, offset)

    def pause(self, place: TopicPartition) -> None:
        self._feed.pause(place)

    def resume(self, place: TopicPartition) -> None:
        self._feed.resume(place)

    def position(self, place: TopicPartition) -> int:
        return self._feed.position(place)

    def leave(self) -> None:
        """Out of the group at once; the listener is not told, whoever leaves has finished."""
        self._left.set()
        self._drop()
        self._group.remove(self)

    # What the group does with its members.

    def suspend(self) -> None:
        """From now on polls return nothing."""
        self._feed.suspend()

    async def give_up(self) -> None:
        """Tells the listener, which finishes its work in hand; one that does not is put out of the group."""
        if self._places:
            await self._tell(self._listener.revoked(self._places))
        self._drop()

    async def take_over(self, places: frozenset[TopicPartition], generation: int) -> None:
        """Tells the listener what is ours now, and reads on from where it or the group's offsets say."""
        if not places:
            return
        self._generation = generation
        self._places = places
        await self._tell(self._start(places))

    async def _start(self, places: frozenset[TopicPartition]) -> None:
        starts = await self._listener.assigned(places)
        others = {self._lanes.of(*where): where for where in places if where not in starts}
        stored = await self._committed(others) if others else {}
        positions = {where: stored.get(lane, 0) for lane, where in others.items()}
        positions.update({where: offset for where, offset in starts.items() if where in places})
        self._feed.place(positions)

    async def _committed(self, lanes: Mapping[int, TopicPartition]) -> dict[int, int]:
        try:
            return await self._engine.read(lambda connection: sqlite_log.committed(connection, self._group.name, lanes))
        except NijaError as error:
            raise BusUnavailable(error.message) from error

    async def _tell(self, call: Coroutine[Any, Any, None]) -> None:
        """Waits for the listener, but no longer than the member is there and `answer_s`."""
        if self._left.is_set():
            call.close()
            return
        telling = asyncio.ensure_future(call)
        leaving = asyncio.ensure_future(self._left.wait())
        try:
            await asyncio.wait({telling, leaving}, timeout=self._answer_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            telling.cancel()
        if self._left.is_set():
            return
        await asyncio.wait({telling})
        if telling.cancelled():
            self._put_out(
                NotOwner(f"{self._group.name}: put out of the group after {self._answer_s:g} s without answer")
            )
        elif (error := telling.exception()) is not None:
            self._put_out(error if isinstance(error, Exception) else NotOwner(f"{self._group.name}: {error!r}"))

    def _drop(self) -> None:
        self._feed.clear()
        self._places = frozenset()

    def _put_out(self, reason: Exception) -> None:
        self._drop()
        self._feed.fail(reason)
        self._group.remove(self)
