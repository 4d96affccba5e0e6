"""The storage port: a service's own database. Two adapters: `sqlite.py`, `mongo.py`; one contract suite.

Reads name a declared index; writes happen only in a `Commit`, atomically: documents (each against its
version), guards (documents that must not have changed), events (each drawing the next `seq` of its topic and
key), and how far a consumer has come. Leases and counters stand outside, atomic by themselves, on the
store's clock.

Errors: `Conflict` (a saved, deleted or guarded document is not of the version given, or a unique value is
taken; nothing was written), `NijaError(SERVICE_UNAVAILABLE)` (the store cannot be reached, or the outcome of
a commit could not be learned before the deadline), `NijaError(DATABASE_ERROR)` (it answered with a failure).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from nija_common.bus.port import Message
from nija_common.events.base import Emission
from nija_common.values.document import Document, Scalar

D = TypeVar("D", bound=Document)


Wanted = Mapping[type[Document], Collection[str]]
"""Ids by kind."""


@dataclass(frozen=True, slots=True)
class Range:
    """A half-open range on one indexed field: `low` included, `high` excluded; None is unbounded."""

    low: Scalar | None = None
    high: Scalar | None = None

    @classmethod
    def prefix(cls, text: str) -> Range:
        """Every text that begins with `text` (compared by code point)."""
        return cls(text, text + "\U0010ffff")


@dataclass(frozen=True, slots=True)
class Page(Generic[D]):
    """Found documents in index order, and the cursor to go on from (None at the end)."""

    items: tuple[D, ...]
    after: str | None


@dataclass(frozen=True, slots=True)
class Lease:
    """A named right for a while. `epoch` rises each time it passes to another holder or is taken after it ran out."""

    name: str
    holder: str
    epoch: int
    expires_at_ms: int


@dataclass(frozen=True, slots=True)
class Draw:
    """What a counter gave: `granted` of the asked, `used` of `limit` so far, and when the window ends (store's clock)."""

    granted: int
    used: int
    limit: int
    resets_at_ms: int
    now_ms: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a consumer group has come in one partition, written with the effects of what it handled.

    `next_offset` is the next to read; it only ever rises. `seqs` holds, per (source, key), the last `seq`
    applied, as `incarnations.place_of` numbers it. `seqs_found` is what the handlers went by: where it is given, a
    (source, key) of `seqs` whose stored `seq` is another by now is a Conflict. So a member that lost its partition
    without noticing applies nothing twice, whatever its handlers write.
    """

    group: str
    topic: str
    partition: int
    next_offset: int
    seqs: Mapping[tuple[str, str], int] = field(default_factory=dict)
    seqs_found: Mapping[tuple[str, str], int] | None = None


@dataclass(slots=True)
class Commit:
    """Everything one unit of work writes.

    `id` is written with it, so that an unknown outcome can be looked up. `raw` are records that go to the
    log as they are (parked ones), in order, after `emissions`.
    """

    id: str
    saves: list[Document] = field(default_factory=list)
    deletes: list[Document] = field(default_factory=list)
    guards: list[Document] = field(default_factory=list)
    emissions: list[Emission] = field(default_factory=list)
    raw: list[Message] = field(default_factory=list)
    progress: list[Progress] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.saves or self.deletes or self.guards or self.emissions or self.raw or self.progress)


class Storage(Protocol):
    """One service's database."""

    async def get(self, kind: type[D], document_id: str) -> D | None: ...

    async def get_latest(self, kind: type[D], document_id: str) -> D | None:
        """As `get`, but never what a primary still believes that has been replaced without noticing.

        Costs a round of the replica set: for what must not be missed once somebody was told that it is there.
        """
        ...

    async def get_many(self, kind: type[D], document_ids: Sequence[str]) -> dict[str, D]:
        """Those that exist, by id."""
        ...

    async def versions(self, kind: type[Document], document_ids: Sequence[str]) -> dict[str, int]:
        """The versions of those that exist, by id: what tells whether documents that were read before have changed, without
        reading them again."""
        ...

    async def find(
        self,
        kind: type[D],
        index: str,
        equals: Sequence[Scalar] = (),
        within: Range | None = None,
        *,
        limit: int,
        descending: bool = False,
        after: str | None = None,
        skip: int = 0,
    ) -> Page[D]:
        """Documents by a declared index: equality on its first `len(equals)` fields, at most one range on the
        next one, in index order (then by id) or the reverse. Null never lies within a range that has a bound;
        without a range, documents with null are included, sorted first. `after` (a cursor of this same query) or `skip`.

        Raises KeyError for an undeclared index, ValueError for a query that does not fit it.
        """
        ...

    async def scan(self, kind: type[D], *, limit: int, after: str | None = None) -> Page[D]:
        """Every document of a collection, in the order of their ids, without an index. `after`: the cursor, which is the
        last id: what changes meanwhile is neither left out nor seen twice."""
        ...

    async def count(
        self,
        kind: type[D],
        index: str,
        equals: Sequence[Scalar] = (),
        within: Range | None = None,
    ) -> int: ...

    async def now_ms(self) -> int:
        """The store's clock (SQLite: the clock port; MongoDB: `$$NOW`)."""
        ...

    async def commit(self, commit: Commit, *, deadline_s: float = 5.0) -> None:
        """Applies all of it or nothing, durably. See the errors above.

        Repeats itself on transient trouble within the deadline. Saved documents get `version + 1`.
        """
        ...

    async def progress(self, group: str, topic: str) -> dict[int, int]:
        """Per partition the next offset to read, as committed with the effects."""
        ...

    async def last_seqs(self, group: str, topic: str, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
        """Per (source, key) the last applied `seq`; those never seen are left out."""
        ...

    async def read_ahead(
        self, group: str, topic: str, keys: Sequence[tuple[str, str]], wanted: Wanted
    ) -> tuple[dict[tuple[str, str], int], dict[type[Document], dict[str, Document]]]:
        """`last_seqs` of these (source, key), and `get_many` of each kind, on one way to the store: for a consumer's batch."""
        ...

    async def wait_published(self, commit_id: str, timeout_s: float) -> bool:
        """Whether all events of the commit are on the bus, waiting up to `timeout_s` for it."""
        ...

    async def take(self, name: str, holder: str, ttl_ms: int) -> Lease | None:
        """Takes a free or expired lease, or renews one's own; None if somebody else holds it."""
        ...

    async def release(self, lease: Lease) -> None:
        """Gives a lease back early. Nothing happens if it has passed on."""
        ...

    async def leases(self, prefix: str) -> list[Lease]:
        """All leases that are alive by the store's clock and whose name begins with `prefix`."""
        ...

    async def draw(self, counter: str, n: int, limit: int, window_ms: int) -> Draw:
        """Takes up to `n` from a counter that allows `limit` in each window of the store's clock.

        Windows begin at multiples of `window_ms`. A negative `n` gives back, never below zero.
        """
        ...

    async def migrate(self, kinds: Sequence[type[Document]]) -> None:
        """Makes what is missing of collections and indexes. Idempotent."""
        ...

    async def differences(self, kinds: Sequence[type[Document]]) -> list[str]:
        """In words, what `migrate` would make or make anew; empty if it would change nothing."""
        ...

    async def unknown(self, kinds: Sequence[type[Document]]) -> list[str]:
        """In words, what is there and nobody declares: left by another version, older or newer. It does no harm."""
        ...


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """An event that is committed and not yet known to be on the bus. `seq` 0: it carries none and keeps insertion order."""

    id: str
    message: Message
    state: bool
    seq: int
    created_ms: int


class Outbox(Protocol):
    """What the relay sees of a store whose bus is elsewhere."""

    async def pending(self, limit: int) -> list[OutboxRow]:
        """The oldest rows, each (topic, key) in `seq` order and never past a hole."""
        ...

    async def mark_published(self, rows: Sequence[OutboxRow], lease: Lease) -> None:
        """Removes the rows. Raises NotOwner if the lease is no longer `lease`'s holder's and epoch's."""
        ...

    async def changed(self, timeout_s: float) -> None:
        """Returns when new rows may be there, at the latest after `timeout_s`."""
        ...
