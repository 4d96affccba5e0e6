"""What services say that their handlers read: documents of theirs, and all that handlers do read of a first event."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nija_cli.services import SERVICES
from nija_common.events.base import Event
from nija_common.runtime.manifest import Service, Subscription
from nija_common.storage.sqlite import SqliteStorage
from nija_common.storage.unit_of_work import current_unit_of_work
from nija_common.testing import start_platform
from nija_common.testing.events import example_of
from nija_common.values.clock import ManualClock

KNOWN_LATE = {"Usage"}
"""Whose id depends on what was read before."""


def subscriptions_of(service: Service) -> list[Subscription]:
    return [s for role in service.roles.values() for s in role.subscriptions if not s.broadcast]


CONSUMERS = [service for service in SERVICES if subscriptions_of(service)]


def handled_by(service: Service) -> list[type[Event]]:
    return [kind for subscription in subscriptions_of(service) for kind in subscription.handlers]


@pytest.mark.parametrize("service", CONSUMERS, ids=lambda service: service.name)
async def test_what_handlers_read_of_a_first_event_is_read_for_the_batch(
    service: Service, tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone: set[str] = set()
    get = SqliteStorage.get

    async def noted(self: SqliteStorage, kind: Any, document_id: str) -> Any:
        uow = current_unit_of_work()
        if uow is not None and uow.remembers:  # a consumer's
            alone.add(kind.__name__)
        return await get(self, kind, document_id)

    monkeypatch.setattr(SqliteStorage, "get", noted)
    async with start_platform(tmp_path, [service], clock=clock) as platform:
        for kind in handled_by(service):
            await platform.given_events(example_of(kind))
    assert alone <= KNOWN_LATE


@pytest.mark.parametrize("service", CONSUMERS, ids=lambda service: service.name)
def test_reads_are_said_of_every_handler_and_of_no_other(service: Service) -> None:
    for subscription in subscriptions_of(service):
        assert set(subscription.reads) == set(subscription.handlers)
