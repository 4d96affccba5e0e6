"""Trade updates read back from the bus: a reader of its own, outside any group, closed as soon as it has caught up.

Bounded in every direction, since each reader costs the process and the bus something: a day back, a few at once, so
many updates, so many seconds. Beyond, the client is told to read the present state instead.
"""

from __future__ import annotations

import asyncio

import structlog

from nija_common.bus.port import Bus, BusUnavailable, Record, Since, TopicPartition
from nija_common.events.codec import Codec, Undecodable
from nija_common.events.topics import TRADING
from nija_common.values.clock import Clock
from nija_common.values.shards import shard_of
from nija_common.values.times import DAY_MS
from nija_notifier.domain.trade_updates import TRADE_EVENTS, TradeUpdate
from nija_notifier.ports import Lost, Past

log = structlog.get_logger(__name__)

READERS = 4
MOST_UPDATES = 2_500
"""A user with the highest daily limit of trades, and every one of them reduced and closed on the same day."""
READ_S = 5.0
BATCH = 500
POLL_S = 0.2


class BusHistory:
    """Port `History`."""

    def __init__(
        self, bus: Bus, codec: Codec, clock: Clock, *, readers: int = READERS, most_updates: int = MOST_UPDATES
    ) -> None:
        self._bus = bus
        self._codec = codec
        self._clock = clock
        self._free = readers
        self._most_updates = most_updates

    async def after(self, user_id: str, offset: int) -> Past:
        """As the port says. Whether the offset is too old is known from the offset that the bus had a day ago."""
        place = TopicPartition(TRADING.name, shard_of(user_id))
        try:
            async with asyncio.timeout(READ_S):
                end = (await self._bus.ends([place]))[place]
                if offset >= end:
                    raise Lost("unknown")
                if offset + 1 == end:
                    return Past((), end)
                day_ago = Since(self._clock.now_ms() - DAY_MS)
                if offset + 1 < (await self._bus.offsets({place: day_ago}))[place]:
                    raise Lost("too_old")
                return Past(await self._read(place, user_id, offset + 1, end), end)
        except (TimeoutError, BusUnavailable) as error:
            log.warning("history_not_read", user_id=user_id, reason=repr(error))
            raise Lost("unavailable") from error

    async def _read(self, place: TopicPartition, user_id: str, start: int, end: int) -> tuple[TradeUpdate, ...]:
        if self._free == 0:
            raise Lost("busy")
        self._free -= 1
        try:
            found: list[TradeUpdate] = []
            async with self._bus.read({place: start}) as reader:
                while reader.position(place) < end:
                    for record in await reader.poll(BATCH, POLL_S):
                        update = self._update(record) if record.key == user_id and record.offset < end else None
                        if update is not None:
                            found.append(update)
                    if len(found) > self._most_updates:
                        raise Lost("too_many")
            return tuple(found)
        finally:
            self._free += 1

    def _update(self, record: Record) -> TradeUpdate | None:
        try:
            received = self._codec.decode(
                record.value, key=record.key or "", partition=record.partition, offset=record.offset
            )
        except Undecodable as error:
            log.error("history_undecodable", topic=record.topic, offset=record.offset, reason=str(error))
            return None
        if received is None or not isinstance(received.event, TRADE_EVENTS):
            return None
        return TradeUpdate(received.event, record.partition, record.offset)
