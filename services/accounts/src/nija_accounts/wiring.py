"""What accounts is made of here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from nija_accounts.deps import Deps
from nija_accounts.domain.positions import Marks
from nija_accounts.settings import AccountsSettings
from nija_accounts.store import Calendar, Ledgers, Trades, UserSettings
from nija_common.runtime.platform import Platform


@asynccontextmanager
async def build(_: AccountsSettings, platform: Platform) -> AsyncIterator[Deps]:
    """The deps; nothing is opened that would have to be closed."""
    yield Deps(
        clock=platform.clock,
        work=platform.work,
        freshness=platform.freshness,
        settings=UserSettings(platform.storage),
        ledgers=Ledgers(platform.storage),
        trades=Trades(platform.storage),
        calendar=Calendar(platform.storage),
        marks=Marks(),
    )
