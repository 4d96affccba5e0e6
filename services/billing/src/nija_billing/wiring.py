"""What billing is made of here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from nija_billing.deps import Deps
from nija_billing.settings import BillingSettings
from nija_billing.store import Subscriptions
from nija_common.runtime.platform import Platform


@asynccontextmanager
async def build(_: BillingSettings, platform: Platform) -> AsyncIterator[Deps]:
    """The deps; nothing is opened that would have to be closed."""
    yield Deps(clock=platform.clock, work=platform.work, subscriptions=Subscriptions(platform.storage))
