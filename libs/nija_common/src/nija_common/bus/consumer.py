"""The consumer runner: the only consume loop of the platform.

Per partition in order, up to 100 events in one unit of work (`batch.py`): handlers, then one commit with the applied
positions, then the bus's offset. A transient error is tried again in place while that partition waits. A
permanent one parks the event's key and goes on with the others. Delivery is at least once; effects are once,
because the position is committed with them.

The partitions that have something to apply take their turns side by side, so that their commits share a transaction of
the store, and the next batches are handled while it is written; meanwhile the bus is asked for more, and told how far
the turns came.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Coroutine, Hashable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import structlog

from nija_common.bus.batch import Batch, opened
from nija_common.bus.parked import ParkedKey, Parking, parked_id
from nija_common.bus.port import Bus, BusUnavailable, Member, NotOwner, Record, TopicPartition
from nija_common.errors import Conflict, ErrorCode, NijaError
from nija_common.events.codec import Codec
from nija_common.runtime.manifest import Subscription
from nija_common.storage.port import Progress, Storage
from nija_common.storage.unit_of_work import Work
from nija_common.telemetry import metrics
from nija_common.values.clock import Clock

log = structlog.get_logger(__name__)

BATCH = 100
HELD = 8 * BATCH
"""So many records are read before they are applied, and no more."""

POLL_S = 1.0
BACKOFF_S = (0.05, 0.2, 1.0, 3.0, 5.0)


def is_transient(error: BaseException) -> bool:
    """Whether the same event may succeed later: the store or the bus is away, or another commit was faster."""
    if isinstance(error, NijaError):
        return error.code in (ErrorCode.SERVICE_UNAVAILABLE, ErrorCode.DATABASE_ERROR)
    return isinstance(error, Conflict | BusUnavailable)


@dataclass(slots=True)
class _Place:
    """One assigned partition: records read and not yet applied, the next offset to apply, and its retry state."""

    next_offset: int
    pending: deque[Record] = field(default_factory=deque)
    failures: int = 0
    retry_at: float = 0.0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class _Tasks:
    """What a member does at this moment: one task a name (a partition's turn, a read, a word to the bus).

    `moved`: partitions whose position the bus is to be told.
    """

    def __init__(self) -> None:
        self._tasks: dict[Hashable, asyncio.Task[Any]] = {}
        self._over: list[Hashable] = []
        self._bell = asyncio.Event()
        self.moved: set[TopicPartition] = set()

    def begin(self, name: Hashable, run: Callable[..., Coroutine[Any, Any, Any]], *args: Any) -> bool:
        """Starts it unless one of that name is under way; whether it has been started."""
        if name in self._tasks:
            return False
        task = self._tasks[name] = asyncio.create_task(run(*args))
        task.add_done_callback(lambda _: self._end(name))
        return True

    def _end(self, name: Hashable) -> None:
        self._over.append(name)
        self._bell.set()

    async def ended(self, timeout: float | None) -> list[Any]:
        """What has ended answers with, once something has, at the latest after `timeout`. Raises what a task raised."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._bell.wait()
        self._bell.clear()
        over, self._over = self._over, []
        return [task.result() for task in [self._tasks.pop(name) for name in over]]

    def cancel(self) -> None:
        for task in self._tasks.values():
            task.cancel()

    async def finish(self) -> None:
        """Waits for turns; a read could wait for long and changes nothing by itself."""
        for name, task in self._tasks.items():
            if name == "read":
                task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)


