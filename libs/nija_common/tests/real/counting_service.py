"""Run by `test_consumers.py`: a service in a process of its own that counts what it is told, and tells on.

    python counting_service.py MONGO_URL BOOTSTRAP NAMESPACE

Each event gets a document of its own with a new id, and an answer, and goes into its user's document. For the users
`loose-...` it does not: nothing that is written for them would conflict if it were written twice.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import ClassVar

from nija_common.bus.consumer import ConsumerRunner
from nija_common.bus.kafka import KafkaBus
from nija_common.events.base import Received
from nija_common.events.catalogue import codec
from nija_common.events.deliveries import AuditRecorded
from nija_common.events.identity import SessionRevoked
from nija_common.events.topics import SESSIONS
from nija_common.runtime.manifest import shared
from nija_common.storage.mongo import MongoServer
from nija_common.storage.outbox import Relay
from nija_common.storage.port import Storage
from nija_common.storage.reads import ReadsOwnWrites
from nija_common.storage.unit_of_work import UnitOfWork, Work
from nija_common.values.clock import SystemClock
from nija_common.values.document import Collection, Document
from nija_common.values.ids import new_id

SERVICE = "counter"
GROUP = "counter.consumer"


class Tally(Document):
    collection: ClassVar[Collection] = Collection("tallies")
    seen: tuple[str, ...] = ()


class Mark(Document):
    """One for each time an event was handled."""

    collection: ClassVar[Collection] = Collection("marks")
    session_id: str


async def count(storage: Storage, received: Received[SessionRevoked], uow: UnitOfWork) -> None:
    session = str(received.event.session_id)
    uow.save(Mark(id=new_id("mrk"), session_id=session))
    uow.emit(AuditRecorded.model_validate({**AuditRecorded.example, "user_id": received.key, "log_id": session}))
    if not received.key.startswith("loose-"):
        tally = await storage.get(Tally, received.key) or Tally(id=received.key)
        uow.save(tally.model_copy(update={"seen": (*tally.seen, session)}))


async def main() -> None:
    url, bootstrap, namespace = sys.argv[1:]
    clock = SystemClock()
    async with (
        MongoServer.open(url, namespace=namespace) as server,
        KafkaBus.open(bootstrap, namespace=namespace, session_timeout_s=1.0) as bus,
    ):
        storage = server.storage(SERVICE)
        runner = ConsumerRunner(
            service=SERVICE,
            group=GROUP,
            subscriptions=(shared(SESSIONS, {SessionRevoked: count}),),
            deps=ReadsOwnWrites(storage),
            storage=storage,
            bus=bus,
            work=Work(storage, bus, clock, SERVICE),
            codec=codec(),
            clock=clock,
        )
        relay = Relay(
            service=SERVICE,
            outbox=server.outbox(SERVICE),
            storage=storage,
            bus=bus,
            clock=clock,
            holder=f"process-{os.getpid()}",
            lease_ms=500,
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(runner.run())
            group.create_task(relay.run())


if __name__ == "__main__":
    asyncio.run(main())
