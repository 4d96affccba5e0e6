"""Run by `test_relay.py`: a relay killed with SIGKILL around each call that it makes to store and bus.

    python crashing_relay.py MONGO_URL BOOTSTRAP NAMESPACE

Each child is forked and has a service (`crash0`, `crash1`, ...) and a key (`k0`, `k1`, ...) of its own; it dies before
or after the k-th call. A second child, not killed, brings the rest over. Ends with the first child that finishes
alive. Writes a line `k killed` or `k whole` for each.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from nija_common.bus.kafka import KafkaBus
from nija_common.events.base import Emission
from nija_common.events.topics import Kind, Topic
from nija_common.storage.mongo import MongoServer
from nija_common.storage.outbox import Relay
from nija_common.storage.port import Commit
from nija_common.telemetry.logging import configure_logging
from nija_common.values.clock import SystemClock

FACTS = Topic("facts", Kind.FACT, "user", partitions=2)
STATES = Topic("states", Kind.STATE, "user", partitions=2)
LEASE_MS = 300
COMMITS = 3
MOST_STEPS = 80
CALLS = ("take", "release", "pending", "mark_published", "send", "publish")


class Steps:
    """Counts the moments before and after each call, and ends the process at the chosen one."""

    def __init__(self, at: int | None) -> None:
        self._left = at

    def step(self) -> None:
        if self._left is None:
            return
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self._left -= 1


class Watched:
    """An adapter whose calls are steps."""

    def __init__(self, inner: Any, steps: Steps) -> None:
        self._inner = inner
        self._steps = steps

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._inner, name)
        if name not in CALLS:
            return call

        async def counted(*args: Any, **options: Any) -> Any:
            self._steps.step()
            answer = await call(*args, **options)
            self._steps.step()
            return answer

        return counted

    @asynccontextmanager
    async def state_publisher(self, publisher_id: str) -> AsyncIterator[Watched]:
        self._steps.step()
        async with self._inner.state_publisher(publisher_id) as publisher:
            self._steps.step()
            yield Watched(publisher, self._steps)


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


async def relay_until_empty(url: str, bootstrap: str, namespace: str, k: int, at: int | None) -> None:
    """Commits are made before the first child's relay starts, and once more when it has carried some."""
    steps = Steps(at)
    service, key = f"crash{k}", f"k{k}"
    async with (
        MongoServer.open(url, namespace=namespace) as server,
        KafkaBus.open(bootstrap, namespace=namespace) as bus,
    ):
        storage, outbox = server.storage(service), server.outbox(service)
        await storage.migrate([])

        async def commit(number: int) -> None:
            await storage.commit(Commit(f"c-{k}-{number}", emissions=events(number)))

        def events(number: int) -> list[Emission]:
            return [event(FACTS, key, 2 * number), event(FACTS, key, 2 * number + 1), event(STATES, key, number)]

        for number in range(COMMITS - 1):
            await commit(number)
        relay = Relay(
            service=service,
            outbox=Watched(outbox, steps),
            storage=Watched(storage, steps),
            bus=Watched(bus, steps),
            clock=SystemClock(),
            holder=f"process-{os.getpid()}",
            lease_ms=LEASE_MS,
        )
        running = asyncio.create_task(relay.run())
        for last in (False, True):
            while await outbox.pending(1):
                await asyncio.sleep(0.01)
                if running.done():
                    running.result()
            if not last:
                await commit(COMMITS - 1)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def in_child(*args: Any) -> int:
    child = os.fork()
    if child == 0:
        asyncio.run(relay_until_empty(*args))
        os._exit(0)
    return os.waitpid(child, 0)[1]


def main() -> None:
    url, bootstrap, namespace = sys.argv[1:]
    for k in range(MOST_STEPS):
        status = in_child(url, bootstrap, namespace, k, k)
        if os.WIFSIGNALED(status):
            os.write(1, f"{k} killed\n".encode())
            # The same commits again: their ids make those that are there harmless.
            status = in_child(url, bootstrap, namespace, k, None)
            if status != 0:
                sys.exit(f"second child {k} ended with {status}")
        elif status != 0:
            sys.exit(f"child {k} ended with {status}")
        else:
            os.write(1, f"{k} whole\n".encode())
            return
    sys.exit("the relay has more steps than expected")


if __name__ == "__main__":
    configure_logging("error")  # standard output carries the answers alone
    main()
