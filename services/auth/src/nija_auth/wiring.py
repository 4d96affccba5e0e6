"""What auth is made of here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from nija_auth.adapters.hashing import Hashing
from nija_auth.deps import Deps
from nija_auth.handlers import admins, keys
from nija_auth.settings import AuthSettings
from nija_auth.store import People
from nija_common.runtime.platform import Platform


@asynccontextmanager
async def build(settings: AuthSettings, platform: Platform) -> AsyncIterator[Deps]:
    """The deps; a fresh store gets its first signing key, and its administrator where the settings name one."""
    hashing = Hashing(settings.password)
    deps = Deps(
        settings=settings,
        clock=platform.clock,
        work=platform.work,
        people=People(platform.storage),
        passwords=hashing,
        sealer=platform.sealer,
    )
    try:
        await platform.work.run(keys.ensure_key, deps, keys.EnsureKey())
        await admins.ensure_first_admin(deps, settings.first_admin)
        yield deps
    finally:
        hashing.close()
