"""The unit of work: what one handler wants written, collected and committed at the edge.

Handlers only call `save`, `delete`, `guard` and `emit`. The edge (`Work.run`, used by HTTP, consumers and
loops) commits on a clean return and runs the handler again when the commit lost against another.
"""

from __future__ import annotations

import asyncio
import random
import weakref
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

import structlog

from nija_common.bus.port import Bus, BusUnavailable, Message
from nija_common.errors import Conflict, NijaError, unavailable
from nija_common.events.base import Emission, Event
from nija_common.events.codec import encode
from nija_common.storage.port import Commit, Progress, Storage
from nija_common.storage.remembered import Claim, Step, next_step
from nija_common.telemetry import metrics
from nija_common.telemetry.context import current_context
from nija_common.values.clock import Clock
from nija_common.values.document import Document
from nija_common.values.ids import new_id
from nija_common.values.shards import shard_of

log = structlog.get_logger(__name__)

DepsT = TypeVar("DepsT")
CommandT = TypeVar("CommandT")
R = TypeVar("R")

WAKE_UP_S = 0.3
"""How long a caller waits for a wake-up to be sent while the bus is away."""

Handler = Callable[[DepsT, CommandT, "UnitOfWork"], Awaitable[R]]


_current: ContextVar[UnitOfWork | None] = ContextVar("nija_unit_of_work", default=None)


@contextmanager
def current(uow: UnitOfWork) -> Iterator[None]:
    """Reads inside see what this unit of work has collected so far (see `reads.py`)."""
    token = _current.set(uow)
    try:
        yield
    finally:
        _current.reset(token)


def current_unit_of_work() -> UnitOfWork | None:
    """The unit of work whose handler runs in this task."""
    return _current.get()


_Entry = tuple[str, Document]
"""What is to happen to a document: save, delete, guard, or none (it was only made here, and removed again)."""

_NOTHING = ("none", None)

_Place = tuple[str, str]
"""Collection and id."""


class UnitOfWork:
    """Collects what is to be written; writes nothing itself.

    With `remembers`, what its handlers have read by id is read once: a consumer's batch. Whether a document is still as
    it was read is asked by the commit, as ever.
    """

    def __init__(self, source: str, clock: Clock, *, remembers: bool = False) -> None:
        self._source = source
        self._clock = clock
        self._documents: dict[_Place, _Entry] = {}
        self._emissions: list[Emission] = []
        self._raw: list[Message] = []
        self._progress: list[Progress] = []
        self.remembers = remembers
        self._reads: dict[_Place, Document | None] = {}
        self._changed: list[tuple[_Place, _Entry | None]] = []
        self._marks = (0, 0, 0)
        self.commit_id = new_id("cmt")

    def known(self, collection: str, document_id: str) -> tuple[bool, Document | None]:
        """Whether the document need not be read: what it will be (None: removed) if this unit of work writes it, else
        what it was read as (None: there is none)."""
        place = (collection, document_id)
        entry = self._documents.get(place)
        if entry is not None and entry[0] != "guard":
            return True, entry[1] if entry[0] == "save" else None
        if place in self._reads:
            return True, self._reads[place]
        return False, None

    def found(self, collection: str, document_ids: Iterable[str], documents: Mapping[str, Document]) -> None:
        """Takes note of what was read by these ids; those that are not among the documents do not exist."""
        if self.remembers:
            self._reads.update({(collection, each): documents.get(each) for each in document_ids})

    def touches(self, collection: str) -> bool:
        """Whether any document of the collection is written or removed here."""
        written = ("save", "delete")
        return any(name == collection and what in written for (name, _), (what, _) in self._documents.items())

    def mark(self) -> None:
        """What has been collected so far is what `back` goes back to."""
        self._changed.clear()
        self._marks = (len(self._emissions), len(self._raw), len(self._progress))

    def back(self) -> None:
        """Forgets what was collected since `mark`."""
        for place, before in reversed(self._changed):
            if before is None:
                self._documents.pop(place, None)
            else:
                self._documents[place] = before
        emissions, raw, progress = self._marks
        del self._emissions[emissions:]
        del self._raw[raw:]
        del self._progress[progress:]
        self.mark()

    def _put(self, place: _Place, entry: _Entry) -> None:
        self._changed.append((place, self._documents.get(place)))
        self._documents[place] = entry

    def save(self, *documents: Document) -> None:
        """Inserts (version 0) or replaces (by version). Saving one again in the same unit of work replaces it."""
        for document in documents:
            self._put((document.collection.name, document.id), ("save", document))

    def delete(self, *documents: Document) -> None:
        """Removes the document if it still has the version that was read. One that only this unit of work has made
        is simply not written."""
        for document in documents:
            place = (document.collection.name, document.id)
            made_here = document.version == 0 and self._documents.get(place, _NOTHING)[0] == "save"
            self._put(place, ("none" if made_here else "delete", document))

    def guard(self, *documents: Document) -> None:
        """Asserts that a document that was read, and is not written here, has not changed at the commit."""
        for document in documents:
            place = (document.collection.name, document.id)
            if self._documents.get(place, _NOTHING)[0] == "none":
                self._put(place, ("guard", document))

    def emit(self, *events: Event) -> None:
        """Adds events, in order. State and facts are committed with the documents, the others sent afterwards.

        They belong to the story of this moment: a batch handles events of many stories in one unit of work.
        """
        self._emissions += [emission_of(event, self._source, self._clock) for event in events]

    def forward(self, *messages: Message) -> None:
        """Adds records that go to the bus as they are (parked ones)."""
        self._raw.extend(messages)

    def applied(self, *progress: Progress) -> None:
        """Adds how far a consumer has come."""
        self._progress.extend(progress)

    def sequenced(self) -> Commit:
        """What is committed: everything but wake-ups and ephemeral events."""
        chosen = {"save": [], "delete": [], "guard": [], "none": []}  # type: dict[str, list[Document]]
        for what, document in self._documents.values():
            chosen[what].append(document)
        return Commit(
            id=self.commit_id,
            saves=chosen["save"],
            deletes=chosen["delete"],
            guards=chosen["guard"],
            emissions=[e for e in self._emissions if e.topic.sequenced],
            raw=list(self._raw),
            progress=list(self._progress),
        )

    def unsequenced(self) -> list[Message]:
        """Wake-ups and ephemeral events, for after the commit."""
        return [message_of(e) for e in self._emissions if not e.topic.sequenced]


