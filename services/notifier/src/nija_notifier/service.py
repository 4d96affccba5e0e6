"""Notifier on one screen: it tells users what happens, live on sockets and by mail."""

from __future__ import annotations

from nija_common.runtime.manifest import Role, SealedIn, Service
from nija_notifier import consumers, loops, store, wiring
from nija_notifier.api.socket import sockets
from nija_notifier.domain.mail import Delivery
from nija_notifier.handlers.letters import rewrapped
from nija_notifier.settings import NotifierSettings

SERVICE = Service(
    name="notifier",
    settings=NotifierSettings,
    build=wiring.build,
    roles={
        "api": Role(
            asgi=sockets,
            subscriptions=consumers.BROADCASTS,
            tasks=(loops.LOOK_AT_SOCKETS, loops.DRAIN_SOCKETS),
        ),
        "consumer": Role(subscriptions=consumers.SHARED, loops=(loops.SEND_MAILS, loops.SPREAD_CIRCULARS)),
    },
    collections=store.COLLECTIONS,
    sealed=(SealedIn(Delivery, rewrapped, index="by_due"),),
)
