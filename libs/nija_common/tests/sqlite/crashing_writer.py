"""Run by `test_sqlite_crash.py`: writers that are killed with SIGKILL, each a forked child with a file of its own.

    python crashing_writer.py steps FOLDER          one child per SQL statement of three commits, killed just before it
    python crashing_writer.py moments FOLDER N      N children with many writers at once, killed at a random moment

Beside FOLDER/<n>.sqlite3, FOLDER/<n>.acks holds a line for each commit that was answered.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any, ClassVar

from nija_common.bus.sqlite import SqliteBus
from nija_common.events.base import Emission
from nija_common.events.topics import Kind, Topic
from nija_common.storage.port import Commit, Progress
from nija_common.storage.sqlite import SqliteDatabase
from nija_common.values.clock import SystemClock
from nija_common.values.document import Collection, Document, Index

FACTS = Topic("facts", Kind.FACT, "user", partitions=2)
COMMITS = 3
MOST_STEPS = 120


class Counter(Document):
    collection: ClassVar[Collection] = Collection("counters")
    value: int = 0


class Entry(Document):
    collection: ClassVar[Collection] = Collection("entries", (Index("by_counter", ("counter", "number"), unique=True),))
    counter: str
    number: int


def story(counter: Counter) -> Commit:
    """One commit: a counter raised, an entry inserted, the counter's other half guarded, two events, progress."""
    number = counter.value + 1
    events = [
        Emission(
            id=f"evt_{counter.id}_{number}_{i}",
            topic=FACTS,
            key=counter.id,
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
        for i in range(2)
    ]
    return Commit(
        f"cmt_{counter.id}_{number}",
        saves=[
            counter.model_copy(update={"value": number}),
            Entry(id=f"{counter.id}_{number}", counter=counter.id, number=number),
        ],
        guards=[Counter(id=f"guarded_{counter.id}", version=1)],
        emissions=events,
        progress=[Progress("group", "facts", 0, number, {("crash", counter.id): number})],
    )


async def count(storage: Any, name: str, commits: int, acks: int) -> None:
    await storage.commit(Commit(f"first_{name}", saves=[Counter(id=name), Counter(id=f"guarded_{name}")]))
    for number in range(1, commits + 1):
        counter = await storage.get(Counter, name)
        await storage.commit(story(counter))
        os.write(acks, f"{name} {number}\n".encode())


async def opened(database: SqliteDatabase) -> Any:
    storage = database.storage("crash")
    await storage.migrate([Counter, Entry])
    await SqliteBus(database).ensure([FACTS])
    return storage


async def killed_before_step(path: Path, step: int, acks: int) -> None:
    async with SqliteDatabase.open(path, SystemClock()) as database:
        storage = await opened(database)
        left = step

        def trace(_: str) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        # The connection is the engine's own; there is no hook for this in the product.
        database.engine._writer.set_trace_callback(trace)
        await count(storage, "a", COMMITS, acks)
        database.engine._writer.set_trace_callback(None)


async def killed_any_time(path: Path, acks: int) -> None:
    async with SqliteDatabase.open(path, SystemClock()) as database:
        storage = await opened(database)
        os.write(acks, b"ready\n")
        await asyncio.gather(*(count(storage, f"w{i}", 100_000, acks) for i in range(12)))


def child(run: Any, *args: Any) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            asyncio.run(run(*args))
        finally:
            os._exit(0)
    return pid


def ended(pid: int) -> bool:
    """Whether the child came to its end by itself."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def acks_of(folder: Path, n: int) -> int:
    return os.open(folder / f"{n}.acks", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)


def steps(folder: Path) -> None:
    for step in range(1, MOST_STEPS):
        acks = acks_of(folder, step)
        finished = ended(child(killed_before_step, folder / f"{step}.sqlite3", step, acks))
        os.close(acks)
        if finished:
            return
    raise SystemExit(f"three commits take more than {MOST_STEPS} statements")


def moments(folder: Path, children: int) -> None:
    for n in range(children):
        acks = acks_of(folder, n)
        pid = child(killed_any_time, folder / f"{n}.sqlite3", acks)
        while (folder / f"{n}.acks").stat().st_size < 50:
            time.sleep(0.005)
        time.sleep(random.Random(n).uniform(0, 0.3))
        os.kill(pid, signal.SIGKILL)
        ended(pid)
        os.close(acks)


if __name__ == "__main__":
    if sys.argv[1] == "steps":
        steps(Path(sys.argv[2]))
    else:
        moments(Path(sys.argv[2]), int(sys.argv[3]))
