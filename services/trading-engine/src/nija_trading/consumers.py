"""Everything that can move trading-engine."""

from __future__ import annotations

from nija_common.events.identity import UserSnapshot
from nija_common.events.preferences import SettingsSnapshot
from nija_common.events.subscriptions import SubscriptionSnapshot
from nija_common.events.topics import CONTROLS, SETTINGS, SUBSCRIPTIONS, USERS
from nija_common.events.trading import KillSwitchSnapshot
from nija_common.runtime.manifest import broadcast, shared
from nija_trading import reads
from nija_trading.handlers import standings

SUBSCRIPTIONS_OF_API = (
    shared(USERS, {UserSnapshot: standings.remember_user}, reads={UserSnapshot: reads.standing}),
    shared(
        SUBSCRIPTIONS,
        {SubscriptionSnapshot: standings.remember_subscription},
        reads={SubscriptionSnapshot: reads.standing},
    ),
    shared(SETTINGS, {SettingsSnapshot: standings.remember_settings}, reads={SettingsSnapshot: reads.preferences}),
)

BROADCASTS_OF_WORKER = (broadcast(CONTROLS, {KillSwitchSnapshot: standings.switch_changed}),)
