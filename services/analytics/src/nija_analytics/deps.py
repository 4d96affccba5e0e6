"""What the parts of analytics work with; `wiring.py` builds it."""

from __future__ import annotations

from dataclasses import dataclass

from nija_analytics.store import AuditLog, Cards, People, Results, Totals
from nija_common.values.clock import Clock


@dataclass(frozen=True, slots=True)
class Deps:
    """Everything here may be shared by many requests."""

    clock: Clock
    results: Results
    people: People
    cards: Cards
    totals: Totals
    audit_log: AuditLog
