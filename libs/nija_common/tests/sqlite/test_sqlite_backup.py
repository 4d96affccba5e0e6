"""The backup file: consistent while writers run, and whatever is not such a file, or not whole, is refused."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from nija_common.bus.port import Edge, TopicPartition
from nija_common.bus.sqlite import SqliteBus
from nija_common.events.base import Emission
from nija_common.events.topics import Topic
from nija_common.storage.port import Commit
from nija_common.storage.sqlite import SqliteDatabase
from nija_common.storage.sqlite_backup import OFFSETS_AHEAD, BackupInfo, NotABackup, inspect, renew, take
from nija_common.values.clock import ManualClock

INFO = BackupInfo(taken_at_ms=1, version="1", key_ids=("abc",))
WRITERS = 8


@contextmanager
def second_connection(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as connection:
        yield connection


def emission(topic: Topic, key: str, number: int) -> Emission:
    return Emission(
        id=f"evt_{key}_{number}",
        topic=topic,
        key=key,
        partition=0,
        type="counted",
        version=1,
        source="notes",
        time_ms=0,
        correlation_id="c",
        causation_id=None,
        traceparent=None,
        data={"number": number},
    )


async def count_on(database: SqliteDatabase, note: type[Any], topic: Topic, key: str, over: asyncio.Event) -> None:
    """Each commit raises a document's number and says so on the log."""
    storage, current = database.storage("notes"), note(id=key, title=key)
    while not over.is_set():
        number = current.number + 1
        raised = current.model_copy(update={"number": number})
        await storage.commit(Commit(f"cmt_{key}_{number}", saves=[raised], emissions=[emission(topic, key, number)]))
        current = raised.model_copy(update={"version": current.version + 1})


@pytest.fixture
async def backup(database: SqliteDatabase, note: type[Any], facts: Topic, tmp_path: Path) -> Path:
    """Taken through a second connection while many writers are at work."""
    await SqliteBus(database).ensure([facts])
    over, file = asyncio.Event(), tmp_path / "backup"
    writers = [asyncio.create_task(count_on(database, note, facts, f"n{i}", over)) for i in range(WRITERS)]
    while len(await database.engine.read(lambda c: c.execute("SELECT 1 FROM log_records LIMIT 400").fetchall())) < 400:
        await asyncio.sleep(0.005)
    with second_connection(database.path) as source:
        info = await asyncio.to_thread(take, source, file, INFO)
    over.set()
    await asyncio.gather(*writers)
    assert (info.schema, info.incarnation, info.key_ids) == (1, 1, ("abc",))
    assert info.records >= 400
    return file


async def numbers(database: SqliteDatabase, note: type[Any], topic: Topic) -> tuple[dict[str, int], dict[str, int]]:
    """What the documents say, and how many records of each the log has."""
    found = await database.storage("notes").get_many(note, [f"n{i}" for i in range(WRITERS)])
    place, seen = TopicPartition(topic.name, 0), dict[str, int]()
    bus = SqliteBus(database)
    end = (await bus.ends([place]))[place]
    async with bus.read({place: Edge.BEGINNING}) as reader:
        while reader.position(place) < end:
            for record in await reader.poll(10_000, 0.05):
                seen[record.key or ""] = seen.get(record.key or "", 0) + 1
    return {key: document.number for key, document in found.items()}, seen


async def test_a_backup_under_load_is_one_moment_of_documents_and_log(
    backup: Path, clock: ManualClock, note: type[Any], facts: Topic
) -> None:
    info = inspect(backup)
    renew(backup, 217_000_000)
    async with SqliteDatabase.open(backup, clock) as restored:
        documents, records = await numbers(restored, note, facts)
        assert documents == records
        assert sum(records.values()) == info.records
        assert restored.incarnation == 217_000_000
        # No offset is given a second time, and what comes next is read on from where it was.
        storage, bus = restored.storage("notes"), SqliteBus(restored)
        await storage.commit(Commit("cmt_new", emissions=[emission(facts, "n0", documents["n0"] + 1)]))
        place = TopicPartition(facts.name, 0)
        async with bus.read({place: info.records}) as reader:
            (record,) = await reader.poll(10, 1.0)
        assert record.offset == info.records + OFFSETS_AHEAD
        assert f'"revision":[217000000,{documents["n0"] + 1}]'.encode() in record.value


def test_what_is_no_backup_or_not_whole_is_refused(backup: Path, tmp_path: Path) -> None:
    whole = backup.read_bytes()
    assert inspect(backup).records > 0

    def refused(content: bytes) -> str:
        file = tmp_path / "other"
        file.write_bytes(content)
        with pytest.raises(NotABackup) as caught:
            inspect(file)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "no backup of a nija platform" in refused(b"")
    assert "no backup of a nija platform" in refused(b"PK\x03\x04 something else")
    for part in (100, len(whole) // 3, len(whole) // 2, len(whole) - 1):
        assert "damaged" in refused(whole[:part])
    # A value changed behind SQLite's back: its own check sees nothing.
    changed = whole.replace(b'"status":"plain"', b'"status":"plaim"', 1)
    assert changed != whole
    assert "not what was backed up" in refused(changed)
    with closing(sqlite3.connect(tmp_path / "foreign")) as connection:
        connection.execute("CREATE TABLE t (a)")
        connection.commit()
    assert "not made by `nija backup`" in refused((tmp_path / "foreign").read_bytes())
    with closing(sqlite3.connect(backup)) as connection:
        connection.execute("UPDATE sys_backup SET value = '99' WHERE name = 'format'")
        connection.commit()
    assert "a newer version" in refused(backup.read_bytes())


async def test_the_database_itself_is_no_backup(database: SqliteDatabase, tmp_path: Path) -> None:
    with closing(sqlite3.connect(database.path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with pytest.raises(NotABackup, match="not made by"):
        inspect(database.path)
    with second_connection(tmp_path / "empty") as source, pytest.raises(NotABackup, match="no database of a nija"):
        take(source, tmp_path / "copy", INFO)


async def test_copying_can_be_broken_off(database: SqliteDatabase, tmp_path: Path) -> None:
    with second_connection(database.path) as source:
        source.set_progress_handler(lambda: 1, 50)
        with pytest.raises(sqlite3.OperationalError):
            take(source, tmp_path / "copy", INFO)
        source.set_progress_handler(None, 0)
        assert take(source, tmp_path / "again", INFO).schema == 1
