"""What the parts of billing work with; `wiring.py` builds it."""

from __future__ import annotations

from dataclasses import dataclass

from nija_billing.ports import Payments, Webhooks
from nija_billing.store import Subscriptions, Usages, Vendor
from nija_common.storage.unit_of_work import Work
from nija_common.values.clock import Clock


@dataclass(frozen=True, slots=True)
class Deps:
    """Everything here may be shared by many requests. `webhooks` None: no secret is configured."""

    clock: Clock
    work: Work
    subscriptions: Subscriptions
    vendor: Vendor
    usages: Usages
    payments: Payments
    webhooks: Webhooks | None
