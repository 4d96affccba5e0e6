"""The audit log: rows that are only ever added, each tied to the one before it in its chain.

There is a chain for each partition of the topic, so that no two consumers write to the same one. A row's hash covers
its content, its place (chain and number) and the hash of the row before it; a head for each chain keeps the number and
the hash of its newest row. So a changed, removed, inserted or moved row shows, and so does a missing end. Whoever can
rewrite a whole chain and its head is not found out by this: that takes the database's own rights.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from nija_common.events.deliveries import AuditRecorded
from nija_common.values.document import Collection, Document, Index
from nija_common.values.shards import PARTITIONS, shard_of

CHAINS = range(PARTITIONS)
BEGINNING = "0" * 64
"""What the first row of a chain has for the hash of the row before it."""


class AuditRow(Document):
    """One row of the audit log. Id: the event's `log_id`.

    `user_id` is whom it is about (`global`: the platform), `actor` who did it. `number` counts from 1 in its `chain`.
    """

    collection: ClassVar[Collection] = Collection(
        "audit_log",
        (
            Index("by_place", ("chain", "number"), unique=True),
            Index("by_time", ("at_ms",)),
            Index("by_type", ("event_type", "at_ms")),
            Index("by_user", ("user_id", "at_ms")),
            Index("by_user_and_type", ("user_id", "event_type", "at_ms")),
        ),
    )
    user_id: str
    event_type: str
    actor: str
    ip_address: str | None
    user_agent: str | None
    metadata: dict[str, str | int | float | bool | None]
    at_ms: int
    chain: int
    number: int
    previous: str
    hash: str


class AuditHead(Document):
    """The newest row of a chain. Id: the chain's number."""

    collection: ClassVar[Collection] = Collection("audit_heads")
    number: int = 0
    hash: str = BEGINNING


@dataclass(frozen=True, slots=True)
class Fault:
    """The first thing that is wrong with a chain: which row, by number and id where there is one, and what."""

    chain: int
    number: int
    log_id: str | None
    what: str


def chain_of(user_id: str) -> int:
    """The chain of rows about a user: the partition that they come in."""
    return shard_of(user_id)


def head_id(chain: int) -> str:
    """The id of a chain's head."""
    return f"{chain:02d}"


def with_row(head: AuditHead, event: AuditRecorded) -> tuple[AuditHead, AuditRow]:
    """The chain's new head, and the row that is added to it."""
    row = AuditRow(
        id=event.log_id,
        **event.model_dump(exclude={"log_id"}),
        chain=chain_of(event.user_id),
        number=head.number + 1,
        previous=head.hash,
        hash="",
    )
    row = row.model_copy(update={"hash": hash_of(row)})
    return head.model_copy(update={"number": row.number, "hash": row.hash}), row


def hash_of(row: AuditRow) -> str:
    """SHA-256, in hexadecimal, over the row's canonical bytes: JSON of every field but `hash` and the store's own
    `version`, names sorted, without blanks, ASCII."""
    content = row.model_dump(mode="json", exclude={"hash", "version"})
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode("ascii")).hexdigest()


@dataclass(slots=True)
class Walk:
    """A walk along one chain, row by row in the order of their numbers; `number` and `hash` are those of the last."""

    chain: int
    number: int = 0
    hash: str = BEGINNING

    def over(self, rows: Iterable[AuditRow]) -> Fault | None:
        """Goes over the next rows; the first fault, at which the walk ends."""
        for row in rows:
            if row.number != self.number + 1:
                return Fault(
                    self.chain, self.number + 1, None, f"it is missing; the next one there is has number {row.number}"
                )
            what = self._fault(row)
            if what is not None:
                return Fault(self.chain, row.number, row.id, what)
            self.number, self.hash = row.number, row.hash
        return None

    def end(self, head: AuditHead | None) -> Fault | None:
        """What a head that was read before the walk says of its end."""
        if head is None:
            return (
                None
                if self.number == 0
                else Fault(self.chain, 1, None, "there are rows, but the head of the chain is missing")
            )
        if self.number < head.number:
            return Fault(self.chain, self.number + 1, None, f"it and all up to number {head.number} are missing")
        if self.hash != head.hash:
            return Fault(self.chain, self.number, None, "it is not the row that the head was written with")
        return None

    def _fault(self, row: AuditRow) -> str | None:
        if hash_of(row) != row.hash:
            return "its content is not what it was written with"
        if row.previous != self.hash:
            return "it does not follow on the row before it"
        return None
