"""Analytics on one screen: statistics and exports from trading's facts, summaries by mail, users, the audit log."""

from __future__ import annotations

from nija_analytics import consumers, loops, store, wiring
from nija_analytics.api import account, admin, analytics, downloads
from nija_analytics.settings import AnalyticsSettings
from nija_common.events.topics import AUDIT, MAIL
from nija_common.runtime.manifest import Role, Service

SERVICE = Service(
    name="analytics",
    settings=AnalyticsSettings,
    build=wiring.build,
    roles={
        "api": Role(routers=(account.router, analytics.router, downloads.router, admin.router)),
        "consumer": Role(subscriptions=consumers.SHARED, loops=loops.LOOPS),
    },
    collections=store.COLLECTIONS,
    produces=(AUDIT, MAIL),
)
