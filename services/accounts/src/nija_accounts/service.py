"""Accounts on one screen: a user's settings, and read models of balance, positions and history."""

from __future__ import annotations

from nija_accounts import consumers, store, wiring
from nija_accounts.api import account, settings
from nija_accounts.domain.settings import Settings
from nija_accounts.settings import AccountsSettings
from nija_common.events.topics import AUDIT, SETTINGS
from nija_common.runtime.manifest import Role, Service, StateOf

SERVICE = Service(
    name="accounts",
    settings=AccountsSettings,
    build=wiring.build,
    roles={
        "api": Role(routers=(settings.router, account.router), subscriptions=consumers.BROADCASTS),
        "consumer": Role(subscriptions=consumers.SHARED),
    },
    collections=store.COLLECTIONS,
    states=(StateOf(SETTINGS, Settings, Settings.snapshot),),
    produces=(SETTINGS, AUDIT),
)
