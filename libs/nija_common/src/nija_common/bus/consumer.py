"""The consumer runner: the only consume loop of the platform.

Per partition in order, up to 100 events in one unit of work: handlers, then one commit with the applied
positions, then the bus's offset. A transient error is tried again in place while that partition waits. A
permanent one parks the event's key and goes on with the others. Delivery is at least once; effects are once,
because the position is committed with them.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from nija_common.bus.parked import ParkedKey, forwarded, parked_id
from nija_common.bus.port import Bus, BusUnavailable, Member, NotOwner, Record, TopicPartition
from nija_common.errors import Conflict, ErrorCode, NijaError
from nija_common.events.base import Event, Received
from nija_common.events.codec import Codec, Undecodable
from nija_common.events.topics import Kind, Topic
from nija_common.runtime.manifest import Subscription
from nija_common.storage.incarnations import missing_between, place_of
from nija_common.storage.port import Progress, Storage
from nija_common.storage.reads import SplitBatch
from nija_common.storage.unit_of_work import UnitOfWork, Work, current
from nija_common.telemetry import metrics
from nija_common.telemetry.context import Context, in_context, trace_begun
from nija_common.telemetry.spans import processing
from nija_common.values.clock import Clock

log = structlog.get_logger(__name__)
_lines = logging.getLogger(__name__)
"""Asked before a line is made for each event."""

BATCH = 100
POLL_S = 1.0
BACKOFF_S = (0.05, 0.2, 1.0, 3.0, 5.0)
PARKED_KEYS_A_MINUTE = 10


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


@dataclass(frozen=True, slots=True)
class _Opened:
    """A record that has been read as far as possible. `problem` says why it cannot be handled.

    `place` is its `seq` as it is kept in applied positions: in order over incarnations (`incarnations.py`).
    """

    record: Record
    source: str | None
    place: int | None
    received: Received[Event] | None
    problem: str | None


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
        self._service = service
        self._group = group
        self._handlers: dict[str, Mapping[type[Event], Any]] = {s.topic.name: s.handlers for s in subscriptions}
        self._topics: dict[str, Topic] = {s.topic.name: s.topic for s in subscriptions}
        self._deps = deps
        self._storage = storage
        self._bus = bus
        self._work = work
        self._codec = codec
        self._clock = clock
        self._places: dict[TopicPartition, _Place] = {}
        self._parked_at: dict[str, deque[float]] = {name: deque() for name in self._topics}
        self._suspended: set[str] = set()
        self.joined = asyncio.Event()
        for name in self._topics:
            metrics.SUBSCRIPTION_SUSPENDED.labels(group, name).set(0)

    async def run(self) -> None:
        """Consumes until cancelled. A bus or a store that is away is waited for."""
        failures = 0
        while True:
            self._places.clear()
            try:
                async with self._bus.join(self._group, list(self._topics), self) as member:
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
        return list(self._topics)

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
        loop = asyncio.get_running_loop()
        while True:
            held = [
                s.retry_at if s.failures else 0.0
                for place, s in self._places.items()
                if s.pending and place.topic not in self._suspended
            ]
            timeout = min([POLL_S, *(max(0.0, at - loop.time()) for at in held)])
            for record in await member.poll(BATCH * 4, timeout):
                state = self._places.get(record.place)
                if state is not None:
                    state.pending.append(record)
            now = loop.time()
            ready = [(place, s) for place, s in self._places.items() if s.pending and s.retry_at <= now]
            moved = [p for p in await asyncio.gather(*(self._turn(member, *each) for each in ready)) if p]
            moved += await self._pass_over(member)
            await self._tell_bus(member, moved)

    async def _tell_bus(self, member: Member, places: list[TopicPartition]) -> None:
        offsets = {place: self._places[place].next_offset for place in places if place in self._places}
        if not offsets:
            return
        try:
            await member.commit(offsets)
        except NotOwner:
            log.info("partition_moved", group=self._group)

    async def _pass_over(self, member: Member) -> list[TopicPartition]:
        """Moves the position past control and compacted records, which are never handed out."""
        moved = []
        for place, state in list(self._places.items()):
            if state.pending or place.topic in self._suspended:
                continue
            position = member.position(place)
            if position > state.next_offset:
                uow = self._work.open()
                uow.applied(Progress(self._group, place.topic, place.partition, position))
                try:
                    await self._work.commit(uow)
                except (NijaError, Conflict) as error:
                    log.warning("position_not_kept", group=self._group, topic=place.topic, reason=str(error))
                    continue
                state.next_offset = position
                moved.append(place)
        return moved

    async def _turn(self, member: Member, place: TopicPartition, state: _Place) -> TopicPartition | None:
        """Applies one batch of a partition; the place if its position moved."""
        async with state.lock:
            if self._places.get(place) is not state or place.topic in self._suspended:
                return None
            batch = [state.pending[i] for i in range(min(BATCH, len(state.pending)))]
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
            if place.topic in self._suspended:
                member.pause(place)
            return place

    async def _apply(self, place: TopicPartition, batch: list[Record]) -> int:
        """Commits the effects of the first records of a batch; how many. On a permanent error, one alone."""
        try:
            return await self._commit(place, batch)
        except Exception as error:
            if is_transient(error):
                raise
            if len(batch) > 1:
                log.info("batch_taken_apart", group=self._group, topic=place.topic, error=type(error).__name__)
                return await self._apply(place, batch[:1])
            log.error("event_cannot_be_handled", group=self._group, topic=place.topic, exc_info=error)
            await self._park(place, batch[0], f"{type(error).__name__}: {error}"[:500])
            return 1

    async def _commit(self, place: TopicPartition, batch: list[Record]) -> int:
        opened = [self._open(record) for record in batch]
        topic = self._topics[place.topic]
        last = await self._last_seqs(topic, opened)
        found = dict(last)
        parked = await self._parked_keys(opened)
        uow = self._work.open()
        seqs: dict[tuple[str, str], int] = {}
        done = 0
        for item in opened:
            back, seqs_before = uow.checkpoint(), dict(seqs)
            try:
                with current(uow):
                    await self._one(topic, item, last, seqs, parked, uow)
            except SplitBatch:
                back()
                seqs = seqs_before
                if done == 0:
                    raise
                break
            done += 1
        end = batch[done - 1].offset + 1
        uow.applied(Progress(self._group, place.topic, place.partition, end, seqs, found))
        await self._work.commit(uow)
        self._note_age(place.topic, opened[:done])
        for item in opened[:done]:
            if item.received is not None:
                metrics.EVENTS_HANDLED.labels(self._group, place.topic, item.received.event.type).inc()
        return done

    def _note_age(self, topic: str, done: list[_Opened]) -> None:
        oldest = next((item.received.time_ms for item in done if item.received is not None), None)
        if oldest is not None:
            age_s = max(0.0, (self._clock.now_ms() - oldest) / 1000)
            metrics.EVENT_AGE_SECONDS.labels(self._group, topic).observe(age_s)

    async def _one(
        self,
        topic: Topic,
        item: _Opened,
        last: dict[tuple[str, str], int],
        seqs: dict[tuple[str, str], int],
        parked: dict[str, ParkedKey],
        uow: UnitOfWork,
    ) -> None:
        """Handles, skips or sets aside one record."""
        record = item.record
        name = (item.source or "", record.key or "")
        before = last.get(name)
        problem = item.problem
        if topic.kind is Kind.FACT and item.source is not None and item.place is not None:
            if before is not None and item.place <= before:
                metrics.EVENTS_SKIPPED.labels(self._group, topic.name, "duplicate").inc()
                return
            missing = None if before is None else missing_between(before, item.place)
            if missing is not None:
                problem = f"events {missing[0]} to {missing[1]} are missing"
            last[name] = seqs[name] = item.place
        held = parked.get(record.key or "")
        if held is not None or problem is not None:
            await self._set_aside(record, held, parked, problem or "the key is parked", uow)
            return
        received = item.received
        handler = None if received is None else self._handlers[topic.name].get(type(received.event))
        if received is None or handler is None:
            metrics.EVENTS_SKIPPED.labels(self._group, topic.name, "no_handler").inc()
            return
        await self._handle(topic.name, handler, received, uow)

    async def _handle(self, topic: str, handler: Any, received: Received[Event], uow: UnitOfWork) -> None:
        event, traceparent = received.event, received.traceparent
        span = processing(
            topic, group=self._group, event_type=event.type, event_id=received.id, traceparent=traceparent
        )
        story = Context(
            received.correlation_id, received.id, traceparent or trace_begun(), getattr(event, "user_id", None)
        )
        with in_context(story), span:
            await handler(self._deps, received, uow)
            if _lines.isEnabledFor(logging.DEBUG):
                log.debug("event_handled", group=self._group, topic=topic, type=event.type)

    async def _set_aside(
        self, record: Record, held: ParkedKey | None, parked: dict[str, ParkedKey], reason: str, uow: UnitOfWork
    ) -> None:
        if record.key is None:
            uow.forward(forwarded(record, service=self._service, group=self._group, number=0, reason=reason))
            log.error("message_parked", group=self._group, topic=record.topic, offset=record.offset, reason=reason)
            return
        key = held or ParkedKey(
            id=parked_id(self._group, record.topic, record.key),
            group=self._group,
            topic=record.topic,
            partition=record.partition,
            key=record.key,
            reason=reason,
            since_ms=self._clock.now_ms(),
            forwarded=0,
            replayed=0,
        )
        uow.forward(forwarded(record, service=self._service, group=self._group, number=key.forwarded, reason=reason))
        key = key.model_copy(update={"forwarded": key.forwarded + 1})
        parked[record.key] = key
        uow.save(key)
        if held is None:
            self._alarm(record.topic, record.key, reason)

    async def _park(self, place: TopicPartition, record: Record, reason: str) -> None:
        """Sets one record aside in a commit of its own, together with the position."""
        item = self._open(record)
        parked = await self._parked_keys([item])
        uow = self._work.open()
        await self._set_aside(record, parked.get(record.key or ""), parked, reason, uow)
        seqs: dict[tuple[str, str], int] = {}
        if self._topics[place.topic].kind is Kind.FACT and item.source is not None and item.place is not None:
            seqs[(item.source, record.key or "")] = item.place
        uow.applied(Progress(self._group, place.topic, place.partition, record.offset + 1, seqs))
        await self._work.commit(uow)

    def _alarm(self, topic: str, key: str, reason: str) -> None:
        metrics.KEYS_PARKED.labels(self._group, topic).inc()
        log.error("key_parked", group=self._group, topic=topic, key=key, reason=reason)
        now = self._clock.monotonic()
        recent = self._parked_at[topic]
        recent.append(now)
        while recent and recent[0] < now - 60:
            recent.popleft()
        if len(recent) >= PARKED_KEYS_A_MINUTE and topic not in self._suspended:
            self._suspended.add(topic)
            metrics.SUBSCRIPTION_SUSPENDED.labels(self._group, topic).set(1)
            log.critical("subscription_suspended", group=self._group, topic=topic, parked_keys=len(recent))

    def _open(self, record: Record) -> _Opened:
        if record.key is None:
            return _Opened(record, None, None, None, "the key is no text")
        try:
            envelope = self._codec.envelope(record.value)
        except Undecodable as error:
            return _Opened(record, None, None, None, str(error))
        source, place = envelope.get("source"), place_of(envelope)
        source = source if isinstance(source, str) else None
        try:
            received = self._codec.event(envelope, key=record.key, partition=record.partition, offset=record.offset)
        except Undecodable as error:
            return _Opened(record, source, place, None, str(error))
        return _Opened(record, source, place, received, None)

    async def _last_seqs(self, topic: Topic, opened: list[_Opened]) -> dict[tuple[str, str], int]:
        if topic.kind is not Kind.FACT:
            return {}
        names = {(o.source, o.record.key) for o in opened if o.source is not None and o.record.key is not None}
        return await self._storage.last_seqs(self._group, topic.name, [n for n in names if n[0] and n[1]])

    async def _parked_keys(self, opened: list[_Opened]) -> dict[str, ParkedKey]:
        ids = {parked_id(self._group, o.record.topic, o.record.key) for o in opened if o.record.key is not None}
        found = await self._storage.get_many(ParkedKey, sorted(ids))
        return {parked.key: parked for parked in found.values()}
