"""One batch of a partition on its way into a unit of work: decoded, checked against what was applied, handled in order.

Everything that the batch needs of the store is read at once, what its handlers are known to read included. What
depends on it is checked by the commit: documents by their versions, the last `seq` of a key by the one found here.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import structlog

from nija_common.bus.parked import ParkedKey, Parking, parked_id
from nija_common.bus.port import Record
from nija_common.events.base import Event, Received
from nija_common.events.codec import Codec, Undecodable
from nija_common.events.topics import Kind, Topic
from nija_common.runtime.manifest import Subscription
from nija_common.storage.incarnations import missing_between, place_of
from nija_common.storage.port import Storage
from nija_common.storage.reads import SplitBatch
from nija_common.storage.unit_of_work import UnitOfWork, current
from nija_common.telemetry import metrics
from nija_common.telemetry.context import Context, in_context, trace_begun
from nija_common.telemetry.spans import processing
from nija_common.values.document import Document

log = structlog.get_logger(__name__)
_lines = logging.getLogger(__name__)
"""Asked before a line is made for each event."""

Name = tuple[str, str]
"""Source and key: what a `seq` is counted for."""


class Opened(NamedTuple):
    """A record that has been read as far as possible. `problem` says why it cannot be handled.

    `place` is its `seq` as it is kept in applied positions: in order over incarnations (`incarnations.py`).
    """

    record: Record
    source: str | None
    place: int | None
    received: Received[Event] | None
    problem: str | None

    def counted(self, topic: Topic) -> tuple[Name, int] | None:
        """What its `seq` is counted for, and the `seq` as it is kept; None where none is."""
        if topic.kind is not Kind.FACT or self.source is None or self.place is None:
            return None
        return (self.source, self.record.key or ""), self.place


def opened(codec: Codec, record: Record) -> Opened:
    """Reads a record; raises nothing."""
    if record.key is None:
        return Opened(record, None, None, None, "the key is no text")
    try:
        envelope = codec.envelope(record.value)
    except Undecodable as error:
        return Opened(record, None, None, None, str(error))
    source, place = envelope.get("source"), place_of(envelope)
    if not isinstance(source, str):
        source = None
    try:
        received = codec.event(envelope, key=record.key, partition=record.partition, offset=record.offset)
    except Undecodable as error:
        return Opened(record, source, place, None, str(error))
    return Opened(record, source, place, received, None)


class Batch:
    """Some records of one partition, and the unit of work that their effects are collected in.

    `done` of them are in it after `collect`; `seqs` is how far they brought each key of a fact topic, `found` how far
    it was before.
    """

    def __init__(self, group: str, subscription: Subscription, items: Sequence[Opened], uow: UnitOfWork) -> None:
        self._group = group
        self._topic = subscription.topic
        self._is_fact = subscription.topic.kind is Kind.FACT
        self._subscription = subscription
        self._items = items
        self._uow = uow
        self._last: dict[Name, int] = {}
        self._parked: dict[str, ParkedKey] = {}
        self._handled: Counter[str] = Counter()
        self._skipped: Counter[str] = Counter()
        self.found: Mapping[Name, int] = {}
        self.seqs: dict[Name, int] = {}
        self.done = 0

    async def read(self, storage: Storage) -> None:
        """Everything it needs of the store. Raises as the store's reads do."""
        group, topic = self._group, self._topic.name
        names = {(i.source, i.record.key) for i in self._items if i.source and i.record.key} if self._is_fact else ()
        keys = {item.record.key for item in self._items}
        wanted = self._foreseen()
        parked = wanted.setdefault(ParkedKey, {})
        parked.update({parked_id(group, topic, key): None for key in keys if key is not None})
        self.found, found = await storage.read_ahead(group, topic, [(str(s), str(k)) for s, k in names], wanted)
        self._last = dict(self.found)
        for kind, documents in found.items():
            self._uow.found(kind.collection.name, wanted[kind], documents)
        self._parked = {key.key: key for key in found[ParkedKey].values() if isinstance(key, ParkedKey)}

    def _foreseen(self) -> dict[type[Document], dict[str, None]]:
        """What handlers are known to read: ids by kind, in the order in which they come up."""
        wanted: dict[type[Document], dict[str, None]] = {}
        reads = self._subscription.reads
        if reads:
            for item in self._items:
                received = item.received
                foresee = None if received is None else reads.get(type(received.event))
                if foresee is not None:
                    for kind, document_id in foresee(received):
                        wanted.setdefault(kind, {})[document_id] = None
        return wanted

    async def collect(self, deps: Any, parking: Parking) -> None:
        """Handles one after another, up to the end or to where the batch has to be split.

        Raises what a handler raises, and SplitBatch where the first event alone has to be split.
        """
        uow, handlers = self._uow, self._subscription.handlers
        with current(uow):
            for item in self._items:
                counted, repeated, problem = self._judged(item)
                received = item.received
                handler = None if received is None else handlers.get(type(received.event))
                if repeated:
                    self._skipped["duplicate"] += 1
                elif problem is not None:
                    self._set_aside(item.record, problem, parking)
                elif received is None or handler is None:
                    self._skipped["no_handler"] += 1
                else:
                    uow.mark()
                    try:
                        await self._handle(handler, received, deps)
                    except SplitBatch:
                        uow.back()
                        if self.done == 0:
                            raise
                        return
                if counted is not None and not repeated:
                    name, place = counted
                    self._last[name] = self.seqs[name] = place
                self.done += 1

    def _judged(self, item: Opened) -> tuple[tuple[Name, int] | None, bool, str | None]:
        """What its `seq` is counted for, if it is; whether it was applied before; why it must be set aside, if it must."""
        counted, problem = item.counted(self._topic), item.problem
        if counted is not None:
            name, place = counted
            before = self._last.get(name)
            if before is not None:
                if place <= before:
                    return counted, True, None
                missing = missing_between(before, place)
                if missing is not None:
                    problem = f"events {missing[0]} to {missing[1]} are missing"
        if problem is None and (item.record.key or "") in self._parked:
            problem = "the key is parked"
        return counted, False, problem

    def _set_aside(self, record: Record, problem: str, parking: Parking) -> None:
        parked = parking.set_aside(record, self._parked.get(record.key or ""), problem, self._uow)
        if parked is not None:
            self._parked[parked.key] = parked

    async def _handle(self, handler: Any, received: Received[Event], deps: Any) -> None:
        event, traceparent = received.event, received.traceparent
        event_type = event.type
        span = processing(
            self._topic.name, group=self._group, event_type=event_type, event_id=received.id, traceparent=traceparent
        )
        story = Context(
            received.correlation_id, received.id, traceparent or trace_begun(), getattr(event, "user_id", None)
        )
        with in_context(story):
            if span is None:
                await handler(deps, received, self._uow)
            else:
                with span:
                    await handler(deps, received, self._uow)
            if _lines.isEnabledFor(logging.DEBUG):
                log.debug("event_handled", group=self._group, topic=self._topic.name, type=event_type)
        self._handled[event_type] += 1

    def count(self, now_ms: int) -> None:
        """Tells the metrics, after the commit."""
        group, topic = self._group, self._topic.name
        done: Iterable[Opened] = self._items[: self.done]
        oldest = next((item.received.time_ms for item in done if item.received is not None), None)
        if oldest is not None:
            metrics.EVENT_AGE_SECONDS.labels(group, topic).observe(max(0.0, (now_ms - oldest) / 1000))
        for event_type, number in self._handled.items():
            metrics.EVENTS_HANDLED.labels(group, topic, event_type).inc(number)
        for reason, number in self._skipped.items():
            metrics.EVENTS_SKIPPED.labels(group, topic, reason).inc(number)
