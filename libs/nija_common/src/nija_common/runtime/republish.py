"""An owner tells the present state of its entities again: a state topic is filled anew, or one entity put right.

It runs beside the platform. Each batch is a unit of work that guards the documents whose state it tells, so nothing is
told that has changed meanwhile, and every event takes the next revision.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from nija_common.errors import ErrorCode, NijaError
from nija_common.events.topics import Kind, Topic
from nija_common.runtime.manifest import Service, StateOf
from nija_common.storage.outbox import LEASE
from nija_common.storage.port import Storage
from nija_common.storage.unit_of_work import UnitOfWork, Work

BATCH = 100


class NotTold(Exception):
    """The service tells no state on that topic; the text says what there is."""


@dataclass(frozen=True, slots=True)
class _Place:
    storage: Storage
    state: StateOf


def states_on(service: Service, topic: str) -> tuple[StateOf, ...]:
    """What the service tells on a topic, whose name may leave out `nija-`. Raises NotTold."""
    found = tuple(state for state in service.states if topic in (state.topic.name, state.topic.name[len("nija-") :]))
    if found:
        return found
    produced = {one.name: one for one in service.produces}
    other: Topic | None = produced.get(topic) or produced.get(f"nija-{topic}")
    if other is not None and other.kind is not Kind.STATE:
        raise NotTold(f"{other.name} carries no state ({other.kind.value}): what happened is told once")
    there = ", ".join(dict.fromkeys(state.topic.name for state in service.states)) or "none"
    raise NotTold(f"{service.name} tells no state on {topic}; its state topics: {there}")


async def republish(
    states: Sequence[StateOf], storage: Storage, work: Work, *, key: str | None = None
) -> AsyncIterator[int]:
    """Tells all entities, or the one with that key; yields, after each commit, how many so far.

    Where a relay is at work, the next batch waits (at most 2 s) until the last one is on the bus.
    """
    relayed = bool(await storage.leases(LEASE))
    told = 0
    for place in (_Place(storage, state) for state in states):
        async for ids in _batches(place, key):
            told += await _tell(place, work, ids, relayed)
            yield told


async def _batches(place: _Place, key: str | None) -> AsyncIterator[Sequence[str]]:
    if key is not None:
        yield (key,)
        return
    after: str | None = None
    while True:
        page = await place.storage.scan(place.state.kind, limit=BATCH, after=after)
        if page.items:
            yield [document.id for document in page.items]
        after = page.after
        if after is None:
            return


async def _tell(place: _Place, work: Work, ids: Sequence[str], relayed: bool) -> int:
    """In one commit; in two halves where so many change that the commit never wins."""
    try:
        return await work.run(_tell_some, place, ids, published=relayed)
    except NijaError as error:
        if error.code is not ErrorCode.SERVICE_UNAVAILABLE or len(ids) == 1:
            raise
    half = len(ids) // 2
    return await _tell(place, work, ids[:half], relayed) + await _tell(place, work, ids[half:], relayed)


async def _tell_some(place: _Place, ids: Sequence[str], uow: UnitOfWork) -> int:
    documents = await place.storage.get_many(place.state.kind, ids)
    for document in documents.values():
        uow.guard(document)
        uow.emit(place.state.snapshot(document))
    return len(documents)
