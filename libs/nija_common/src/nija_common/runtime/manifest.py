"""A service is a manifest: its routes, subscriptions, loops and collections, on one screen.

The supervisor turns manifests into processes. Nothing here runs anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nija_common.bus.port import Edge, Since
from nija_common.events.base import Event
from nija_common.events.topics import Kind, Topic
from nija_common.security.sealing import Sealer
from nija_common.values.document import Document

if TYPE_CHECKING:
    from fastapi import APIRouter

    from nija_common.runtime.platform import Platform
    from nija_common.runtime.settings import Block

SharedHandler = Callable[[Any, Any, Any], Awaitable[object]]
"""`async (deps, received, uow)`: reads, decides, collects into the unit of work. Calls no vendor."""

Read = tuple[type[Document], str]
"""A document, by kind and id."""

Reads = Callable[[Any], Iterable[Read]]
"""`(received)`: the documents that the handler of this event will get. Read for a whole batch at once;
one that is left out costs a read of its own, one too many a little of the common one."""

BroadcastHandler = Callable[[Any, Any], object]
"""`(deps, received)`, synchronous: changes memory only, never a store."""

AsgiApp = Callable[[Any, Any, Any], Awaitable[None]]

HttpProtocol = Callable[..., asyncio.Protocol]
"""Makes the protocol of one connection, for `serving(http=...)`."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """What one topic moves. Shared: once a group, with its effects in one commit. Broadcast: in every process, memory only."""

    topic: Topic
    handlers: Mapping[type[Event], Callable[..., Any]]
    broadcast: bool = False
    back_ms: int | None = None
    """Broadcast only: start this far back in time instead of at the topic's own edge."""
    reads: Mapping[type[Event], Reads] = field(default_factory=dict)
    """Shared only: what handlers are known to read."""

    def start(self, now_ms: int) -> Edge | Since:
        """Where a broadcast reader begins: state topics at the beginning, others at the end, or `back_ms` ago."""
        if self.back_ms is not None:
            return Since(now_ms - self.back_ms)
        return Edge.BEGINNING if self.topic.kind is Kind.STATE else Edge.END


def shared(
    topic: Topic, handlers: Mapping[type[Event], SharedHandler], *, reads: Mapping[type[Event], Reads] | None = None
) -> Subscription:
    """Each event once a consumer group: its effects and its position are one commit."""
    return Subscription(topic, handlers, reads=reads or {})


def broadcast(
    topic: Topic, handlers: Mapping[type[Event], BroadcastHandler], *, back_ms: int | None = None
) -> Subscription:
    """Each event in every process; changes memory only. A state topic is read from its beginning before the
    process is ready, one with `back_ms` from that long ago."""
    return Subscription(topic, handlers, broadcast=True, back_ms=back_ms)


@dataclass(frozen=True, slots=True)
class Loop:
    """Something a service does on its own every `every_s` seconds (clock port). `leased`: in one process at a time."""

    name: str
    every_s: float
    run: Callable[[Any], Awaitable[None]]
    leased: bool = True


@dataclass(frozen=True, slots=True)
class Task:
    """Something that runs as long as the process does; it ends by cancellation, and its failure ends the process.

    `finishes`: it ends by itself soon after `Platform.finishing` is set; cancelled only where that takes too long.
    """

    name: str
    run: Callable[[Any], Awaitable[None]]
    finishes: bool = False


@dataclass(frozen=True, slots=True)
class Role:
    """A part of a service that may be a process of its own.

    `asgi` builds a raw ASGI app from the deps (gateway, sockets); it gets every HTTP and WebSocket scope that
    health and metrics do not take. `routers` are FastAPI routers with full paths. `http` builds from
    the service's app what speaks HTTP on each connection, where the service is a process of its own.
    """

    routers: tuple[APIRouter, ...] = ()
    asgi: Callable[[Any], AsgiApp] | None = None
    http: Callable[[Any], HttpProtocol] | None = None
    subscriptions: tuple[Subscription, ...] = ()
    loops: tuple[Loop, ...] = ()
    tasks: tuple[Task, ...] = ()


@dataclass(frozen=True, slots=True)
class SealedIn:
    """Documents that hold sealed secrets, for a change of key-encryption keys.

    `rewrapped` answers the document with each of them wrapped by the key that seals now (`Sealer.rewrap`), or an equal
    one. All documents are found by `index`, or there is only the one with `document_id`.
    """

    kind: type[Document]
    rewrapped: Callable[[Any, Sealer], Document]
    index: str = ""
    document_id: str | None = None


@dataclass(frozen=True, slots=True)
class StateOf:
    """Entities whose state a service tells on a state topic, so that it can be told again.

    `snapshot` gives a document's event; it is what the handlers emit too. The document's id is the event's key.
    """

    topic: Topic
    kind: type[Document]
    snapshot: Callable[[Any], Event]


@dataclass(frozen=True, slots=True)
class Service:
    """One service: name as in commands and groups, its settings block, how its deps are built, its roles."""

    name: str
    settings: type[Block]
    build: Callable[[Any, Platform], AbstractAsyncContextManager[Any]]
    roles: Mapping[str, Role]
    collections: tuple[type[Document], ...] = ()
    produces: tuple[Topic, ...] = ()
    sealed: tuple[SealedIn, ...] = ()
    states: tuple[StateOf, ...] = ()
    served_as: Mapping[str, str] = field(default_factory=dict)
    """Roles that `nija serve` starts under a name of their own: role -> name. The rest run under the service's name."""

    def roles_served_as(self, name: str) -> dict[str, Role]:
        """The roles that `nija serve NAME` starts; empty if the name is not one of ours."""
        return {role: part for role, part in self.roles.items() if self.served_as.get(role, self.name) == name}

    def group(self, role: str) -> str:
        """The consumer group of a role."""
        return f"{self.name}.{role}"

    def group_of(self, topic: Topic) -> str:
        """The group whose progress says how far this service has applied a topic. KeyError if it does not subscribe."""
        for role, part in self.roles.items():
            if any(s.topic == topic and not s.broadcast for s in part.subscriptions):
                return self.group(role)
        raise KeyError(f"{self.name} does not apply {topic.name}")
