"""What a bus shows after a fault: whether every fact is there once and in order, and how far behind consumers are."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from nija_common.bus.kafka import KafkaBus
from nija_common.bus.port import BusUnavailable, Edge, TopicPartition
from nija_common.events.topics import Kind, Topic


@dataclass(slots=True)
class BusHistory:
    """Events of the fact and state topics. `events` by topic; `repeated`: written twice under one id, which is allowed."""

    events: dict[str, int] = field(default_factory=dict)
    repeated: int = 0
    problems: list[str] = field(default_factory=list)


async def history(bootstrap: str, namespace: str, topics: Sequence[Topic]) -> BusHistory:
    """Reads the topics from their beginning to their end: `seq` of every (source, topic, key) without a hole, in order;
    a number that comes twice has one id. Compacted topics may have holes."""
    found = BusHistory()
    places = {TopicPartition(t.name, p): t for t in topics for p in range(t.partitions)}
    last: dict[tuple[str, str, str], int] = {}
    ids: dict[tuple[str, str, str, int], str] = {}
    async with KafkaBus.open(bootstrap, namespace=namespace) as bus:
        upto = await ends(bus, topics)
        async with bus.read(dict.fromkeys(places, Edge.BEGINNING)) as reader:
            while any(reader.position(place) < end for place, end in upto.items()):
                for record in await reader.poll(1000, 0.2):
                    envelope = orjson.loads(record.value)
                    name = (str(envelope["source"]), record.topic, record.key or "")
                    seq = int(envelope["seq"])
                    found.events[record.topic] = found.events.get(record.topic, 0) + 1
                    known = ids.setdefault((*name, seq), str(envelope["id"]))
                    if known != envelope["id"]:
                        found.problems.append(f"{name} has two events of number {seq}")
                    before = last.get(name, 0)
                    if seq <= before:
                        found.repeated += 1
                        continue
                    if seq != before + 1 and places[record.place].kind is Kind.FACT:
                        found.problems.append(f"{name}: {seq} follows {before}")
                    last[name] = seq
    return found


async def lag(bus: KafkaBus, groups: Mapping[str, Sequence[Topic]], upto: Mapping[TopicPartition, int]) -> int:
    """How many records before `upto` the groups have not committed; -1 while the bus does not say."""
    behind = 0
    try:
        for group, topics in groups.items():
            places = [TopicPartition(t.name, p) for t in topics for p in range(t.partitions)]
            done = await bus.committed(group, places)
            behind += sum(max(0, upto[place] - done.get(place, 0)) for place in places)
    except BusUnavailable:
        return -1
    return behind


async def ends(bus: KafkaBus, topics: Sequence[Topic], *, seconds: float = 30.0) -> dict[TopicPartition, int]:
    """Where the partitions end now; brokers that do not answer yet are asked again. Raises BusUnavailable."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        try:
            return await bus.ends([TopicPartition(t.name, p) for t in topics for p in range(t.partitions)])
        except BusUnavailable:
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(0.1)
