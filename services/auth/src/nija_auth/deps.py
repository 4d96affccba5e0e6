"""What the parts of auth work with; `wiring.py` builds it."""

from __future__ import annotations

from dataclasses import dataclass

from nija_auth.ports import Passwords
from nija_auth.settings import AuthSettings
from nija_auth.store import People
from nija_common.security.sealing import Sealer
from nija_common.storage.unit_of_work import Work
from nija_common.values.clock import Clock


@dataclass(frozen=True, slots=True)
class Deps:
    """Everything here may be shared by many requests."""

    settings: AuthSettings
    clock: Clock
    work: Work
    people: People
    passwords: Passwords
    sealer: Sealer
