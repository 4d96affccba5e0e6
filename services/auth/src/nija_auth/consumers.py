"""Everything that can move auth."""

from __future__ import annotations

from nija_auth import reads
from nija_auth.handlers import tiers
from nija_common.events import topics
from nija_common.events.subscriptions import SubscriptionSnapshot
from nija_common.runtime.manifest import shared

SUBSCRIPTIONS = (
    shared(topics.SUBSCRIPTIONS, {SubscriptionSnapshot: tiers.remember}, reads={SubscriptionSnapshot: reads.paid_tier}),
)
