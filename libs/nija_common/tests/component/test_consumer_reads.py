"""A batch's documents are read once, with what the runner needs itself; what has changed by the commit is read anew."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nija_common.events.base import Event, Received
from nija_common.events.identity import SessionRevoked
from nija_common.events.topics import SESSIONS
from nija_common.runtime.manifest import Role, Service, shared
from nija_common.storage.sqlite import SqliteStorage
from nija_common.testing import start_platform
from nija_common.values.clock import ManualClock
from nija_common.values.shards import shard_of


def revoked(user: str, session: str) -> SessionRevoked:
    return SessionRevoked(user_id=user, session_id=session, revoked_until_ms=None, reason="logout")


@pytest.mark.parametrize("declared", [True, False])
async def test_each_document_is_read_once_a_batch_and_seen_as_it_is_when_it_is_written(
    tmp_path: Path,
    clock: ManualClock,
    toy: Service,
    tally_class: Any,
    monkeypatch: pytest.MonkeyPatch,
    declared: bool,
) -> None:
    """Somebody else writes a tally between the reading and the commit, once: the batch runs again and loses nothing."""

    def tally_of(received: Received[SessionRevoked]) -> Iterator[tuple[Any, str]]:
        yield tally_class, received.key

    handlers: dict[type[Event], Any] = {SessionRevoked: toy.roles["api"].subscriptions[0].handlers[SessionRevoked]}
    reads: dict[type[Event], Any] = {SessionRevoked: tally_of} if declared else {}
    service = replace(toy, roles={"api": Role(subscriptions=(shared(SESSIONS, handlers, reads=reads),))})
    users = [user for user in (f"usr_{i}" for i in range(500)) if shard_of(user) == shard_of("usr_0")][:3]
    alone: list[str] = []
    get, commit = SqliteStorage.get, SqliteStorage.commit

    async def noted(self: SqliteStorage, kind: Any, document_id: str) -> Any:
        alone.append(document_id)
        return await get(self, kind, document_id)

    async with start_platform(tmp_path, [service], clock=clock) as platform:
        await platform.given_events(*(revoked(user, "first") for user in users))
        work = platform.node.running["toy"].work
        interfering = True

        async def late(self: SqliteStorage, given: Any, **options: Any) -> None:
            nonlocal interfering
            if interfering and given.progress and given.saves:
                interfering = False
                stored: Any = await get(self, tally_class, users[1])
                uow = work.open()
                uow.save(stored.model_copy(update={"seen": (*stored.seen, "meanwhile")}))
                await commit(self, uow.sequenced())
            await commit(self, given, **options)

        monkeypatch.setattr(SqliteStorage, "get", noted)
        monkeypatch.setattr(SqliteStorage, "commit", late)
        alone.clear()
        await platform.given_events(*(revoked(user, f"s{n}") for n in range(20) for user in users))
        monkeypatch.undo()
        assert not interfering
        assert len(alone) == (0 if declared else 2 * len(users)), "read for the batch, and again for its second run"
        tallies = await platform.deps("toy").storage.get_many(tally_class, users)
        rest = tuple(f"s{n}" for n in range(20))
        assert [tallies[user].seen for user in users] == [
            ("first", *rest),
            ("first", "meanwhile", *rest),
            ("first", *rest),
        ]
