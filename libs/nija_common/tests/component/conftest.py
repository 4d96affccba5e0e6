"""A toy service on the real embedded platform: it counts what it is told, and fails when told to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest

from nija_common.errors import unavailable
from nija_common.events.base import Received
from nija_common.events.identity import SessionRevoked, UserSnapshot
from nija_common.events.topics import SESSIONS, USERS
from nija_common.runtime.manifest import Role, Service, broadcast, shared
from nija_common.runtime.platform import Platform
from nija_common.runtime.settings import Block
from nija_common.storage.port import Storage
from nija_common.storage.unit_of_work import UnitOfWork
from nija_common.values.document import Collection, Document, Index


class ToySettings(Block):
    """None."""


class Tally(Document):
    """What one user's events did, in the order in which they did it."""

    collection: ClassVar[Collection] = Collection("tallies", (Index("by_count", ("count",)),))

    count: int = 0
    seen: tuple[str, ...] = ()


@dataclass(frozen=True)
class ToyDeps:
    storage: Storage
    broken: set[str] = field(default_factory=set)
    away: set[str] = field(default_factory=set)
    tried: list[str] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)


@asynccontextmanager
async def build(_: ToySettings, platform: Platform) -> AsyncIterator[ToyDeps]:
    yield ToyDeps(platform.storage)


async def count(deps: ToyDeps, received: Received[SessionRevoked], uow: UnitOfWork) -> None:
    session = str(received.event.session_id)
    deps.tried.append(session)
    if session in deps.away:
        raise unavailable("the store is away")
    if session in deps.broken:
        raise ValueError(f"cannot handle {session}")
    tally = await deps.storage.get(Tally, received.key) or Tally(id=received.key)
    uow.save(tally.model_copy(update={"count": tally.count + 1, "seen": (*tally.seen, session)}))


async def count_all(deps: ToyDeps, received: Received[UserSnapshot], uow: UnitOfWork) -> None:
    """Searches after it has saved for another event of the same batch, which splits the batch."""
    page = await deps.storage.find(Tally, "by_count", limit=100)
    found = sum(1 for tally in page.items if tally.id.startswith("all-"))
    uow.save(Tally(id=f"all-{received.event.user_id}", count=found))


def hear(deps: ToyDeps, received: Received[Any]) -> None:
    deps.heard.append(received.event.session_id)


SERVICE = Service(
    name="toy",
    settings=ToySettings,
    build=build,
    roles={
        "api": Role(
            subscriptions=(
                shared(SESSIONS, {SessionRevoked: count}),
                shared(USERS, {UserSnapshot: count_all}),
                broadcast(SESSIONS, {SessionRevoked: hear}, back_ms=3_600_000),
            )
        )
    },
    collections=(Tally,),
)


@pytest.fixture
def toy() -> Service:
    return SERVICE


@pytest.fixture
def tally_class() -> type[Tally]:
    return Tally
