"""The SQLite file and its threads: one that writes in groups, two that read, and a look at the file now and then.

It knows nothing of documents or topics: it runs functions. A write function runs inside a savepoint of its
own; all that are waiting share one transaction and so one fsync, and each fails alone. The event loop never
touches the file.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import structlog

from nija_common.errors import ErrorCode, NijaError, unavailable
from nija_common.telemetry import metrics

log = structlog.get_logger(__name__)

T = TypeVar("T")

READERS = 2
GROUP = 256
"""At most so many units of work share an fsync: a longer group would make the first of them wait for the last."""

CHECKPOINT_BYTES = 64 * 1024 * 1024
LOOK_S = 0.25
"""How often the file is looked at for what another connection wrote, and for the size of its write-ahead log."""

BUSY_MS = 100
OPEN_BUSY_S = 5.0
GRACE_S = 5.0
"""How long a write that has begun may outlive its deadline before its outcome is called unknown."""

_UNREACHABLE = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PROTOCOL,
    }
)


@dataclass(slots=True)
class Transaction:
    """What a write function gets: the connection, inside its savepoint.

    `ends` collects, per lane of the log that it appended to, the offset after the last; `queued` says that it
    wrote to an outbox. Both are told to the process once the group is durable.
    """

    connection: sqlite3.Connection
    ends: dict[int, int] = field(default_factory=dict)
    queued: bool = False


Write = Callable[[Transaction], T]
Read = Callable[[sqlite3.Connection], T]
OnCommit = Callable[[dict[int, int], bool], None]


def translate(error: sqlite3.Error) -> NijaError:
    """What a caller is told of an error of SQLite's: 503 where the file cannot be used now, else 500."""
    code = getattr(error, "sqlite_errorcode", None)
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    if code is not None and code & 0xFF in _UNREACHABLE:
        return unavailable(f"The database file cannot be used at the moment ({name}). Try again.")
    return NijaError(ErrorCode.DATABASE_ERROR, f"The database failed ({name}).")


def connect(path: Path) -> sqlite3.Connection:
    """A connection with our settings: durable commits, write-ahead log, no implicit transactions."""
    connection = sqlite3.connect(
        path, timeout=OPEN_BUSY_S, isolation_level=None, check_same_thread=False, cached_statements=512
    )
    try:
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "fullfsync=1",
            "checkpoint_fullfsync=1",
            "wal_autocheckpoint=0",
            f"journal_size_limit={CHECKPOINT_BYTES}",
            "cache_size=-8192",
            "temp_store=MEMORY",
        ):
            connection.execute(f"PRAGMA {pragma}").fetchall()
    except sqlite3.Error:
        connection.close()
        raise
    return connection


class _Job(Generic[T]):
    __slots__ = ("future", "run")

    def __init__(self, run: Callable[..., T], future: asyncio.Future[T]) -> None:
        self.run = run
        self.future = future


_Outcome = tuple[_Job[Any], Any, BaseException | None]
_Queue = queue.SimpleQueue[_Job[Any] | None]


def _deliver(outcomes: list[_Outcome]) -> None:
    for job, value, error in outcomes:
        if job.future.done():
            continue
        if error is None:
            job.future.set_result(value)
        else:
            job.future.set_exception(error)


