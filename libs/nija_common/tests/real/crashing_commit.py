"""Run by `test_mongo_commit.py`: one commit to MongoDB, killed with SIGKILL around each command that it sends.

    python crashing_commit.py URL NAMESPACE

Each child is forked and works on documents of its own (`a0`, `b0`, ... `a1`, ...). Child 2n dies before the n-th
command leaves, child 2n+1 after the n-th answer has come. Writes a line `k killed` or `k whole` for each.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import ClassVar

from pymongo import monitoring

from nija_common.events.base import Emission
from nija_common.events.topics import Kind, Topic
from nija_common.storage.mongo import MongoServer
from nija_common.storage.port import Commit, Progress
from nija_common.telemetry.logging import configure_logging
from nija_common.values.document import Collection, Document, Index

FACTS = Topic("facts", Kind.FACT, "user")
STATES = Topic("states", Kind.STATE, "user")
MOST_STEPS = 60


class Counter(Document):
    collection: ClassVar[Collection] = Collection("counters", (Index("by_value", ("value",)),))
    value: int = 0


class Reaper(monitoring.CommandListener):
    """Once armed, ends the process at the chosen point."""

    def __init__(self, at: int) -> None:
        self._left = at
        self.armed = False

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        self._step()

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        self._step()

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        self._step()

    def _step(self) -> None:
        if not self.armed:
            return
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self._left -= 1


def event(topic: Topic, key: str, number: int) -> Emission:
    return Emission(
        id=f"evt_{topic.name}_{key}_{number}",
        topic=topic,
        key=key,
        partition=0,
        type="counted",
        version=1,
        source="crash",
        time_ms=0,
        correlation_id="c",
        causation_id=None,
        traceparent=None,
        data={"number": number},
    )


async def one_commit(url: str, namespace: str, k: int) -> None:
    """Changes `a`, makes `b`, guards `c`, emits three events, moves a position."""
    reaper = Reaper(k)
    monitoring.register(reaper)
    async with MongoServer.open(url, namespace=namespace) as server:
        storage = server.storage("crash")
        before, guarded = Counter(id=f"a{k}"), Counter(id=f"c{k}")
        await storage.commit(Commit(f"before-{k}", saves=[before, guarded]))
        read = await storage.get_many(Counter, [before.id, guarded.id])
        key = f"k{k}"
        reaper.armed = True
        await storage.commit(
            Commit(
                f"commit-{k}",
                saves=[read[before.id].model_copy(update={"value": 1}), Counter(id=f"b{k}")],
                guards=[read[guarded.id]],
                emissions=[event(FACTS, key, 1), event(FACTS, key, 2), event(STATES, key, 1)],
                progress=[Progress("group", "facts", k, 7, {("source", key): 3})],
            )
        )


def main() -> None:
    url, namespace = sys.argv[1:]
    for k in range(MOST_STEPS):
        child = os.fork()
        if child == 0:
            asyncio.run(one_commit(url, namespace, k))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            os.write(1, f"{k} killed\n".encode())
            continue
        if status != 0:
            sys.exit(f"child {k} ended with {status}")
        os.write(1, f"{k} whole\n".encode())
        return
    sys.exit("the commit has more steps than expected")


if __name__ == "__main__":
    configure_logging("error")  # standard output carries the answers alone
    main()
