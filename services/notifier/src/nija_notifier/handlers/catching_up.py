"""Tells a client that comes back what it has missed on `trades`, then what comes from there on: no gap, nothing twice.

While a connection catches up nothing is told to it as it comes. A cursor moves through the updates in offset order,
first on the bus where this process' memory does not reach back far enough, then through memory; where memory has
no more, the connection goes live within the same step of the event loop. So whatever arrives meanwhile is either in
memory behind the cursor, and told by it, or comes afterwards, and told by the broadcast.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import structlog

from nija_common.telemetry.metrics import SOCKET_RESUMES
from nija_common.values.shards import shard_of
from nija_notifier.deps import Deps
from nija_notifier.domain.hub import Connection, Hub
from nija_notifier.domain.messages import resync
from nija_notifier.domain.outbox import Waiting
from nija_notifier.domain.trade_updates import TradeUpdate
from nija_notifier.ports import History, Lost

log = structlog.get_logger(__name__)

Room = Callable[[], Awaitable[None]]
"""Returns when the client has taken enough for more to be told."""


async def catch_up(deps: Deps, connection: Connection, since: int, room: Room) -> None:
    """Brings a connection that follows `trades` from the update `since` to the present, or tells it to resync."""
    assert connection.claims is not None
    user_id = connection.claims.user_id
    try:
        outcome = await _follow(deps.hub, deps.history, connection, user_id, since, room)
    except Lost as lost:
        outcome = f"resync_{lost.reason}"
        log.info("resync", user_id=user_id, reason=lost.reason)
        connection.outbox.say(Waiting("answers", resync("trades")))
        deps.hub.go_live(connection, -1)
    SOCKET_RESUMES.labels(outcome).inc()


async def _follow(hub: Hub, history: History, connection: Connection, user_id: str, since: int, room: Room) -> str:
    partition, cursor, read_to = shard_of(user_id), since, -1
    while True:
        if not _in_memory(hub, partition, cursor, read_to):
            past = await history.after(user_id, cursor)
            await _tell(connection, past.updates, room)
            cursor = read_to = past.end - 1
            continue
        missed = hub.recent.after(partition, user_id, cursor)
        if not missed or connection.outbox.closing is not None:
            hub.go_live(connection, cursor)
            return "memory" if read_to < 0 else "bus"
        await _tell(connection, missed, room)
        cursor = missed[-1].offset


def _in_memory(hub: Hub, partition: int, cursor: int, read_to: int) -> bool:
    """Whether every update after the cursor is in memory, or will come.

    This process has been following the partition from some offset that the bus had passed when it was asked for its
    end, so after a read up to that end nothing can lie between. Before one, a cursor beyond everything in memory may
    be an id that was never given: only the bus can tell.
    """
    span = hub.recent.span(partition)
    if cursor <= read_to:
        return span is None or span.first <= cursor + 1
    return span is not None and span.first <= cursor + 1 and cursor <= span.newest


async def _tell(connection: Connection, updates: Sequence[TradeUpdate], room: Room) -> None:
    for update in updates:
        await room()
        connection.outbox.say(Waiting("trades", update.frame()))
