"""Points over processes. Each process is started afresh, gets the candles once, and ends with the one that started it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Generator, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnContext

from nija_cli.endings import Failed
from nija_cli.optimize.axes import Point
from nija_cli.optimize.work import Record, Task, Work


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def records(
    task: Task, points: Sequence[Point | None], jobs: int
) -> Generator[tuple[Point | None, Record], None, None]:
    """Each point with its record, as they come. With one process, or a single point, in this one. Raises Failed."""
    jobs = min(jobs, len(points))
    if jobs <= 1:
        work = Work(task)
        for point in points:
            yield point, work.record(point)
        return
    # A forked child would inherit locks that threads of this process hold.
    context = multiprocessing.get_context("spawn")
    workers = [_Worker(context, task) for _ in range(jobs)]
    try:
        yield from _finished(workers, points)
    finally:
        # Also after Ctrl-C, or where whoever reads has had enough: a point may take long, and nothing waits for it.
        for worker in workers:
            worker.end()


class _Worker:
    """A process and the pipe to it. No thread and no lock stand between: a process may be ended at any moment."""

    def __init__(self, context: SpawnContext, task: Task) -> None:
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, task), daemon=True)
        self._process.start()
        theirs.close()

    def end(self) -> None:
        self._process.kill()
        self._process.join()
        self.connection.close()


def _finished(workers: Sequence[_Worker], points: Sequence[Point | None]) -> Iterator[tuple[Point | None, Record]]:
    coming = iter(points)
    busy: dict[Connection, Point | None] = {}
    for worker, point in zip(workers, coming, strict=False):
        worker.connection.send(point)
        busy[worker.connection] = point
    while busy:
        for connection in wait(list(busy)):
            assert isinstance(connection, Connection)
            point = busy.pop(connection)
            try:
                found: Record | Exception = connection.recv()
            except EOFError:
                raise Failed("a process of the search was killed (memory?); fewer --jobs need less") from None
            if isinstance(found, Exception):
                raise found
            for following in coming:
                connection.send(following)
                busy[connection] = following
                break
            yield point, found


def _serve(connection: Connection, task: Task) -> None:
    """In a new process, until nobody asks. Ctrl-C reaches the whole group of processes; the first one decides what it
    means."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        work = Work(task)
        while True:
            connection.send(work.record(connection.recv()))
    except EOFError:
        return
    except Exception as error:  # noqa: BLE001 - raised in the process that asked
        connection.send(error)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
