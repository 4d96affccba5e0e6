"""What an event costs: from a unit of work to a committed handler, and from a commit to a socket.

    python benchmarks/bench_events.py [--events 20000] [--seconds 10] [--rounds 3] [--bus sqlite,kafka] [--json PATH]

Both buses, each with the SQLite store, the real runner and relay, in one process; Kafka is a broker of its own beside it,
started by the benchmark (Java and Maven; else it is left out, and the output says so).

- `backlog`: events committed beforehand, then a service is started on them: outbox, relay, bus, consumer, a handler that
  reads and saves one document a key, its commit with the applied positions. Events a second from start to last commit.
- `stream`: the same, while another task commits them, ten in a unit of work.
- `socket`: trades opened at 500 a second for 50 users, each with a WebSocket to the notifier; the time from the commit
  (from before it, and from after it) to the message in the client's hand. Service, clients and producer share the process.

Processor microseconds an event are the process's own. Goals: 5,000 events/s through Kafka, 20,000 on the embedded bus;
after the commit p50 <= 15 ms and p99 <= 60 ms. A goal that is missed is named, and the status is 1 with `--strict`.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from nija_common.events.base import Received
from nija_common.events.identity import SessionRevoked
from nija_common.events.topics import SESSIONS
from nija_common.events.trading import TradeOpened
from nija_common.runtime.infrastructure import open_infrastructure
from nija_common.runtime.manifest import Role, Service, shared
from nija_common.runtime.platform import Platform
from nija_common.runtime.settings import Block, PlatformSettings, environment, load
from nija_common.storage.port import Storage
from nija_common.storage.unit_of_work import UnitOfWork, Work
from nija_common.telemetry.logging import configure_logging
from nija_common.telemetry.tracing import configure_tracing
from nija_common.testing import TestPlatform, figures, kafka, start_platform
from nija_common.testing.events import example_of
from nija_common.testing.processes import Unavailable, started
from nija_common.testing.sockets import SocketClient, socket_server
from nija_common.values.clock import SystemClock
from nija_common.values.document import Collection, Document
from nija_common.values.ids import new_id
from nija_notifier.service import SERVICE as NOTIFIER

GOALS = {"sqlite": 20_000.0, "kafka": 5_000.0}
GOAL_P50_MS, GOAL_P99_MS = 15.0, 60.0
KEYS = 500
A_COMMIT = 10
AT_ONCE = 16
RATE = 500
USERS = 50


class NoSettings(Block):
    """None."""


class Tally(Document):
    """How many events of a key were handled."""

    collection: ClassVar[Collection] = Collection("tallies")
    count: int = 0


@dataclass(frozen=True)
class Deps:
    storage: Storage


@asynccontextmanager
async def build(_: NoSettings, platform: Platform) -> AsyncIterator[Deps]:
    yield Deps(platform.storage)


async def count(deps: Deps, received: Received[SessionRevoked], uow: UnitOfWork) -> None:
    """A read model's handler: one document is read and saved."""
    tally = await deps.storage.get(Tally, received.key) or Tally(id=received.key)
    uow.save(tally.model_copy(update={"count": tally.count + 1}))


def tally_of(received: Received[SessionRevoked]) -> Iterator[tuple[type[Document], str]]:
    """What `count` reads: as the services declare it of their handlers."""
    yield Tally, received.key


COUNTER = Service(
    name="counter",
    settings=NoSettings,
    build=build,
    roles={"api": Role(subscriptions=(shared(SESSIONS, {SessionRevoked: count}, reads={SessionRevoked: tally_of}),))},
    collections=(Tally,),
)
TELLER = Service(name="trading-engine", settings=NoSettings, build=build, roles={"api": Role()}, collections=())
"""Has an outbox under the name by which the notifier knows the producer."""


def revoked(number: int) -> SessionRevoked:
    return example_of(SessionRevoked, user_id=f"usr_{number % KEYS:05d}", session_id=f"ses_{number:08d}")


async def commit(work: Work, first: int, events: int) -> None:
    """Commits events, some in each unit of work, several units at once."""
    starts = iter(range(first, first + events, A_COMMIT))

    async def one_after_another() -> None:
        for start in starts:
            uow = work.open()
            uow.emit(*(revoked(number) for number in range(start, min(start + A_COMMIT, first + events))))
            await work.commit(uow, deadline_s=60.0)

    await asyncio.gather(*(one_after_another() for _ in range(AT_ONCE)))