class ConsumerRunner:
    """Runs the shared subscriptions of one role as a member of its group."""

    def __init__(
        self,
        *,
        service: str,
        group: str,
        subscriptions: Sequence[Subscription],
        deps: Any,
        storage: Storage,
        bus: Bus,
        work: Work,
        codec: Codec,
        clock: Clock,
    ) -> None:
        self._group = group
        self._subscriptions = {s.topic.name: s for s in subscriptions}
        self._deps = deps
        self._storage = storage
        self._bus = bus
        self._work = work
        self._codec = codec
        self._clock = clock
        self._places: dict[TopicPartition, _Place] = {}
        self._parking = Parking(service=service, group=group, topics=self._subscriptions, clock=clock)
        self.joined = asyncio.Event()

    async def run(self) -> None:
        """Consumes until cancelled. A bus or a store that is away is waited for."""
        failures = 0
        while True:
            self._places.clear()
            try:
                async with self._bus.join(self._group, self.topics, self) as member:
                    self.joined.set()
                    failures = 0
                    await self._consume(member)
            except (BusUnavailable, NijaError) as error:
                if not is_transient(error):
                    raise
                log.warning("consumer_waits", group=self._group, reason=str(error))
                await asyncio.sleep(BACKOFF_S[min(failures, len(BACKOFF_S) - 1)])
                failures += 1

    @property
    def group(self) -> str:
        return self._group

    @property
    def topics(self) -> list[str]:
        return list(self._subscriptions)

    def positions(self) -> dict[TopicPartition, int]:
        """The next offset to apply of every partition that is assigned here."""
        return {place: state.next_offset for place, state in self._places.items()}

    async def assigned(self, places: frozenset[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Starts each partition where the last commit left it."""
        starts: dict[TopicPartition, int] = {}
        for topic in {place.topic for place in places}:
            applied = await self._storage.progress(self._group, topic)
            for place in places:
                if place.topic == topic:
                    starts[place] = applied.get(place.partition, 0)
        for place, offset in starts.items():
            self._places[place] = _Place(offset)
        return starts

    async def revoked(self, places: frozenset[TopicPartition]) -> None:
        """Lets the batch in hand end, then forgets the partition."""
        for place in places:
            state = self._places.get(place)
            if state is not None:
                async with state.lock:
                    self._places.pop(place, None)

    async def _consume(self, member: Member) -> None:
        """Until something fails. What is under way then ends before the error is raised: nothing goes on behind the back
        of whoever joins anew."""
        tasks = _Tasks()
        try:
            while True:
                await self._begin_what_can_be(member, tasks)
                tasks.moved.update(place for place in await tasks.ended(self._next_try()) if place is not None)
        except asyncio.CancelledError:
            tasks.cancel()
            raise
        finally:
            await tasks.finish()

    async def _begin_what_can_be(self, member: Member, tasks: _Tasks) -> None:
        """A turn for each partition that has something, one request for more, one word to the bus of how far turns came."""
        now = asyncio.get_running_loop().time()
        waiting = 0
        for place, state in self._places.items():
            if state.pending and state.retry_at <= now and place.topic not in self._parking.suspended:
                waiting += len(state.pending)
                tasks.begin(place, self._turn, member, place, state)
        if waiting < HELD:
            tasks.begin("read", self._read_on, member, HELD - waiting)
        if not tasks.moved and not waiting:
            tasks.moved.update(await self._pass_over(member))
        if tasks.moved and tasks.begin("tell", self._tell_bus, member, frozenset(tasks.moved)):
            tasks.moved.clear()

    def _next_try(self) -> float | None:
        """In how many seconds the first of the partitions that wait after a failure is to be tried again."""
        now = asyncio.get_running_loop().time()
        return min((state.retry_at - now for state in self._places.values() if state.retry_at > now), default=None)

    async def _read_on(self, member: Member, room: int) -> None:
        """Takes what the bus has; what it gives stands in its partition before anything else can happen."""
        where: TopicPartition | None = None
        state: _Place | None = None
        for record in await member.poll(min(room, 4 * BATCH), POLL_S):
            if where is None or record.partition != where.partition or record.topic != where.topic:
                where = record.place
                state = self._places.get(where)
            if state is not None:
                state.pending.append(record)

    async def _tell_bus(self, member: Member, places: Collection[TopicPartition]) -> None:
        offsets = {place: self._places[place].next_offset for place in places if place in self._places}
        if not offsets:
            return
        try:
            await member.commit(offsets)
        except NotOwner:
            log.info("partition_moved", group=self._group)

    async def _pass_over(self, member: Member) -> list[TopicPartition]:
        """Moves positions past control and compacted records, which are never handed out; where to."""
        behind: dict[TopicPartition, tuple[_Place, int]] = {}
        for place, state in self._places.items():
            if not state.pending and place.topic not in self._parking.suspended:
                position = member.position(place)
                if position > state.next_offset:
                    behind[place] = (state, position)
        if not behind:
            return []
        uow = self._work.open()
        uow.applied(*(Progress(self._group, p.topic, p.partition, position) for p, (_, position) in behind.items()))
        try:
            await self._work.commit(uow)
        except (NijaError, Conflict) as error:
            log.warning("positions_not_kept", group=self._group, reason=str(error))
            return []
        for state, position in behind.values():
            state.next_offset = max(state.next_offset, position)
        return list(behind)

    async def _turn(self, member: Member, place: TopicPartition, state: _Place) -> TopicPartition | None:
        """Applies one batch of a partition; the place if its position moved."""
        async with state.lock:
            if self._places.get(place) is not state:
                return None
            batch = list(islice(state.pending, BATCH))
            try:
                done = await self._apply(place, batch)
            except Exception as error:
                if not is_transient(error):
                    raise
                delay = BACKOFF_S[min(state.failures, len(BACKOFF_S) - 1)]
                state.failures += 1
                state.retry_at = asyncio.get_running_loop().time() + delay
                member.pause(place)
                metrics.EVENTS_RETRIED.labels(self._group, place.topic).inc()
                log.warning("batch_waits", group=self._group, topic=place.topic, delay_s=delay, reason=str(error))
                return None
            for _ in range(done):
                state.pending.popleft()
            state.next_offset = batch[done - 1].offset + 1
            if state.failures:
                state.failures, state.retry_at = 0, 0.0
                member.resume(place)
            if place.topic in self._parking.suspended:
                member.pause(place)
            return place

    async def _apply(self, place: TopicPartition, records: list[Record]) -> int:
        """Commits the effects of the first records of a batch; how many. On a permanent error, one alone."""
        try:
            return await self._commit(place, records)
        except Exception as error:
            if is_transient(error):
                raise
            if len(records) > 1:
                log.info("batch_taken_apart", group=self._group, topic=place.topic, error=type(error).__name__)
                return await self._apply(place, records[:1])
            log.error("event_cannot_be_handled", group=self._group, topic=place.topic, exc_info=error)
            await self._park(place, records[0], f"{type(error).__name__}: {error}"[:500])
            return 1

    async def _commit(self, place: TopicPartition, records: list[Record]) -> int:
        uow = self._work.open(remembers=True)
        items = [opened(self._codec, record) for record in records]
        batch = Batch(self._group, self._subscriptions[place.topic], items, uow)
        await batch.read(self._storage)
        await batch.collect(self._deps, self._parking)
        end = records[batch.done - 1].offset + 1
        uow.applied(Progress(self._group, place.topic, place.partition, end, batch.seqs, batch.found))
        await self._work.commit(uow)
        batch.count(self._clock.now_ms())
        return batch.done

    async def _park(self, place: TopicPartition, record: Record, reason: str) -> None:
        """Sets one record aside in a commit of its own, together with the position."""
        item = opened(self._codec, record)
        held = None
        if record.key is not None:
            held = await self._storage.get(ParkedKey, parked_id(self._group, record.topic, record.key))
        uow = self._work.open()
        self._parking.set_aside(record, held, reason, uow)
        counted = item.counted(self._subscriptions[place.topic].topic)
        seqs = dict([counted]) if counted is not None else {}
        uow.applied(Progress(self._group, place.topic, place.partition, record.offset + 1, seqs))
        await self._work.commit(uow)
