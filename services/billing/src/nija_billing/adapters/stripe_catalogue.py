"""Our plans in Stripe's catalogue: a product a tier, a price a plan, made there the first time one is needed.

A price is found by its lookup key. One with another amount (a new price list) is left to those who pay it, and the key
passes on to a new price.
"""

from __future__ import annotations

import stripe

from nija_billing.domain.plans import plan_of
from nija_common.events.subscriptions import Interval
from nija_common.values.tiers import Tier

CURRENCY = "usd"
_PREFIX = "nija_"


def product_id(tier: Tier) -> str:
    """The product of a tier; the id is ours."""
    return f"{_PREFIX}{tier.value}"


def lookup_key(tier: Tier, interval: Interval) -> str:
    """The name of a plan's price."""
    return f"{_PREFIX}{tier.value}_{interval}"


def tier_of_product(product: str) -> Tier | None:
    """The tier whose product that is."""
    return next((tier for tier in Tier if product_id(tier) == product), None)


class Catalogue:
    """Ids of prices, remembered."""

    def __init__(self, client: stripe.StripeClient) -> None:
        self._stripe = client.v1
        self._prices: dict[str, str] = {}

    async def price(self, tier: Tier, interval: Interval) -> str:
        """The id of the plan's price in Stripe."""
        key = lookup_key(tier, interval)
        if key not in self._prices:
            self._prices[key] = await self._found(key, tier, interval) or await self._made(key, tier, interval)
        return self._prices[key]

    async def _found(self, key: str, tier: Tier, interval: Interval) -> str | None:
        prices = await self._stripe.prices.list_async(params={"lookup_keys": [key], "active": True, "limit": 1})
        for price in prices.data:
            if price.unit_amount == plan_of(tier).amount(interval) and price.currency == CURRENCY:
                return price.id
        return None

    async def _made(self, key: str, tier: Tier, interval: Interval) -> str:
        plan = plan_of(tier)
        amount = plan.amount(interval)
        try:
            await self._stripe.products.create_async(params={"id": product_id(tier), "name": f"NIJA {plan.name}"})
        except stripe.InvalidRequestError as error:
            if error.code != "resource_already_exists":
                raise
        price = await self._stripe.prices.create_async(
            params={
                "product": product_id(tier),
                "currency": CURRENCY,
                "unit_amount": amount,
                "recurring": {"interval": "year" if interval == "yearly" else "month"},
                "lookup_key": key,
                "transfer_lookup_key": True,
            },
            options={"idempotency_key": f"{key}-{amount}"},
        )
        return price.id
