"""Billing on one screen: plans, payments, and the subscription that gives each account its effective tier."""

from __future__ import annotations

from nija_billing import consumers, loops, store, wiring
from nija_billing.api import subscriptions, webhooks
from nija_billing.domain.subscription import Subscription
from nija_billing.settings import BillingSettings
from nija_common.events.topics import AUDIT, PAYMENTS, SUBSCRIPTIONS
from nija_common.runtime.manifest import Role, Service, StateOf

SERVICE = Service(
    name="billing",
    settings=BillingSettings,
    build=wiring.build,
    roles={
        "api": Role(routers=(subscriptions.router, webhooks.router)),
        "consumer": Role(subscriptions=consumers.SUBSCRIPTIONS, loops=(loops.ANNOUNCE_CHANGES, loops.FINISH_PAYMENTS)),
    },
    collections=store.COLLECTIONS,
    states=(StateOf(SUBSCRIPTIONS, Subscription, Subscription.snapshot),),
    produces=(SUBSCRIPTIONS, PAYMENTS, AUDIT),
)
