"""Run by `test_kafka_bus.py`: a group member in a process of its own, to be killed or put aside.

    python lonely_member.py BOOTSTRAP NAMESPACE TOPIC COUNT

Polls COUNT records, writes `polled`, then commits what it polled whenever a line comes in, and writes how that went.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping

from nija_common.bus.kafka import KafkaBus
from nija_common.bus.port import BusUnavailable, NotOwner, TopicPartition


class Anywhere:
    async def assigned(self, places: frozenset[TopicPartition]) -> Mapping[TopicPartition, int]:
        return {}

    async def revoked(self, places: frozenset[TopicPartition]) -> None:
        return None


def say(text: str) -> None:
    os.write(1, text.encode() + b"\n")


async def main() -> None:
    bootstrap, namespace, topic, count = sys.argv[1:]
    async with (
        KafkaBus.open(bootstrap, namespace=namespace, session_timeout_s=1.0) as bus,
        bus.join("readers", [topic], Anywhere()) as member,
    ):
        ends: dict[TopicPartition, int] = {}
        seen = 0
        while seen < int(count):
            for record in await member.poll(100, 0.2):
                ends[record.place] = record.offset + 1
                seen += 1
        say("polled")
        while await asyncio.to_thread(sys.stdin.readline):
            try:
                await member.commit(ends)
            except (NotOwner, BusUnavailable) as error:
                say(type(error).__name__)
            else:
                say("committed")


asyncio.run(main())