async def all_handled(platform: TestPlatform, events: int) -> None:
    """Waits until positions are committed past so many records; the documents must have counted as many events then."""
    storage = platform.node.infrastructure.storage_of(COUNTER.name)
    while True:
        applied = await storage.progress(COUNTER.group("api"), SESSIONS.name)
        if sum(applied.values()) >= events:
            break
        await asyncio.sleep(0.02)
    found = await storage.get_many(Tally, [f"usr_{number:05d}" for number in range(KEYS)])
    done = sum(tally.count for tally in found.values())
    if done != events:
        raise AssertionError(f"{done} effects of {events} events")


@dataclass(slots=True)
class Pace:
    """Events a second, and processor microseconds an event."""

    per_second: float
    cpu_us: float


class Watch:
    """Wall and processor time since it was made."""

    def __init__(self) -> None:
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def pace(self, events: int) -> Pace:
        wall, cpu = time.perf_counter() - self.wall, time.process_time() - self.cpu
        return Pace(events / wall, cpu / events * 1e6)


async def throughput(folder: Path, env: dict[str, str], events: int) -> tuple[Pace, Pace]:
    """(backlog, stream) of one bus."""
    clock = SystemClock()
    settings = load(PlatformSettings, environment(env, dotenv=None), {"data_dir": folder})
    async with start_platform(folder, [COUNTER], clock=clock, env=env):
        pass  # makes topics and collections
    async with open_infrastructure(settings, clock) as infrastructure:
        work = Work(infrastructure.storage_of(COUNTER.name), infrastructure.bus, clock, COUNTER.name)
        await commit(work, 0, events)
    watch = Watch()
    async with start_platform(folder, [COUNTER], clock=clock, env=env) as platform:
        await all_handled(platform, events)
        backlog = watch.pace(events)
        infrastructure = platform.node.infrastructure
        work = Work(infrastructure.storage_of(COUNTER.name), infrastructure.bus, clock, COUNTER.name)
        watch = Watch()
        await asyncio.gather(commit(work, events, events), all_handled(platform, 2 * events))
        return backlog, watch.pace(events)


async def listen(client: SocketClient, heard: dict[str, float]) -> None:
    while True:
        message = await client.hear()
        if message["type"] == "trade_executed":
            heard[message["data"]["trade_id"]] = time.perf_counter()


async def to_sockets(folder: Path, env: dict[str, str], seconds: float) -> dict[str, float]:
    """Latencies from a trade's commit to its message, in milliseconds."""
    clock = SystemClock()
    async with (
        start_platform(folder, [NOTIFIER, TELLER], clock=clock, env=env) as platform,
        socket_server(platform, NOTIFIER.name) as server,
        asyncio.TaskGroup() as listening,
    ):
        users = [f"usr_{number:05d}" for number in range(USERS)]
        heard: dict[str, float] = {}
        tasks = [listening.create_task(listen(await server.signed_in(user, "trades"), heard)) for user in users]
        infrastructure = platform.node.infrastructure
        work = Work(infrastructure.storage_of(TELLER.name), infrastructure.bus, clock, TELLER.name)
        told: dict[str, tuple[float, float]] = {}

        async def tell(number: int) -> None:
            trade_id = new_id("trd")
            before = time.perf_counter()
            uow = work.open()
            uow.emit(example_of(TradeOpened, user_id=users[number % USERS], trade_id=trade_id, at_ms=clock.now_ms()))
            await work.commit(uow, deadline_s=10.0)
            told[trade_id] = (before, time.perf_counter())

        begun = time.perf_counter()
        warm, telling = RATE, []
        for number in range(int(RATE * seconds) + warm):
            telling.append(asyncio.create_task(tell(number)))
            await asyncio.sleep(max(0.0, begun + (number + 1) / RATE - time.perf_counter()))
        await asyncio.gather(*telling)
        deadline = time.perf_counter() + 10.0
        while len(heard) < len(told):
            if time.perf_counter() > deadline:
                raise AssertionError(f"{len(told) - len(heard)} of {len(told)} trades reached no socket")
            await asyncio.sleep(0.02)
        for task in tasks:
            task.cancel()
    counted = list(told)[warm:]
    whole = [(heard[trade] - told[trade][0]) * 1e3 for trade in counted]
    after = [(heard[trade] - told[trade][1]) * 1e3 for trade in counted]
    return {
        "p50_ms": round(statistics.median(after), 2),
        "p99_ms": round(statistics.quantiles(after, n=100)[98], 2),
        "with_commit_p50_ms": round(statistics.median(whole), 2),
        "with_commit_p99_ms": round(statistics.quantiles(whole, n=100)[98], 2),
    }


