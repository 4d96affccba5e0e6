"""The bus port: topics with partitions, keys, offsets, groups. Two adapters: `kafka.py`, `sqlite.py`.

Both behave alike, the unpleasant sides included: delivery is at least once, order holds within a partition
only, a group's partitions move when members come and go, and a member that has lost a partition cannot
commit for it any more. Names of topics and groups are given without the namespace; adapters add it.
One contract suite runs against both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple, Protocol

from nija_common.events.topics import Topic


class TopicPartition(NamedTuple):
    """One partition of one topic (name without namespace)."""

    topic: str
    partition: int


@dataclass(frozen=True, slots=True)
class Message:
    """A record to be written."""

    topic: str
    partition: int
    key: str
    value: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Record(NamedTuple):
    """A record as it was read. `key` is None where the bytes are no UTF-8 text. A tuple: they come in the thousands."""

    topic: str
    partition: int
    offset: int
    key: str | None
    value: bytes
    headers: Mapping[str, str]
    timestamp_ms: int

    @property
    def place(self) -> TopicPartition:
        return TopicPartition(self.topic, self.partition)


class Edge(Enum):
    """An end of a partition to start from."""

    BEGINNING = "beginning"
    END = "end"


@dataclass(frozen=True, slots=True)
class Since:
    """Start at the first record whose time is at or after this (UTC milliseconds)."""

    timestamp_ms: int


Start = Edge | Since | int
"""Where a reader starts: an edge, a time, or an offset."""


class BusUnavailable(Exception):
    """The bus cannot be reached, or did not answer in time. Nothing is known to be lost: try again."""


class NotOwner(Exception):
    """A member commits or publishes for something that has moved to another (an old generation, a fenced producer)."""


class Listener(Protocol):
    """What a group member tells about its partitions."""

    async def assigned(self, places: frozenset[TopicPartition]) -> Mapping[TopicPartition, int]:
        """These partitions are now ours. Answers with the offsets to start from; a missing one means the
        group's committed offset, or the beginning if there is none."""
        ...

    async def revoked(self, places: frozenset[TopicPartition]) -> None:
        """These partitions are about to be somebody else's. Work in hand is finished before this returns."""
        ...


class Member(Protocol):
    """One member of a consumer group, between `join` and its exit."""

    async def poll(self, max_records: int, timeout: float) -> list[Record]:
        """The next records, in offset order within each partition; empty after `timeout` seconds.

        A record whose transaction was aborted is never seen. Raises BusUnavailable.
        """
        ...

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Stores the next offset to read for each partition. Raises NotOwner, BusUnavailable."""
        ...

    async def seek(self, place: TopicPartition, offset: int) -> None:
        """The next poll reads this partition from `offset` on."""
        ...

    def pause(self, place: TopicPartition) -> None:
        """Polls leave this partition out until `resume`."""
        ...

    def resume(self, place: TopicPartition) -> None: ...

    def position(self, place: TopicPartition) -> int:
        """The offset that the next poll would read; also moved by control and compacted records.

        0 while it is not known (an assignment is being settled).
        """
        ...


class Reader(Protocol):
    """A reader outside any group: manual partitions, nothing committed, nobody rebalanced."""

    async def poll(self, max_records: int, timeout: float) -> list[Record]: ...

    def position(self, place: TopicPartition) -> int: ...


class StatePublisher(Protocol):
    """A transactional, fenced producer: opening a second one of the same id shuts the first out."""

    async def publish(self, messages: Sequence[Message]) -> None:
        """Writes all of them in one transaction, or none. Raises NotOwner once fenced, BusUnavailable."""
        ...


class Bus(Protocol):
    """The port itself."""

    async def send(self, messages: Sequence[Message]) -> None:
        """Returns once every message is durable (Kafka: acks=all, idempotent). Raises BusUnavailable.

        Messages of one partition keep the order given.
        """
        ...

    def join(self, group: str, topics: Sequence[str], listener: Listener) -> AbstractAsyncContextManager[Member]:
        """Becomes a member of the group; leaving the context leaves the group at once."""
        ...

    def read(self, starts: Mapping[TopicPartition, Start]) -> AbstractAsyncContextManager[Reader]:
        """Reads these partitions from the given starts, committed records only."""
        ...

    def state_publisher(self, publisher_id: str) -> AbstractAsyncContextManager[StatePublisher]:
        """Opens the fenced producer of that id; an older holder of the id can publish no more."""
        ...

    async def ends(self, places: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """For each partition the offset after its last committed record. Raises BusUnavailable."""
        ...

    async def offsets(self, starts: Mapping[TopicPartition, Start]) -> dict[TopicPartition, int]:
        """Where a reader with these starts would begin now; a time after the last record is the end. Raises BusUnavailable."""
        ...

    async def committed(self, group: str, places: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """The group's committed offsets; a partition without one is left out."""
        ...

    async def ensure(self, topics: Sequence[Topic]) -> None:
        """Makes what is missing of the topics and their policies. Idempotent."""
        ...

    async def differences(self, topics: Sequence[Topic]) -> list[str]:
        """In words, how the bus differs from the catalogue (missing topic, partitions, policy); empty if it does not."""
        ...
