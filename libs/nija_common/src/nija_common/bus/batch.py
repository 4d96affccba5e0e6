"""One batch of a partition on its way into a unit of work: decoded, checked against what was applied, handled in order.

Everything that the batch needs of the store is read at once, what its handlers are known to read included. What
depends on it is checked by the commit: documents by their versions, the last `seq` of a key by the one found here.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import structlog

from nija_common.bus.parked import ParkedKey, Parking, parked_id
from nija_common.bus.port import Record
from nija_common.events.base import Event, Received
from nija_common.events.codec import Codec, Undecodable
from nija_common.events.topics import Kind
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
        """Everything it needs of the store, side by side. Raises as the store's reads do."""
        wanted = self._wanted()
        kinds = list(wanted)
        seqs, *found = await asyncio.gather(
            self._last_seqs(storage), *(storage.get_many(kind, list(wanted[kind])) for kind in kinds)
        )
        self.found, self._last = seqs, dict(seqs)
        for kind, documents in zip(kinds, found, strict=True):
            if kind is ParkedKey:
                self._parked = {parked.key: parked for parked in documents.values()}  # type: ignore[attr-defined]
            else:
                self._uow.found(kind.collection.name, wanted[kind], documents)

    def _wanted(self) -> dict[type[Document], dict[str, None]]:
        """Ids by kind, in the order in which they come up."""
        topic = self._topic.name
        keys = {item.record.key for item in self._items}
        wanted: dict[type[Document], dict[str, None]] = {
            ParkedKey: {parked_id(self._group, topic, key): None for key in keys if key is not None}
        }
        reads = self._subscription.reads
        if reads:
            for item in self._items:
                received = item.received
                foresee = None if received is None else reads.get(type(received.event))
                if foresee is not None:
                    for kind, document_id in foresee(received):
                        wanted.setdefault(kind, {})[document_id] = None
        return wanted

    async def _last_seqs(self, storage: Storage) -> dict[Name, int]:
        if self._topic.kind is not Kind.FACT:
            return {}
        names = {(item.source, item.record.key) for item in self._items if item.source and item.record.key}
        return await storage.last_seqs(self._group, self._topic.name, [(str(s), str(k)) for s, k in names])

    async def collect(self, deps: Any, parking: Parking) -> None:
        """Handles one after another, up to the end or to where the batch has to be split.

        Raises what a handler raises, and SplitBatch where the first event alone has to be split.
        """
        uow = self._uow
        with current(uow):
            for item in self._items:
                uow.mark()
                try:
                    await self._one(item, deps, parking)
                except SplitBatch:
                    uow.back()
                    if self.done == 0:
                        raise
                    return
                self.done += 1

    async def _one(self, item: Opened, deps: Any, parking: Parking) -> None:
        """Handles, skips or sets aside one record. Notes its `seq` once it has: a split forgets nothing else."""
        record, received, problem = item.record, item.received, item.problem
        key = record.key or ""
        name: Name | None = None
        if item.place is not None and item.source is not None and self._topic.kind is Kind.FACT:
            name = (item.source, key)
            before = self._last.get(name)
            if before is not None:
                if item.place <= before:
                    self._skipped["duplicate"] += 1
                    return
                missing = missing_between(before, item.place)
                if missing is not None:
                    problem = f"events {missing[0]} to {missing[1]} are missing"
        held = self._parked.get(key)
        if held is not None or problem is not None:
            parked = parking.set_aside(record, held, problem or "the key is parked", self._uow)
            if parked is not None:
                self._parked[key] = parked
        else:
            handler = None if received is None else self._subscription.handlers.get(type(received.event))
            if received is None or handler is None:
                self._skipped["no_handler"] += 1
            else:
                await self._handle(handler, received, deps)
                self._handled[received.event.type] += 1
        if name is not None and item.place is not None:
            self._last[name] = self.seqs[name] = item.place

    async def _handle(self, handler: Any, received: Received[Event], deps: Any) -> None:
        event, traceparent = received.event, received.traceparent
        span = processing(
            self._topic.name,
            group=self._group,
            event_type=event.type,
            event_id=received.id,
            traceparent=traceparent,
        )
        story = Context(
            received.correlation_id, received.id, traceparent or trace_begun(), getattr(event, "user_id", None)
        )
        with in_context(story), span:
            await handler(deps, received, self._uow)
            if _lines.isEnabledFor(logging.DEBUG):
                log.debug("event_handled", group=self._group, topic=self._topic.name, type=event.type)

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
