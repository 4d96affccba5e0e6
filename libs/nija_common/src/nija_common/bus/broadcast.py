"""The broadcast reader: every process reads these topics for itself and changes only its memory.

Readers start at a topic's own edge (see `Subscription.start`), belong to no group and commit nothing. `caught_up` is
set once everything that was there at the start has been seen; a process is not ready before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import structlog

from nija_common.bus.consumer import BACKOFF_S, BATCH, POLL_S
from nija_common.bus.port import Bus, BusUnavailable, Edge, Record, Start, TopicPartition
from nija_common.events.codec import Codec, Undecodable
from nija_common.runtime.manifest import Subscription
from nija_common.telemetry import metrics
from nija_common.telemetry.spans import processing
from nija_common.values.clock import Clock

log = structlog.get_logger(__name__)


class BroadcastReader:
    """Feeds the broadcast subscriptions of one role."""

    def __init__(
        self,
        *,
        name: str,
        subscriptions: Sequence[Subscription],
        deps: Any,
        bus: Bus,
        codec: Codec,
        clock: Clock,
    ) -> None:
        self._name = name
        self._subscriptions = {s.topic.name: s for s in subscriptions}
        self._deps = deps
        self._bus = bus
        self._codec = codec
        self._clock = clock
        self._positions: dict[TopicPartition, int] = {}
        self.caught_up = asyncio.Event()

    def seen(self, ends: Mapping[TopicPartition, int]) -> bool:
        """Whether everything before these ends, of the topics read here, has been delivered."""
        return all(
            self._positions.get(place, 0) >= end for place, end in ends.items() if place.topic in self._subscriptions
        )

    async def run(self) -> None:
        """Reads until cancelled. A bus that is away is waited for; reading goes on where it stopped."""
        failures = 0
        while True:
            try:
                await self._read()
            except BusUnavailable as error:
                log.warning("bus_unavailable", reader=self._name, reason=str(error))
                await asyncio.sleep(BACKOFF_S[min(failures, len(BACKOFF_S) - 1)])
                failures += 1

    async def _read(self) -> None:
        now_ms = self._clock.now_ms()
        starts: dict[TopicPartition, Start] = {}
        for subscription in self._subscriptions.values():
            for partition in range(subscription.topic.partitions):
                place = TopicPartition(subscription.topic.name, partition)
                starts[place] = self._positions.get(place, subscription.start(now_ms))
        ends = await self._bus.ends(list(starts))
        async with self._bus.read(starts) as reader:
            while True:
                records = await reader.poll(BATCH * 4, 0.05 if not self.caught_up.is_set() else POLL_S)
                for record in records:
                    self._deliver(record)
                for place in starts:
                    self._positions[place] = reader.position(place)
                if not self.caught_up.is_set() and self._seen(starts, ends):
                    self.caught_up.set()

    def _seen(self, starts: dict[TopicPartition, Start], ends: dict[TopicPartition, int]) -> bool:
        return all(starts[place] is Edge.END or self._positions[place] >= end for place, end in ends.items())

    def _deliver(self, record: Record) -> None:
        handlers = self._subscriptions[record.topic].handlers
        if record.key is None:
            metrics.EVENTS_SKIPPED.labels(self._name, record.topic, "undecodable").inc()
            return
        try:
            received = self._codec.decode(
                record.value, key=record.key, partition=record.partition, offset=record.offset
            )
        except Undecodable as error:
            metrics.EVENTS_SKIPPED.labels(self._name, record.topic, "undecodable").inc()
            log.error("broadcast_undecodable", reader=self._name, topic=record.topic, reason=str(error))
            return
        if received is None:
            return
        handler = handlers.get(type(received.event))
        if handler is None:
            return
        if received.traceparent is None:
            # A reading that concerns everybody, and there are many: it begins no trace in every process.
            handler(self._deps, received)
            return
        span = processing(
            record.topic,
            group=self._name,
            event_type=received.event.type,
            event_id=received.id,
            traceparent=received.traceparent,
        )
        with span or nullcontext():
            handler(self._deps, received)
