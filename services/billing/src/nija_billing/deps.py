"""What the parts of billing work with; `wiring.py` builds it."""

from __future__ import annotations

from dataclasses import dataclass

from nija_billing.store import Subscriptions
from nija_common.storage.unit_of_work import Work
from nija_common.values.clock import Clock


@dataclass(frozen=True, slots=True)
class Deps:
    """Everything here may be shared by many requests."""

    clock: Clock
    work: Work
    subscriptions: Subscriptions
