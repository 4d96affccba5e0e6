"""Analytics on one screen: statistics from trading's facts, users as administrators see them, the audit log."""

from __future__ import annotations

from nija_analytics import consumers, store, wiring
from nija_analytics.api import account, admin
from nija_analytics.settings import AnalyticsSettings
from nija_common.runtime.manifest import Role, Service

SERVICE = Service(
    name="analytics",
    settings=AnalyticsSettings,
    build=wiring.build,
    roles={
        "api": Role(routers=(account.router, admin.router)),
        "consumer": Role(subscriptions=consumers.SHARED),
    },
    collections=store.COLLECTIONS,
)