@contextmanager
def bus_env(bus: str, folder: Path) -> Iterator[dict[str, str]]:
    """The settings of a bus; raises `Unavailable` where Kafka cannot be started."""
    common = {"NIJA_BUS": bus, "NIJA_LOG_LEVEL": "error"}
    if bus == "sqlite":
        yield common
        return
    address = os.environ.get("NIJA_TEST_KAFKA")
    if address:
        yield {**common, "NIJA_KAFKA_BOOTSTRAP": address}
        return
    server = started(kafka.launch, folder)
    try:
        yield {**common, "NIJA_KAFKA_BOOTSTRAP": f"127.0.0.1:{server.port}"}
    finally:
        server.end()


def measured(bus: str, events: int, seconds: float, rounds: int) -> dict[str, Any]:
    """The medians of one bus."""
    backlogs, streams, latencies = [], [], []
    with tempfile.TemporaryDirectory(prefix="nija-events-") as name, bus_env(bus, Path(name) / "kafka") as env:
        for number in range(rounds):
            own = {**env, "NIJA_NAMESPACE": f"bench{number}-"} if bus == "kafka" else env
            backlog, stream = asyncio.run(throughput(Path(name) / f"counter{number}", own, events))
            backlogs.append(backlog)
            streams.append(stream)
            own = {**env, "NIJA_NAMESPACE": f"socket{number}-"} if bus == "kafka" else env
            latencies.append(asyncio.run(to_sockets(Path(name) / f"socket{number}", own, seconds)))
    return {
        "backlog_per_second": round(statistics.median(pace.per_second for pace in backlogs)),
        "backlog_cpu_us": round(statistics.median(pace.cpu_us for pace in backlogs), 1),
        "stream_per_second": round(statistics.median(pace.per_second for pace in streams)),
        "stream_cpu_us": round(statistics.median(pace.cpu_us for pace in streams), 1),
        "socket": {key: statistics.median(each[key] for each in latencies) for key in latencies[0]},
    }


def misses(bus: str, found: dict[str, Any]) -> list[str]:
    """The goals that were not met."""
    wrong = []
    if found["backlog_per_second"] < GOALS[bus]:
        wrong.append(f"{bus}: {found['backlog_per_second']:,} events/s, the goal is {GOALS[bus]:,.0f}")
    for name, goal in (("p50_ms", GOAL_P50_MS), ("p99_ms", GOAL_P99_MS)):
        if found["socket"][name] > goal:
            wrong.append(f"{bus}: commit to socket {name} {found['socket'][name]}, the goal is {goal:g}")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=20_000, help="events of a round")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long trades are told to sockets")
    parser.add_argument("--rounds", type=int, default=3, help="the median counts")
    parser.add_argument("--bus", default="sqlite,kafka", help="which buses, comma-separated")
    figures.add_options(parser)
    options = parser.parse_args()
    # As every process of the platform begins, and (`until_told_to_stop`) goes on once it is ready.
    configure_logging("warning")
    configure_tracing("bench", None, 1.0)
    gc.freeze()
    report: dict[str, Any] = {}
    wrong: list[str] = []
    for bus in options.bus.split(","):
        try:
            found = measured(bus, options.events, options.seconds, options.rounds)
        except Unavailable as reason:
            print(f"{bus}: left out, {reason}")
            continue
        report[bus] = found
        wrong += misses(bus, found)
        socket = found["socket"]
        print(
            f"{bus:8} backlog {found['backlog_per_second']:>7,} events/s ({found['backlog_cpu_us']:.0f} us each)"
            f"   stream {found['stream_per_second']:>7,} events/s ({found['stream_cpu_us']:.0f} us each)"
        )
        print(
            f"{'':8} commit to socket p50 {socket['p50_ms']:.1f} ms, p99 {socket['p99_ms']:.1f} ms"
            f"   with the commit p50 {socket['with_commit_p50_ms']:.1f} ms, p99 {socket['with_commit_p99_ms']:.1f} ms"
        )
    return figures.ended(options, {"buses": report}, wrong)


if __name__ == "__main__":
    sys.exit(main())
