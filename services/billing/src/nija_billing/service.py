"""Billing on one screen: plans, and the subscription that gives each account its effective tier."""

from __future__ import annotations

from nija_billing import consumers, loops, store, wiring
from nija_billing.api import subscriptions
from nija_billing.settings import BillingSettings
from nija_common.events.topics import SUBSCRIPTIONS
from nija_common.runtime.manifest import Role, Service

SERVICE = Service(
    name="billing",
    settings=BillingSettings,
    build=wiring.build,
    roles={
        "api": Role(routers=(subscriptions.router,)),
        "consumer": Role(subscriptions=consumers.SUBSCRIPTIONS, loops=(loops.ANNOUNCE_CHANGES,)),
    },
    collections=store.COLLECTIONS,
    produces=(SUBSCRIPTIONS,),
)
