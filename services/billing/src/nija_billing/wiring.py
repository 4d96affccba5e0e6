"""What billing is made of here: the only place that constructs its adapters.

Stripe's package takes a third of a second to load, so it is loaded where the settings call for it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from nija_billing.adapters.offline_payments import OfflinePayments
from nija_billing.deps import Deps
from nija_billing.ports import Payments, Webhooks
from nija_billing.settings import BillingSettings
from nija_billing.store import Subscriptions, Usages, Vendor
from nija_common.runtime.platform import Platform
from nija_common.values.clock import Clock

CALL_S = 8.0
RETRIES = 2


@asynccontextmanager
async def build(settings: BillingSettings, platform: Platform, payments: Payments | None = None) -> AsyncIterator[Deps]:
    """The deps. `payments` replaces what the settings name."""
    async with payments_of(settings, platform.clock) as chosen:
        yield Deps(
            clock=platform.clock,
            work=platform.work,
            subscriptions=Subscriptions(platform.storage),
            vendor=Vendor(platform.storage),
            usages=Usages(platform.storage),
            payments=payments or chosen,
            webhooks=webhooks_of(settings),
        )


@asynccontextmanager
async def payments_of(settings: BillingSettings, clock: Clock) -> AsyncIterator[Payments]:
    """Stripe where there is a key, each call with a time-out and repeated under its own key; else the stand-in."""
    if settings.stripe_api_key is None:
        yield OfflinePayments(clock)
        return
    import stripe

    from nija_billing.adapters.stripe_payments import StripePayments

    http = stripe.HTTPXClient(timeout=CALL_S)
    try:
        client = stripe.StripeClient(
            settings.stripe_api_key.get_secret_value(),
            base_addresses={"api": settings.stripe_api_base.rstrip("/")},
            max_network_retries=RETRIES,
            http_client=http,
        )
        yield StripePayments(client, clock)
    finally:
        await http.close_async()  # type: ignore[no-untyped-call]


def webhooks_of(settings: BillingSettings) -> Webhooks | None:
    """Stripe's webhook where a secret is configured; None: it refuses everything."""
    if not settings.webhook_secrets:
        return None
    from nija_billing.adapters.stripe_webhooks import StripeWebhooks

    return StripeWebhooks(settings.webhook_secrets)
