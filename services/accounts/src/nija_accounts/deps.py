"""What the parts of accounts work with; `wiring.py` builds it."""

from __future__ import annotations

from dataclasses import dataclass

from nija_accounts.domain.positions import Marks
from nija_accounts.store import Calendar, Ledgers, Trades, UserSettings
from nija_common.runtime.freshness import Freshness
from nija_common.storage.unit_of_work import Work
from nija_common.values.clock import Clock


@dataclass(frozen=True, slots=True)
class Deps:
    """`marks` is this process' memory; everything else may be shared."""

    clock: Clock
    work: Work
    freshness: Freshness
    settings: UserSettings
    ledgers: Ledgers
    trades: Trades
    calendar: Calendar
    marks: Marks
