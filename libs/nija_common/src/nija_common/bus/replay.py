"""Replays a parked key: its events are handled again, in order, and the key is released when none is left.

Each event is one unit of work with the key's document in it, so a crash or a second replay at the same time
repeats nothing. Events that arrive meanwhile are still set aside and join the end of the line.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog

from nija_common.bus.parked import GROUP_HEADER, NUMBER_HEADER, TOPIC_HEADER, ParkedKey
from nija_common.bus.port import Bus, Edge, Record, TopicPartition
from nija_common.events.base import Event
from nija_common.events.codec import Codec
from nija_common.events.topics import parked_topic
from nija_common.storage.port import Storage
from nija_common.storage.unit_of_work import Work, current
from nija_common.telemetry.context import Context, in_context

log = structlog.get_logger(__name__)


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
) -> int:
    """Handles what is left of the key and releases it; how many events. Raises what a handler raises."""
    handled = 0
    current_key: ParkedKey | None = parked
    while current_key is not None:
        records = await parked_records(bus, service, current_key)
        for record in records[current_key.replayed :]:
            uow = work.open()
            received = codec.decode(record.value, key=parked.key, partition=record.partition, offset=record.offset)
            handler = None if received is None else handlers.get(type(received.event))
            if received is not None and handler is not None:
                context = Context(received.correlation_id, received.id, received.traceparent)
                with in_context(context), current(uow):
                    await handler(deps, received, uow)
            latest = await storage.get(ParkedKey, parked.id)
            if latest is None:
                return handled
            uow.save(latest.model_copy(update={"replayed": latest.replayed + 1}))
            await work.commit(uow)
            handled += 1
        current_key = await _released(parked.id, storage, work)
    log.info("key_released", group=parked.group, topic=parked.topic, key=parked.key, events=handled)
    return handled


async def _released(document_id: str, storage: Storage, work: Work) -> ParkedKey | None:
    """Removes the document if nothing is left to replay; else the document as it is now."""
    latest = await storage.get(ParkedKey, document_id)
    if latest is None or latest.replayed < latest.forwarded:
        return latest
    uow = work.open()
    uow.delete(latest)
    await work.commit(uow)
    return None
