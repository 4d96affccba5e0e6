"""The base of every event class, and what a consumer receives.

An event class is the payload only: what happened, as one frozen value. The envelope (id, time, seq, trace)
is added by the unit of work. Within a version only optional additions are allowed; a break makes the next
version with an upcaster.
"""

from __future__ import annotations

from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict

from nija_common.events.topics import Topic


class Event(BaseModel):
    """Base of every event. A subclass sets `topic`, `type` and `example`, and says in its docstring when it is emitted."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    topic: ClassVar[Topic]
    type: ClassVar[str]
    schema_version: ClassVar[int] = 1
    example: ClassVar[dict[str, Any]]

    def key(self) -> str:
        """The ordering key: the user, unless a class says otherwise."""
        return str(getattr(self, "user_id"))  # noqa: B009 - subclasses declare it, the base does not


E = TypeVar("E", bound=Event, covariant=True)


class Received(NamedTuple, Generic[E]):
    """An event as a handler gets it: the payload and the envelope's fields.

    `seq` is gapless per (source, topic, key) on state and fact topics, else None. `revision` is
    (incarnation, number); a greater one is newer. `offset` is the record's offset in its partition.
    """

    event: E
    id: str
    source: str
    time_ms: int
    key: str
    partition: int
    offset: int
    seq: int | None
    revision: tuple[int, int]
    correlation_id: str
    causation_id: str | None
    traceparent: str | None


class Emission(NamedTuple):
    """An event on its way into a commit: everything but `seq`, which the store draws inside the commit."""

    id: str
    topic: Topic
    key: str
    partition: int
    type: str
    version: int
    source: str
    time_ms: int
    correlation_id: str
    causation_id: str | None
    traceparent: str | None
    data: dict[str, Any]
