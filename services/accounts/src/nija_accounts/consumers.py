"""Everything that can move accounts."""

from __future__ import annotations

from nija_accounts.handlers import allowances
from nija_common.events.subscriptions import SubscriptionSnapshot
from nija_common.events.topics import SUBSCRIPTIONS
from nija_common.runtime.manifest import shared

SHARED = (shared(SUBSCRIPTIONS, {SubscriptionSnapshot: allowances.remember}),)
