"""Everything that can move billing."""

from __future__ import annotations

from nija_billing.handlers import subscriptions
from nija_common.events.identity import UserSnapshot
from nija_common.events.topics import USERS
from nija_common.runtime.manifest import shared

SUBSCRIPTIONS = (shared(USERS, {UserSnapshot: subscriptions.begin}),)
