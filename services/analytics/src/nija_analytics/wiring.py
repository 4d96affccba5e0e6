"""What analytics is made of here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from nija_analytics.answers import Answers
from nija_analytics.deps import Deps
from nija_analytics.domain.exports import LINK_PURPOSE, Links
from nija_analytics.settings import AnalyticsSettings
from nija_analytics.store import AuditLog, Cards, Digests, Exports, People, Results, Rows, Totals
from nija_common.runtime.platform import Platform


@asynccontextmanager
async def build(_: AnalyticsSettings, platform: Platform) -> AsyncIterator[Deps]:
    """The deps; nothing is opened that would have to be closed."""
    storage = platform.storage
    yield Deps(
        clock=platform.clock,
        work=platform.work,
        results=Results(storage),
        rows=Rows(storage),
        people=People(storage),
        exports=Exports(storage),
        digests=Digests(storage),
        blobs=platform.blobs,
        links=Links(lambda: platform.sealer.derived_key(LINK_PURPOSE), platform.settings.public_url),
        cards=Cards(storage),
        totals=Totals(storage),
        audit_log=AuditLog(storage),
        answers=Answers(),
    )
