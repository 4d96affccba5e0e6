"""Which documents the handlers of events get by id: read for a whole batch at once (`runtime/manifest.py`)."""

from __future__ import annotations

from collections.abc import Iterator

from nija_common.events.base import Received
from nija_common.events.identity import UserSnapshot
from nija_common.events.subscriptions import SubscriptionSnapshot
from nija_common.runtime.manifest import Read
from nija_gateway.store import AllowanceDocument, StandingDocument


def standing(received: Received[UserSnapshot]) -> Iterator[Read]:
    yield StandingDocument, received.event.user_id


def allowance(received: Received[SubscriptionSnapshot]) -> Iterator[Read]:
    yield AllowanceDocument, received.event.user_id
