"""Which documents the handlers of events get by id: read for a whole batch at once (`runtime/manifest.py`)."""

from __future__ import annotations

from collections.abc import Iterator

from nija_common.events.base import Received
from nija_common.events.identity import UserSnapshot
from nija_common.events.preferences import SettingsSnapshot
from nija_common.events.subscriptions import SubscriptionSnapshot
from nija_common.runtime.manifest import Read
from nija_trading.domain.account import Account
from nija_trading.domain.standing import Preferences, Standing


def standing(received: Received[UserSnapshot | SubscriptionSnapshot]) -> Iterator[Read]:
    yield Standing, received.event.user_id
    yield Account, received.event.user_id


def preferences(received: Received[SettingsSnapshot]) -> Iterator[Read]:
    yield Preferences, received.event.user_id
