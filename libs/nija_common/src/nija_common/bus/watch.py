"""How far a group member is behind, and what its group has parked: measured beside the consume loop, for the operator."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import structlog

from nija_common.bus.consumer import is_transient
from nija_common.bus.parked import ParkedKey
from nija_common.bus.port import Bus, BusUnavailable, TopicPartition
from nija_common.errors import NijaError
from nija_common.storage.port import Storage
from nija_common.telemetry import metrics
from nija_common.values.clock import Clock

log = structlog.get_logger(__name__)

EVERY_S = 10.0


async def watch_group(
    group: str,
    topics: Sequence[str],
    positions: Callable[[], Mapping[TopicPartition, int]],
    *,
    bus: Bus,
    storage: Storage,
    clock: Clock,
) -> None:
    """Every ten seconds, until cancelled. A bus or a store that is away leaves the figures as they were."""
    while True:
        await clock.sleep(EVERY_S)
        try:
            held = positions()
            ends = await bus.ends(list(held))
            behind = dict.fromkeys(topics, 0)
            for place, end in ends.items():
                behind[place.topic] += max(0, end - held[place])
            for topic, records in behind.items():
                metrics.CONSUMER_LAG.labels(group, topic).set(records)
            metrics.PARKED_KEYS.labels(group).set(await storage.count(ParkedKey, "by_group", (group,)))
        except (BusUnavailable, NijaError) as error:
            if not is_transient(error):
                raise
            log.warning("lag_not_measured", group=group, reason=str(error))
