"""Freshness waits: a decision that rests on a read model first lets the service catch up with the bus."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from nija_common.bus.port import Bus, BusUnavailable, TopicPartition
from nija_common.events.topics import Topic
from nija_common.storage.port import Storage
from nija_common.values.shards import shard_of

LOOK_EVERY_S = 0.02


class Freshness:
    """Asks the bus where a user's partition ends, then watches this service's stored progress reach it.

    Any replica may ask: the progress is in the database. A parked key does not hold it up, since its events
    are set aside and the partition goes on. Deadlines of I/O are the event loop's time, not the clock port's.
    """

    def __init__(self, storage: Storage, bus: Bus, group_of: Callable[[Topic], str]) -> None:
        self._storage = storage
        self._bus = bus
        self._group_of = group_of

    async def caught_up(self, topic: Topic, key: str, timeout_s: float = 2.0) -> bool:
        """Whether everything on the bus for this key at the time of the call is applied, waiting up to `timeout_s`.

        False as well when the bus cannot say: the caller decides what an old read model is good for.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        place = TopicPartition(topic.name, shard_of(key))
        try:
            end = (await self._bus.ends([place]))[place]
        except BusUnavailable:
            return False
        group = self._group_of(topic)
        while (await self._storage.progress(group, topic.name)).get(place.partition, 0) < end:
            if loop.time() >= deadline:
                return False
            await asyncio.sleep(LOOK_EVERY_S)
        return True
