"""What the parts of analytics work with; `wiring.py` builds it."""

from __future__ import annotations

from dataclasses import dataclass

from nija_analytics.answers import Answers
from nija_analytics.domain.exports import Links
from nija_analytics.store import AuditLog, Cards, Digests, Exports, People, Results, Rows, Totals
from nija_common.storage.blobs import Blobs
from nija_common.storage.unit_of_work import Work
from nija_common.values.clock import Clock


@dataclass(frozen=True, slots=True)
class Deps:
    """Everything here may be shared by many requests."""

    clock: Clock
    work: Work
    results: Results
    rows: Rows
    people: People
    exports: Exports
    digests: Digests
    blobs: Blobs
    links: Links
    cards: Cards
    totals: Totals
    audit_log: AuditLog
    answers: Answers
