"""Which documents the handlers of events get by id: read for a whole batch at once (`runtime/manifest.py`)."""

from __future__ import annotations

from collections.abc import Iterator

from nija_auth.domain.documents import PaidTier
from nija_common.events.base import Received
from nija_common.events.subscriptions import SubscriptionSnapshot
from nija_common.runtime.manifest import Read


def paid_tier(received: Received[SubscriptionSnapshot]) -> Iterator[Read]:
    yield PaidTier, received.event.user_id
