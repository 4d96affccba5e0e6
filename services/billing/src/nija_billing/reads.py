"""Which documents the handlers of events get by id: read for a whole batch at once (`runtime/manifest.py`)."""

from __future__ import annotations

from collections.abc import Iterator

from nija_billing.domain.subscription import Subscription
from nija_billing.domain.usage import Holdings
from nija_billing.store import EarlyOverride
from nija_common.events.administration import ApiUsageCounted, TierOverrideRequested
from nija_common.events.base import Received
from nija_common.events.identity import UserSnapshot
from nija_common.events.trading import BrokerConnected, BrokerRemoved, PositionClosed, PositionOpened, TradeOpened
from nija_common.runtime.manifest import Read


def subscription(received: Received[UserSnapshot | TierOverrideRequested]) -> Iterator[Read]:
    yield Subscription, received.event.user_id
    yield EarlyOverride, received.event.user_id


def counters(received: Received[TradeOpened | PositionOpened | ApiUsageCounted]) -> Iterator[Read]:
    """What says whose period it is. The counters' own id is known only then."""
    yield Subscription, received.event.user_id
    yield Holdings, received.event.user_id


def holdings(received: Received[PositionClosed | BrokerConnected | BrokerRemoved]) -> Iterator[Read]:
    yield Holdings, received.event.user_id
