"""Parked keys: what a consumer group cannot handle is set aside, in order, without stopping the others.

The event that failed and all later ones of its key go to the parked topic of the service; this document says
that a key is parked, why, and how many of its events have been replayed. `replay` handles them again.
"""

from __future__ import annotations

from typing import ClassVar

from nija_common.bus.port import Message, Record
from nija_common.events.topics import parked_topic
from nija_common.values.document import Collection, Document, Index

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
