"""The gateway: everything enters here. Admission, limits, and a streaming relay to the services."""

from __future__ import annotations

from nija_common.events.topics import USAGE
from nija_common.runtime.manifest import Role, Service
from nija_gateway import consumers, loops, store, wiring
from nija_gateway.api.edge import Edge
from nija_gateway.api.protocol import relay_protocol
from nija_gateway.settings import GatewaySettings

SERVICE = Service(
    name="gateway",
    settings=GatewaySettings,
    build=wiring.build,
    roles={
        "api": Role(
            asgi=Edge,
            http=relay_protocol,
            subscriptions=consumers.FOLLOWED,
            loops=loops.LOOPS,
            tasks=(loops.USAGE,),
        )
    },
    collections=store.COLLECTIONS,
    produces=(USAGE,),
)
