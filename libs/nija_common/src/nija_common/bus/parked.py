"""Parked keys: what a consumer group cannot handle is set aside, in order, without stopping the others.

The event that failed and all later ones of its key go to the parked topic of the service; this document says
that a key is parked, why, and how many of its events have been replayed. `replay` handles them again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import ClassVar

import structlog

from nija_common.bus.port import Message, Record
from nija_common.events.topics import parked_topic
from nija_common.storage.unit_of_work import UnitOfWork
from nija_common.telemetry import metrics
from nija_common.values.clock import Clock
from nija_common.values.document import Collection, Document, Index

log = structlog.get_logger(__name__)

PARKED_KEYS_A_MINUTE = 10

GROUP_HEADER = "nija-group"
TOPIC_HEADER = "nija-topic"
NUMBER_HEADER = "nija-number"
ERROR_HEADER = "nija-error"
OFFSET_HEADER = "nija-offset"


class ParkedKey(Document):
    """One key of one topic that a group has set aside. `forwarded` events lie in the parked topic, numbered from 0;
    the first `replayed` of them have been handled since."""

    collection: ClassVar[Collection] = Collection("parked_keys", (Index("by_group", ("group", "topic", "key")),))

    group: str
    topic: str
    partition: int
    key: str
    reason: str
    since_ms: int
    forwarded: int
    replayed: int


def parked_id(group: str, topic: str, key: str) -> str:
    """The id of a parked key's document."""
    return f"{group}|{topic}|{key}"


def forwarded(record: Record, *, service: str, group: str, number: int, reason: str) -> Message:
    """The record as it goes to the parked topic: original bytes and headers, with the error beside them."""
    return Message(
        topic=parked_topic(service).name,
        partition=record.partition,
        key=record.key or "",
        value=record.value,
        headers={
            **record.headers,
            GROUP_HEADER: group,
            TOPIC_HEADER: record.topic,
            OFFSET_HEADER: str(record.offset),
            NUMBER_HEADER: str(number),
            ERROR_HEADER: reason,
        },
    )


class Parking:
    """What a group does with records that it cannot handle, and when it has seen too many: then the topic is suspended.

    `suspended`: topics of which nothing more is handled until the process starts anew.
    """

    def __init__(self, *, service: str, group: str, topics: Iterable[str], clock: Clock) -> None:
        self._service = service
        self._group = group
        self._clock = clock
        self._parked_at: dict[str, deque[float]] = {name: deque() for name in topics}
        self.suspended: set[str] = set()
        for name in self._parked_at:
            metrics.SUBSCRIPTION_SUSPENDED.labels(group, name).set(0)

    def set_aside(self, record: Record, held: ParkedKey | None, reason: str, uow: UnitOfWork) -> ParkedKey | None:
        """Forwards a record, and parks its key unless it is (`held`); the key's document as it will be, None without one."""
        if record.key is None:
            uow.forward(forwarded(record, service=self._service, group=self._group, number=0, reason=reason))
            log.error("message_parked", group=self._group, topic=record.topic, offset=record.offset, reason=reason)
            return None
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
        uow.save(key)
        if held is None:
            self._alarm(record.topic, record.key, reason)
        return key

    def _alarm(self, topic: str, key: str, reason: str) -> None:
        metrics.KEYS_PARKED.labels(self._group, topic).inc()
        log.error("key_parked", group=self._group, topic=topic, key=key, reason=reason)
        now = self._clock.monotonic()
        recent = self._parked_at[topic]
        recent.append(now)
        while recent and recent[0] < now - 60:
            recent.popleft()
        if len(recent) >= PARKED_KEYS_A_MINUTE and topic not in self.suspended:
            self.suspended.add(topic)
            metrics.SUBSCRIPTION_SUSPENDED.labels(self._group, topic).set(1)
            log.critical("subscription_suspended", group=self._group, topic=topic, parked_keys=len(recent))
