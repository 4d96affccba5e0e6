"""A batch that a handler splits, because it searches among what the batch has written, loses no event of its rest."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar

from nija_common.events.base import Received
from nija_common.events.identity import SessionRevoked
from nija_common.events.topics import SESSIONS
from nija_common.runtime.manifest import Role, Service, shared
from nija_common.runtime.platform import Platform
from nija_common.runtime.settings import Block
from nija_common.storage.port import Storage
from nija_common.storage.unit_of_work import UnitOfWork
from nija_common.testing import start_platform
from nija_common.values.clock import ManualClock
from nija_common.values.document import Collection, Document, Index


class NoSettings(Block):
    """None."""


class Seen(Document):
    collection: ClassVar[Collection] = Collection("seen", (Index("by_user", ("user_id",)),))
    user_id: str
    earlier: int


@asynccontextmanager
async def build(_: NoSettings, platform: Platform) -> AsyncIterator[Storage]:
    yield platform.storage


async def remember(storage: Storage, received: Received[SessionRevoked], uow: UnitOfWork) -> None:
    """Searches among what earlier events of the same batch have saved."""
    earlier = await storage.count(Seen, "by_user", (received.event.user_id,))
    uow.save(Seen(id=str(received.event.session_id), user_id=received.event.user_id, earlier=earlier))


SERVICE = Service(
    name="finder",
    settings=NoSettings,
    build=build,
    roles={"api": Role(subscriptions=(shared(SESSIONS, {SessionRevoked: remember}),))},
    collections=(Seen,),
)


async def test_facts_behind_a_split_are_handled_and_see_what_came_before(tmp_path: Path, clock: ManualClock) -> None:
    async with start_platform(tmp_path, [SERVICE], clock=clock) as platform:
        await platform.given_events(
            *(
                SessionRevoked(user_id="usr_1", session_id=f"s{i}", revoked_until_ms=None, reason="logout")
                for i in range(8)
            )
        )
        storage: Storage = platform.deps("finder")
        found = await storage.get_many(Seen, [f"s{i}" for i in range(8)])
        assert [found[f"s{i}"].earlier for i in range(8)] == list(range(8))
