"""The file and its threads: shared fsyncs that fail alone, deadlines, a full disk, a second process, the lock."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from nija_common.bus.port import BusUnavailable, Edge, Listener, Message, TopicPartition
from nija_common.bus.sqlite import SqliteBus
from nija_common.errors import Conflict, ErrorCode, NijaError, SettingsError
from nija_common.events.topics import Topic
from nija_common.storage.port import Commit
from nija_common.storage.sqlite import SqliteDatabase
from nija_common.storage.sqlite_engine import CHECKPOINT_BYTES, Transaction
from nija_common.values.clock import ManualClock, SystemClock


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def size_of(path: Path) -> int:
    return path.stat().st_size


def spoil(path: Path) -> None:
    path.write_bytes(b"this is no database" * 100)


class Anybody(Listener):
    async def assigned(self, places: frozenset[TopicPartition]) -> Mapping[TopicPartition, int]:
        return {}

    async def revoked(self, places: frozenset[TopicPartition]) -> None:
        """Holds nothing."""


def commit_of(note: Any, number: int, title: str | None = None) -> Commit:
    return Commit(f"c{number}", saves=[note(id=f"note_{number:02}", title=title or f"t{number}", number=number)])


async def test_commits_that_wait_together_share_one_transaction_and_fail_alone(
    database: SqliteDatabase, note: Any
) -> None:
    storage = database.storage("notes")
    statements: list[str] = []
    go_on = threading.Event()

    def hold(unit: Transaction) -> None:
        unit.connection.set_trace_callback(statements.append)
        go_on.wait(10)

    holding = asyncio.create_task(database.engine.write(hold))
    commits = [commit_of(note, n, title="same" if n % 5 == 4 else None) for n in range(20)]
    waiting = [asyncio.create_task(storage.commit(commit)) for commit in commits]
    await asyncio.sleep(0)
    go_on.set()
    await holding
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [n for n, outcome in enumerate(outcomes) if isinstance(outcome, Conflict)] == [9, 14, 19]
    assert all(outcome is None for n, outcome in enumerate(outcomes) if n not in (9, 14, 19))
    assert statements.count("COMMIT") <= 3
    found = await storage.get_many(note, [f"note_{n:02}" for n in range(20)])
    assert len(found) == 17


async def test_a_read_that_takes_long_holds_up_neither_other_reads_nor_commits(
    database: SqliteDatabase, note: Any
) -> None:
    storage = database.storage("notes")
    done = threading.Event()
    long = asyncio.create_task(database.engine.read(lambda _: done.wait(20)))
    async with asyncio.timeout(10):
        await storage.commit(commit_of(note, 1))
        assert await storage.get(note, "note_01") is not None
    assert not long.done()
    done.set()
    assert await long


async def test_a_commit_whose_turn_does_not_come_is_refused_and_never_written(
    database: SqliteDatabase, path: Path, note: Any
) -> None:
    storage = database.storage("notes")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(NijaError) as caught:
        await storage.commit(commit_of(note, 1), deadline_s=0.2)
    assert caught.value.code is ErrorCode.SERVICE_UNAVAILABLE
    other.execute("ROLLBACK")
    other.close()
    await storage.commit(commit_of(note, 2))
    assert set(await storage.get_many(note, ["note_01", "note_02"])) == {"note_02"}


async def test_a_write_that_has_begun_is_waited_for_beyond_its_deadline(database: SqliteDatabase) -> None:
    go_on = threading.Event()
    loop = asyncio.get_running_loop()
    loop.call_later(0.2, go_on.set)
    assert await database.engine.write(lambda _: go_on.wait(10), deadline_s=0.05)


async def test_a_commit_whose_caller_gave_up_while_it_waited_is_never_written(
    database: SqliteDatabase, note: Any
) -> None:
    storage = database.storage("notes")
    begun, go_on = threading.Event(), threading.Event()

    def hold(_: Transaction) -> bool:
        begun.set()
        return go_on.wait(10)

    holding = asyncio.create_task(database.engine.write(hold))
    assert await asyncio.to_thread(begun.wait, 10)
    waiting = asyncio.create_task(storage.commit(commit_of(note, 1)))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    go_on.set()
    await holding
    await storage.commit(commit_of(note, 2))
    assert await storage.get(note, "note_01") is None


async def test_a_full_disk_is_told_as_unavailable_and_the_store_goes_on_once_there_is_room(
    database: SqliteDatabase, note: Any
) -> None:
    storage = database.storage("notes")

    def limit(pages: str) -> Any:
        return lambda unit: unit.connection.execute(f"PRAGMA max_page_count={pages}").fetchall()

    pages = await database.engine.read(lambda connection: connection.execute("PRAGMA page_count").fetchone()[0])
    await database.engine.write(limit(str(pages)))
    big = Commit("big", saves=[note(id="big", title="x" * 100_000)])
    with pytest.raises(NijaError) as caught:
        await storage.commit(big)
    assert caught.value.code is ErrorCode.SERVICE_UNAVAILABLE
    assert await storage.get(note, "big") is None
    await database.engine.write(limit("1000000"))
    await storage.commit(big)
    assert await storage.get(note, "big") is not None


async def test_a_missing_table_is_a_database_error_that_names_no_values(database: SqliteDatabase, note: Any) -> None:
    storage = database.storage("never-migrated")
    for call in (storage.get(note, "secret-id"), storage.commit(Commit("c", saves=[note(id="secret-id", title="t")]))):
        with pytest.raises(NijaError) as caught:
            await call
        assert caught.value.code is ErrorCode.DATABASE_ERROR
        assert "secret" not in str(caught.value)


async def test_an_event_for_a_topic_that_nobody_made_is_refused(database: SqliteDatabase, facts: Topic) -> None:
    with pytest.raises(NijaError, match="has no partition"):
        await database.storage("notes").commit(Commit("c", raw=[Message(facts.name, 0, "k", b"")]))
    with pytest.raises(BusUnavailable):
        await SqliteBus(database).send([Message(facts.name, 0, "k", b"")])


async def test_what_was_handed_in_before_the_close_is_written(path: Path, clock: ManualClock, note: Any) -> None:
    async with SqliteDatabase.open(path, clock) as database:
        storage = database.storage("notes")
        await storage.migrate([note])
        tasks = [asyncio.create_task(storage.commit(commit_of(note, n))) for n in range(5)]
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    with pytest.raises(NijaError):
        await storage.get(note, "note_01")
    async with SqliteDatabase.open(path, clock) as again:
        assert len(await again.storage("notes").get_many(note, [f"note_{n:02}" for n in range(5)])) == 5


@pytest.mark.parametrize("wrong", [float("nan"), "three"])
async def test_a_document_that_could_not_be_read_back_is_never_written(
    database: SqliteDatabase, note: Any, wrong: object
) -> None:
    storage = database.storage("notes")
    spoilt = note(id="n", title="secret").model_copy(update={"number": wrong})
    with pytest.raises(ValueError, match="notes/n could not be read back: number") as caught:
        await storage.commit(Commit("c", saves=[spoilt]))
    assert "secret" not in str(caught.value)
    assert await storage.get(note, "n") is None


@pytest.mark.slow
async def test_the_write_ahead_log_is_emptied_into_the_file_and_used_again(
    database: SqliteDatabase, path: Path, note: Any
) -> None:
    storage = database.storage("notes")
    wal = path.with_name(path.name + "-wal")
    n = 0
    async with asyncio.timeout(60):
        # The file itself grows by what is copied into it: here at least two full rounds.
        while size_of(path) < 2 * CHECKPOINT_BYTES:
            await storage.commit(Commit(f"c{n}", saves=[note(id=f"n{n}", title=f"{n}" + "x" * 500_000)]))
            assert size_of(wal) < 4 * CHECKPOINT_BYTES
            n += 1


@pytest.mark.parametrize("thread", ["reader", "keeper"])
async def test_the_close_waits_for_a_thread_whose_caller_is_gone(path: Path, clock: ManualClock, thread: str) -> None:
    """Closing a connection under a thread that uses it ends the process with a segmentation fault."""
    begun, go_on = threading.Event(), threading.Event()
    found: list[Any] = []

    def slow(connection: sqlite3.Connection) -> None:
        begun.set()
        go_on.wait(10)
        found.extend(connection.execute("SELECT count(*) FROM sys_meta").fetchall())

    async with SqliteDatabase.open(path, clock) as database:
        engine = database.engine
        asking = asyncio.create_task(engine.read(slow) if thread == "reader" else engine._ask(engine._keeps, slow))
        assert await asyncio.to_thread(begun.wait, 10)
        asking.cancel()
        asyncio.get_running_loop().call_later(0.05, go_on.set)
    assert found == [(2,)]


# One platform a file, and those who write beside it.


async def test_a_second_platform_is_kept_out_with_folder_and_pid(
    database: SqliteDatabase, path: Path, clock: ManualClock
) -> None:
    with pytest.raises(SettingsError) as caught:
        async with SqliteDatabase.open(path, clock):
            pass
    assert str(path.parent) in str(caught.value) and str(os.getpid()) in str(caught.value)
    assert database.incarnation == 1


async def test_the_folder_is_free_again_after_the_close(path: Path, clock: ManualClock) -> None:
    for _ in range(2):
        async with SqliteDatabase.open(path, clock):
            pass
    assert mode_of(path) == 0o600


async def test_a_file_that_is_no_database_or_of_a_newer_version_is_told(path: Path, clock: ManualClock) -> None:
    async with SqliteDatabase.open(path, clock) as database:
        await database.engine.write(
            lambda unit: unit.connection.execute("UPDATE sys_meta SET value = 99 WHERE name = 'schema'") and None
        )
    with pytest.raises(SettingsError, match="format 99"):
        async with SqliteDatabase.open(path, clock):
            pass
    spoil(path)
    with pytest.raises(SettingsError, match="cannot be opened"):
        async with SqliteDatabase.open(path, clock):
            pass


async def test_writers_of_a_second_connection_are_seen(
    database: SqliteDatabase, path: Path, note: Any, facts: Topic
) -> None:
    place = TopicPartition(facts.name, 0)
    bus = SqliteBus(database)
    await bus.ensure([facts])
    async with (
        SqliteDatabase.open(path, SystemClock(), second=True) as second,
        bus.read({place: Edge.BEGINNING}) as reader,
        asyncio.timeout(20),
    ):
        polling = asyncio.create_task(reader.poll(10, 60.0))
        await asyncio.sleep(0)
        theirs = commit_of(note, 1)
        theirs.raw.append(Message(facts.name, 0, "k", b"from another process"))
        await second.storage("notes").commit(theirs)
        assert [record.value for record in await polling] == [b"from another process"]
        assert await database.storage("notes").get(note, "note_01") is not None
        with pytest.raises(BusUnavailable):
            async with SqliteBus(second).join("g", [facts.name], Anybody()):
                pass


async def test_two_connections_lose_no_increment_of_one_document(
    database: SqliteDatabase, path: Path, clock: ManualClock, note: Any
) -> None:
    await database.storage("notes").commit(commit_of(note, 0))

    async def increment(storage: Any, who: str) -> None:
        for n in range(25):
            while True:
                read = await storage.get(note, "note_00")
                more = read.model_copy(update={"number": read.number + 1})
                try:
                    await storage.commit(Commit(f"{who}{n}", saves=[more]))
                except Conflict:
                    continue
                break

    async with SqliteDatabase.open(path, clock, second=True) as second, asyncio.timeout(30):
        await asyncio.gather(increment(database.storage("notes"), "a"), increment(second.storage("notes"), "b"))
    read = await database.storage("notes").get(note, "note_00")
    assert read is not None and read.number == 50


# What goes in time.


async def test_prune_drops_documents_past_their_time_and_no_others(
    database: SqliteDatabase, clock: ManualClock, note: Any
) -> None:
    storage = database.storage("notes")
    soon = clock.now_ms() + 1_000
    notes = [note(id=f"n{n}", title=f"t{n}", gone_at=soon if n % 2 else None) for n in range(1_200)]
    await storage.commit(Commit("c", saves=notes))
    assert await database.prune() == 0
    clock.advance(1)
    assert await database.prune() == 600
    assert set(await storage.get_many(note, ["n0", "n1", "n1198", "n1199"])) == {"n0", "n1198"}


async def test_a_commit_id_is_known_for_an_hour(database: SqliteDatabase, clock: ManualClock, note: Any) -> None:
    storage = database.storage("notes")
    once = commit_of(note, 1)
    await storage.commit(once)
    clock.advance(3_599)
    await database.prune()
    await storage.commit(once)
    clock.advance(2)
    await database.prune()
    with pytest.raises(Conflict):
        await storage.commit(once)
