"""Replays a parked key: its events are handled again, in order, and the key is released when none is left.

Each event is one unit of work with the key's document in it, so a crash or a second replay at the same time
repeats nothing. Events that arrive meanwhile are still set aside and join the end of the line.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog

from nija_common.bus.parked import GROUP_HEADER, NUMBER_HEADER, TOPIC_HEADER, ParkedKey
from nija_common.bus.port import Bus, Edge, Record, TopicPartition
from nija_common.errors import Conflict
from nija_common.events.base import Event
from nija_common.events.codec import Codec
from nija_common.events.topics import parked_topic
from nija_common.storage.port import Storage
from nija_common.storage.unit_of_work import UnitOfWork, Work, current
from nija_common.telemetry.context import Context, in_context

log = structlog.get_logger(__name__)

A = TypeVar("A")
R = TypeVar("R")

AGAIN_S = 5.0


async def parked_records(bus: Bus, service: str, parked: ParkedKey) -> list[Record]:
    """The key's records in the parked topic, in the order of their numbers."""
    place = TopicPartition(parked_topic(service).name, parked.partition)
    end = (await bus.ends([place]))[place]
    found: dict[int, Record] = {}
    async with bus.read({place: Edge.BEGINNING}) as reader:
        while reader.position(place) < end:
            for record in await reader.poll(500, 0.05):
                headers = record.headers
                if (headers.get(GROUP_HEADER), headers.get(TOPIC_HEADER), record.key) == (
                    parked.group,
                    parked.topic,
                    parked.key,
                ):
                    found.setdefault(int(headers[NUMBER_HEADER]), record)
    return [found[number] for number in sorted(found)]


async def replay_key(
    parked: ParkedKey,
    *,
    service: str,
    handlers: Mapping[type[Event], Any],
    deps: Any,
    storage: Storage,
    bus: Bus,
    work: Work,
    codec: Codec,
    skip: Collection[int] = (),
) -> int:
    """Handles what is left of the key and releases it; how many events. Raises what a handler raises.

    The events with the numbers `skip` are passed over: they have no effect, and never will.
    """
    replay = _Replay(parked, handlers, deps, storage, work, codec, frozenset(skip))
    handled = 0
    latest: ParkedKey | None = parked
    while latest is not None:
        records = await parked_records(bus, service, latest)
        for record in records[latest.replayed :]:
            if not await replay.repeated(replay.handle, record):
                return handled
            handled += 1
        latest = await replay.repeated(replay.release, None)
    log.info("key_released", group=parked.group, topic=parked.topic, key=parked.key, events=handled)
    return handled


@dataclass(frozen=True, slots=True)
class _Replay:
    """Its units of work. Beside it the consumer sets aside what comes meanwhile, so a commit may lose against that."""

    parked: ParkedKey
    handlers: Mapping[type[Event], Any]
    deps: Any
    storage: Storage
    work: Work
    codec: Codec
    skip: frozenset[int]

    async def repeated(self, step: Callable[[A], Awaitable[R]], given: A) -> R:
        """The step until its commit wins. Raises Conflict where it does not in 5 s."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + AGAIN_S
        while True:
            try:
                return await step(given)
            except Conflict:
                if loop.time() >= deadline:
                    raise
                await asyncio.sleep(random.uniform(0, 0.05))

    async def handle(self, record: Record) -> bool:
        """Handles one event; False if somebody else has released the key."""
        uow = self.work.open()
        if int(record.headers[NUMBER_HEADER]) not in self.skip:
            await self._effects(record, uow)
        latest = await self.storage.get(ParkedKey, self.parked.id)
        if latest is None:
            return False
        uow.save(latest.model_copy(update={"replayed": latest.replayed + 1}))
        await self.work.commit(uow)
        return True

    async def _effects(self, record: Record, uow: UnitOfWork) -> None:
        received = self.codec.decode(
            record.value, key=self.parked.key, partition=record.partition, offset=record.offset
        )
        handler = None if received is None else self.handlers.get(type(received.event))
        if received is not None and handler is not None:
            context = Context(received.correlation_id, received.id, received.traceparent)
            with in_context(context), current(uow):
                await handler(self.deps, received, uow)

    async def release(self, _: None) -> ParkedKey | None:
        """Removes the document if nothing is left to replay; else the document as it is now."""
        latest = await self.storage.get(ParkedKey, self.parked.id)
        if latest is None or latest.replayed < latest.forwarded:
            return latest
        uow = self.work.open()
        uow.delete(latest)
        await self.work.commit(uow)
        return None