def emission_of(event: Event, source: str, clock: Clock) -> Emission:
    """The event with its envelope's fields, validated strictly; trace and correlation come from the context."""
    context = current_context()
    event_id, key = new_id("evt"), event.key()
    return Emission(
        event_id,
        event.topic,
        key,
        shard_of(key),
        event.type,
        event.schema_version,
        source,
        clock.now_ms(),
        context.correlation_id or event_id,
        context.causation_id,
        context.traceparent,
        event.model_dump(mode="json"),
    )


def message_of(emission: Emission) -> Message:
    """The record of an event that carries no `seq`."""
    value, headers = encode(emission, seq=None, incarnation=0)
    return Message(emission.topic.name, emission.partition, emission.key, value, headers)


class Work:
    """Opens, commits and repeats units of work for one service."""

    def __init__(self, storage: Storage, bus: Bus, clock: Clock, source: str) -> None:
        self._storage = storage
        self._bus = bus
        self._clock = clock
        self._source = source
        self._queues: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()

    def open(self, *, remembers: bool = False) -> UnitOfWork:
        """An empty unit of work; `commit` it yourself. For the consumer runner, which batches handlers."""
        return UnitOfWork(self._source, self._clock, remembers=remembers)

    async def commit(self, uow: UnitOfWork, *, deadline_s: float = 5.0) -> None:
        """Commits, then sends wake-ups and ephemeral events. Raises as `Storage.commit` does."""
        await self._write(uow, deadline_s)
        await self.send(uow.unsequenced())

    async def _write(self, uow: UnitOfWork, deadline_s: float) -> None:
        commit = uow.sequenced()
        if commit:
            await self._measured(commit, deadline_s)

    async def _measured(self, commit: Commit, deadline_s: float) -> None:
        outcome = "failed"
        try:
            with metrics.COMMIT_SECONDS.labels(self._source).time():
                await self._storage.commit(commit, deadline_s=deadline_s)
            outcome = "done"
        except Conflict:
            outcome = "conflict"
            raise
        finally:
            metrics.COMMITS.labels(self._source, outcome).inc()

    async def send(self, messages: Sequence[Message]) -> None:
        """Wake-ups and readings: lost ones are made good by the next look, so trouble is only logged."""
        if not messages:
            return
        try:
            async with asyncio.timeout(WAKE_UP_S):
                await self._bus.send(messages)
        except (BusUnavailable, TimeoutError) as error:
            log.warning("wake_up_not_sent", count=len(messages), reason=str(error))

    async def publish(self, *events: Event) -> None:
        """Sends events of wake-up and ephemeral topics outside a unit of work."""
        await self.send([message_of(emission_of(e, self._source, self._clock)) for e in events])

    async def run(
        self,
        handler: Handler[DepsT, CommandT, R],
        deps: DepsT,
        command: CommandT,
        *,
        queue: str | None = None,
        published: bool = False,
        deadline_s: float = 5.0,
    ) -> R:
        """Read, decide, commit: runs `handler(deps, command, uow)` and commits what it collected.

        A `Conflict` runs the handler again, with jitter, until the deadline, then 503. `queue` makes the runs
        of one key wait for each other in this process instead of conflicting. `published` waits, at most 2 s,
        until the events are on the bus: for writes that another service's answer will rest on.

        In a request with an idempotency key the answer is committed with the effect, and given again instead of a
        second effect: see `remembered.py`. What such a handler answers must therefore be what its annotation says.
        """
        step: Step[R] | None = next_step(self._source, handler, claims=False)
        result, commit_id = await self._once(step, handler, deps, command, queue, deadline_s)
        if published:
            await self._storage.wait_published(commit_id, 2.0)
        return result

    async def claim(
        self,
        handler: Handler[DepsT, CommandT, R],
        deps: DepsT,
        command: CommandT,
        *,
        queue: str | None = None,
        deadline_s: float = 5.0,
    ) -> Claim[R]:
        """As `run`, before a vendor is called: what the handler decided, and the key to give the vendor.

        In a request with an idempotency key its row is committed under a lease. Whoever finds the lease run out goes
        on with the same decision and the same vendor's key; a refusal below 500 afterwards gives the request up, so
        once the vendor has said yes nothing may refuse.
        """
        step: Step[R] | None = next_step(self._source, handler, claims=True)
        result, _ = await self._once(step, handler, deps, command, queue, deadline_s)
        return Claim(result, new_id("vnd") if step is None else step.vendor_key())

    async def _once(
        self,
        step: Step[R] | None,
        handler: Handler[DepsT, CommandT, R],
        deps: DepsT,
        command: CommandT,
        queue: str | None,
        deadline_s: float,
    ) -> tuple[R, str]:
        """Runs and commits, or recalls; the answer, and the commit's id."""
        lock = self._lock(queue)
        loop = asyncio.get_running_loop()
        started = loop.time()
        attempt = 0
        while True:
            attempt += 1
            async with lock:
                before = None if step is None else step.remembered()
                if before is not None:
                    return before
                uow = self.open()
                try:
                    with current(uow):
                        result = await handler(deps, command, uow)
                except NijaError:
                    # Refused because this very request has taken effect in another process meanwhile?
                    if step is None or not await step.committed_elsewhere():
                        raise
                    continue
                left = deadline_s - (loop.time() - started)
                try:
                    await self._write_step(uow, step, result, max(left, 0.1))
                    break
                except Conflict:
                    if left <= 0:
                        raise unavailable("Too many changes at once. Try again.") from None
                    if step is not None:
                        await step.call.renew()
            await asyncio.sleep(random.uniform(0, min(0.002 * 2**attempt, 0.1)))
        # Behind the queue: a bus that says nothing must not hold up the next run of this key, which may be a stop.
        await self.send(uow.unsequenced())
        return result, uow.commit_id

    async def _write_step(self, uow: UnitOfWork, step: Step[R] | None, result: R, deadline_s: float) -> None:
        if step is None:
            await self._write(uow, deadline_s)
            return
        row = await step.with_outcome(result, uow.commit_id)
        uow.save(row)
        await self._write(uow, deadline_s)
        step.written(row)

    def _lock(self, queue: str | None) -> asyncio.Lock:
        if queue is None:
            return asyncio.Lock()
        lock = self._queues.get(queue)
        if lock is None:
            lock = asyncio.Lock()
            self._queues[queue] = lock
        return lock
