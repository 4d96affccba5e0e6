"""Points over processes. Each process is started afresh, gets the candles once, and ends with the one that started it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice

from nija_cli.endings import Failed
from nija_cli.optimize.axes import Point
from nija_cli.optimize.work import Record, Task, Work

AHEAD = 4
"""Points that wait for each process."""

_work: list[Work] = []


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
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(jobs, context, _begin, (task,))
    try:
        yield from _finished(pool, points, jobs)
    except BaseException as error:
        # Ctrl-C, or whoever reads has had enough: a point may take long, and nothing waits for it.
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()
        if isinstance(error, BrokenProcessPool):
            raise Failed("a process of the search was killed (memory?); fewer --jobs need less") from error
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _finished(
    pool: ProcessPoolExecutor, points: Sequence[Point | None], jobs: int
) -> Iterator[tuple[Point | None, Record]]:
    coming = iter(points)
    waiting: dict[Future[Record], Point | None] = {}
    while True:
        for point in islice(coming, AHEAD * jobs - len(waiting)):
            waiting[pool.submit(_run, point)] = point
        if not waiting:
            return
        done, _ = wait(waiting, return_when=FIRST_COMPLETED)
        for future in done:
            yield waiting.pop(future), future.result()


def _begin(task: Task) -> None:
    """In a new process. Ctrl-C reaches the whole group of processes; the first one decides what it means."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _work.append(Work(task))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _run(point: Point | None) -> Record:
    return _work[0].record(point)
