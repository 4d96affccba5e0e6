"""How many connections to MongoDB are in use: what saturates first when the store is slow."""

from __future__ import annotations

from pymongo.monitoring import (
    ConnectionCheckedInEvent,
    ConnectionCheckedOutEvent,
    ConnectionCheckOutFailedEvent,
    ConnectionCheckOutStartedEvent,
    ConnectionClosedEvent,
    ConnectionCreatedEvent,
    ConnectionPoolListener,
    ConnectionReadyEvent,
    PoolClearedEvent,
    PoolClosedEvent,
    PoolCreatedEvent,
    PoolReadyEvent,
)

from nija_common.telemetry import metrics


class PoolUse(ConnectionPoolListener):
    """Counts what the driver's pool hands out and takes back; the gauge is asked for when somebody looks."""

    def __init__(self) -> None:
        self.in_use = 0
        metrics.STORE_WAITING.labels("mongodb").set_function(lambda: self.in_use)

    def connection_checked_out(self, event: ConnectionCheckedOutEvent) -> None:
        self.in_use += 1

    def connection_checked_in(self, event: ConnectionCheckedInEvent) -> None:
        self.in_use -= 1

    # The driver wants every method to be there.

    def pool_created(self, event: PoolCreatedEvent) -> None:
        return

    def pool_ready(self, event: PoolReadyEvent) -> None:
        return

    def pool_cleared(self, event: PoolClearedEvent) -> None:
        return

    def pool_closed(self, event: PoolClosedEvent) -> None:
        return

    def connection_created(self, event: ConnectionCreatedEvent) -> None:
        return

    def connection_ready(self, event: ConnectionReadyEvent) -> None:
        return

    def connection_closed(self, event: ConnectionClosedEvent) -> None:
        return

    def connection_check_out_started(self, event: ConnectionCheckOutStartedEvent) -> None:
        return

    def connection_check_out_failed(self, event: ConnectionCheckOutFailedEvent) -> None:
        return
