"""The audit log: written by one consumer, walked along by whoever wants to know that it is whole."""

from __future__ import annotations

from dataclasses import dataclass

from nija_analytics.deps import Deps
from nija_analytics.domain.audit import CHAINS, Fault, Walk, chain_of, with_row
from nija_common.events.base import Received
from nija_common.events.deliveries import AuditRecorded
from nija_common.storage.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Verified:
    """What a walk along all chains has found: rows and chains that are there, faults, rows that are in no chain."""

    rows: int
    chains: int
    faults: tuple[Fault, ...]
    astray: int

    @property
    def whole(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults and not self.astray


async def audit_recorded(deps: Deps, received: Received[AuditRecorded], uow: UnitOfWork) -> None:
    """Adds a row to the end of its chain; a row that is there stays as it is."""
    event = received.event
    if await deps.audit_log.row(event.log_id) is not None:
        return
    head = await deps.audit_log.head(chain_of(event.user_id))
    uow.save(*with_row(head, event))


async def verify(deps: Deps) -> Verified:
    """Walks along every chain, also while rows are added: each up to the head as it was when the walk began."""
    rows = chains = 0
    faults: list[Fault] = []
    for chain in CHAINS:
        number, fault = await _walk(deps, chain)
        rows += number
        chains += number > 0
        if fault is not None:
            faults.append(fault)
    return Verified(rows, chains, tuple(faults), await deps.audit_log.astray())


async def _walk(deps: Deps, chain: int) -> tuple[int, Fault | None]:
    head = await deps.audit_log.stored_head(chain)
    walk = Walk(chain)
    async for rows in deps.audit_log.along(chain, None if head is None else head.number):
        fault = walk.over(rows)
        if fault is not None:
            return walk.number, fault
    fault = walk.end(head)
    if fault is None and head is not None:
        fault = await _beyond(deps, chain)
    return walk.number, fault


async def _beyond(deps: Deps, chain: int) -> Fault | None:
    """A row beyond the head: rows and head are one commit, so a head that is read after the row knows of it."""
    last = await deps.audit_log.last(chain)
    head = await deps.audit_log.head(chain)
    if last is None or last.number <= head.number:
        return None
    return Fault(chain, last.number, last.id, f"the head of the chain knows of {head.number} rows only")