class Engine:
    """Runs functions on the file from `start` to `close`. `write` and `read` are for one event loop."""

    def __init__(self, path: Path, on_commit: OnCommit, on_foreign: Callable[[], None]) -> None:
        self._path = path
        self._on_commit = on_commit
        self._on_foreign = on_foreign
        self._loop = asyncio.get_running_loop()
        self._wake = threading.Condition()
        self._jobs: deque[_Job[Any]] = deque()
        self._asides: deque[_Job[Any]] = deque()
        self._closing = False
        self._outcomes: deque[_Outcome] = deque()
        self._told = False
        self._reads: _Queue = queue.SimpleQueue()
        self._keeps: _Queue = queue.SimpleQueue()
        self._connections: list[sqlite3.Connection] = []
        self._threads: list[threading.Thread] = []
        self._watcher: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Opens the connections and starts the threads. Raises sqlite3.Error if the file is none of SQLite's."""
        for _ in range(READERS + 2):
            self._connections.append(await asyncio.to_thread(connect, self._path))
        self._writer, keeper, *readers = self._connections
        # Short, because waiting jobs are looked after between two tries.
        self._writer.execute(f"PRAGMA busy_timeout={BUSY_MS}").fetchall()
        self._begin_thread("sqlite-writer", self._write_loop)
        self._begin_thread("sqlite-keeper", self._serve, self._keeps, keeper)
        for connection in readers:
            connection.execute("PRAGMA query_only=1")
            self._begin_thread("sqlite-reader", self._serve, self._reads, connection)
        self._data_version = await self._aside(_data_version)
        self._watcher = asyncio.create_task(self._watch(), name="sqlite-watcher")
        # Asked for when somebody looks, so writing costs nothing more.
        metrics.STORE_WAITING.labels("sqlite").set_function(lambda: len(self._jobs))

    def _begin_thread(self, name: str, run: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=run, args=args, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    async def close(self) -> None:
        """Finishes what was handed in, then closes the file (which empties its write-ahead log).

        Every connection is used by a thread that is joined here, and by nobody else: closing one in use ends the
        process with a segmentation fault.
        """
        if self._watcher is not None:
            self._watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watcher
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._keeps.put(None)
        for _ in range(READERS):
            self._reads.put(None)
        for thread in self._threads:
            await asyncio.to_thread(thread.join)
        for connection in reversed(self._connections):
            await asyncio.to_thread(connection.close)

    async def write(self, run: Write[T], *, deadline_s: float = 5.0) -> T:
        """Runs it in a unit of work and returns its value once that is durable.

        What it raises undoes its writes alone. Raises 503 if its turn did not come before the deadline
        (nothing was written) or if the outcome is unknown, and as `translate` says.
        """
        job: _Job[T] = _Job(run, self._loop.create_future())
        with self._wake:
            if self._closing:
                raise unavailable("The database is closed.")
            self._jobs.append(job)
            self._wake.notify()
        timer = self._loop.call_later(deadline_s, self._expire, job)
        try:
            return await job.future
        except asyncio.CancelledError:
            self._withdraw(job)
            raise
        finally:
            timer.cancel()

    async def read(self, run: Read[T]) -> T:
        """Runs it on a connection that sees every commit so far. It must fetch all it needs: no cursor survives."""
        if self._closing:
            raise unavailable("The database is closed.")
        return await self._ask(self._reads, run)

    async def _ask(self, jobs: _Queue, run: Read[T]) -> T:
        job: _Job[T] = _Job(run, self._loop.create_future())
        jobs.put(job)
        return await job.future

    async def _aside(self, run: Read[T]) -> T:
        """Runs it on the writer's connection, outside any transaction."""
        job: _Job[T] = _Job(run, self._loop.create_future())
        with self._wake:
            self._asides.append(job)
            self._wake.notify()
        return await job.future

    def _withdraw(self, job: _Job[Any]) -> bool:
        with self._wake:
            try:
                self._jobs.remove(job)
            except ValueError:
                return False
            return True

    def _expire(self, job: _Job[Any]) -> None:
        if self._withdraw(job):
            job.future.set_exception(unavailable("The database is busy; nothing was written. Try again."))
        else:
            self._loop.call_later(GRACE_S, self._give_up, job)

    @staticmethod
    def _give_up(job: _Job[Any]) -> None:
        if not job.future.done():
            job.future.set_exception(unavailable("The database does not answer; the outcome is not known."))

    async def _watch(self) -> None:
        """Notices what other connections wrote, and keeps the write-ahead log short."""
        wal = self._path.with_name(self._path.name + "-wal")
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                version = await self._aside(_data_version)
                if version != self._data_version:
                    self._data_version = version
                    self._on_foreign()
                if wal.exists() and wal.stat().st_size > CHECKPOINT_BYTES:
                    # The keeper copies the bulk beside the writer; the writer then only copies what came since,
                    # after which its next transaction starts the log anew.
                    await self._ask(self._keeps, _checkpoint)
                    await self._aside(_checkpoint)
            except (NijaError, sqlite3.Error, OSError) as error:
                log.warning("sqlite_watch_failed", reason=str(error))

    # From here on: the threads.

    def _serve(self, jobs: _Queue, connection: sqlite3.Connection) -> None:
        while (job := jobs.get()) is not None:
            if job.future.cancelled():
                continue
            self._outcomes.append(_run(job, connection))
            if not self._told:
                # The loop is woken once for all that ends before it comes to look: waking it costs more than a short read.
                self._told = True
                self._loop.call_soon_threadsafe(self._deliver_reads)

    def _write_loop(self) -> None:
        while True:
            with self._wake:
                while not (self._jobs or self._asides or self._closing):
                    self._wake.wait()
                asides = list(self._asides)
                self._asides.clear()
                if self._closing and not self._jobs and not asides:
                    return
            if asides:
                outcomes = [_run(job, self._writer) for job in asides]
                self._loop.call_soon_threadsafe(_deliver, outcomes)
            if self._jobs and self._begin():
                with self._wake:
                    group = [self._jobs.popleft() for _ in range(min(GROUP, len(self._jobs)))]
                self._finish(*self._run_group(group))

    def _begin(self) -> bool:
        """Starts the group's transaction. While another process writes, the jobs stay where they can be withdrawn."""
        try:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            self._writer.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
                return False
            with self._wake:
                group = list(self._jobs)
                self._jobs.clear()
            refused: list[_Outcome] = [(job, None, translate(error)) for job in group]
            self._loop.call_soon_threadsafe(_deliver, refused)
            return False
        return True

    def _run_group(self, group: list[_Job[Any]]) -> tuple[list[_Outcome], dict[int, int], bool]:
        connection = self._writer
        outcomes: list[_Outcome] = []
        ends: dict[int, int] = {}
        queued = False
        for job in group:
            unit = Transaction(connection)
            try:
                connection.execute("SAVEPOINT unit")
                value = job.run(unit)
                connection.execute("RELEASE unit")
            except BaseException as error:  # noqa: BLE001 - it goes to whoever awaits the job
                told = translate(error) if isinstance(error, sqlite3.Error) else error
                outcomes.append((job, None, told))
                if not _undo(connection):
                    return [(each, None, told) for each in group], {}, False
            else:
                outcomes.append((job, value, None))
                ends.update(unit.ends)
                queued = queued or unit.queued
        return outcomes, ends, queued

    def _finish(self, outcomes: list[_Outcome], ends: dict[int, int], queued: bool) -> None:
        """Makes the group durable, then tells everybody."""
        try:
            if self._writer.in_transaction:
                self._writer.execute("COMMIT")
        except sqlite3.Error as error:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            told = translate(error)
            outcomes = [(job, None, failure or told) for job, _, failure in outcomes]
            ends, queued = {}, False
        self._loop.call_soon_threadsafe(self._announce, outcomes, ends, queued)

    def _deliver_reads(self) -> None:
        self._told = False  # first: what ends from here on either is seen below or wakes the loop again
        found: list[_Outcome] = []
        while self._outcomes:
            found.append(self._outcomes.popleft())
        _deliver(found)

    def _announce(self, outcomes: list[_Outcome], ends: dict[int, int], queued: bool) -> None:
        if ends or queued:
            self._on_commit(ends, queued)
        _deliver(outcomes)


def _run(job: _Job[Any], connection: sqlite3.Connection) -> _Outcome:
    try:
        return job, job.run(connection), None
    except sqlite3.Error as error:
        return job, None, translate(error)
    except BaseException as error:  # noqa: BLE001 - it goes to whoever awaits the job
        return job, None, error


def _undo(connection: sqlite3.Connection) -> bool:
    """Undoes the current savepoint; False if SQLite gave up the whole transaction (disk full, I/O error)."""
    try:
        if connection.in_transaction:
            connection.execute("ROLLBACK TO unit")
            connection.execute("RELEASE unit")
            return True
    except sqlite3.Error as error:
        log.error("sqlite_undo_failed", reason=str(error))
        connection.execute("ROLLBACK")
    return False


def _data_version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA data_version").fetchone()[0])


def _checkpoint(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
