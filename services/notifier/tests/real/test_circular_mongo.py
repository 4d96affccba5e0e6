"""The circular on MongoDB's wire: pages of accounts, deliveries and the place in the list in one transaction each."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from nija_common.bus.port import Bus
from nija_common.events.trading import KillSwitchSnapshot
from nija_common.storage.mongo import MongoServer
from nija_common.storage.reads import ReadsOwnWrites
from nija_common.storage.unit_of_work import UnitOfWork, Work
from nija_common.testing.events import example_of
from nija_common.values.clock import ManualClock
from nija_notifier import store
from nija_notifier.deps import Deps
from nija_notifier.domain.circulars import circular
from nija_notifier.domain.notices import kill_switch
from nija_notifier.domain.recipients import Recipient
from nija_notifier.handlers import notices

pytestmark = pytest.mark.mongo


async def test_a_circular_reaches_every_active_account_once(mongo_url: str, namespace: str, clock: ManualClock) -> None:
    people = {f"usr_{n:03}" for n in range(notices.PAGE + 1)}
    async with MongoServer.open(mongo_url, namespace=namespace) as server:
        storage = ReadsOwnWrites(server.storage("notifier"))
        await storage.migrate(store.COLLECTIONS)
        deps = cast(
            Deps,
            SimpleNamespace(
                clock=clock,
                recipients=store.Recipients(storage),
                circulars=store.Circulars(storage),
                deliveries=store.Deliveries(storage),
            ),
        )
        # Nothing here is sent outside a commit, so no bus is asked.
        work = Work(storage, cast(Bus, None), clock, "notifier")

        async def given(_: Deps, __: None, uow: UnitOfWork) -> None:
            uow.save(*(Recipient(id=person, email=f"{person}@nija.example", status="active") for person in people))
            uow.save(Recipient(id="usr_gone", email="gone@nija.example", status="disabled"))
            uow.save(circular("evt_1", kill_switch(example_of(KillSwitchSnapshot)), clock.now_ms()))

        await work.run(given, deps, None)
        (under_way,) = await deps.circulars.under_way(10)
        assert await work.run(notices.spread, deps, under_way.id)
        assert not await work.run(notices.spread, deps, under_way.id)
        assert await deps.circulars.under_way(10) == []
        queued = await deps.deliveries.due("queued", clock.now_ms(), 1_000)
        assert sorted(delivery.user_id for delivery in queued) == sorted(people)
