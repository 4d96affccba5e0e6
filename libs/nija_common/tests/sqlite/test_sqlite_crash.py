"""The file after a SIGKILL between any two steps of a commit, at random moments, and after a cut of power.

In each case: everything that was answered is there, every commit is there whole or not at all, and work goes on.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import Counter as Tally
from pathlib import Path
from typing import Any

import orjson
import pytest

from nija_common.bus.port import Edge, TopicPartition
from nija_common.bus.sqlite import SqliteBus
from nija_common.events.topics import Topic
from nija_common.storage.port import Commit
from nija_common.storage.sqlite import SqliteDatabase
from nija_common.values.clock import ManualClock

SCRIPT = Path(__file__).with_name("crashing_writer.py")


def run_script(*args: str) -> None:
    subprocess.run([sys.executable, str(SCRIPT), *args], check=True, timeout=100)


async def rows(database: SqliteDatabase, sql: str) -> list[Any]:
    return await database.engine.read(lambda connection: connection.execute(sql).fetchall())


async def check_whole(database: SqliteDatabase, answered: Tally[str]) -> None:
    """Counters, entries, events, seqs and progress tell the same story, and it holds all that was answered."""
    values = dict(
        await rows(database, "SELECT id, json_extract(body, '$.value') FROM crash__counters WHERE id NOT LIKE 'g%'")
    )
    entries: dict[str, list[int]] = {}
    for counter, number in await rows(database, "SELECT f_counter, f_number FROM crash__entries ORDER BY 1, 2"):
        entries.setdefault(counter, []).append(number)
    events: dict[str, list[int]] = {}
    place = TopicPartition("facts", 0)
    bus = SqliteBus(database)
    end = (await bus.ends([place]))[place]
    async with bus.read({place: Edge.BEGINNING}) as reader:
        records = []
        while reader.position(place) < end:
            records += await reader.poll(10_000, 1.0)
    assert [record.offset for record in records] == list(range(end))
    for record in records:
        events.setdefault(record.key or "", []).append(orjson.loads(record.value)["seq"])
    applied = dict(await rows(database, "SELECT key, seq FROM sys_applied"))
    for name, value in values.items():
        assert answered[name] <= value <= answered[name] + 1, (
            "an answered commit is lost, or more than one came after it"
        )
        assert entries.get(name, []) == list(range(1, value + 1))
        assert events.get(name, []) == list(range(1, 2 * value + 1))
        assert applied.get(name, 0) == value
    assert set(answered) <= set(values) and set(entries) | set(events) | set(applied) <= set(values)


def answered_in(folder: Path, n: int) -> Tally[str]:
    lines = (folder / f"{n}.acks").read_text().splitlines()
    return Tally(line.split()[0] for line in lines if " " in line)


def files_in(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.sqlite3"), key=lambda each: int(each.stem))


async def check_all(folder: Path, clock: ManualClock) -> list[int]:
    """Opens every file that was left; the number of answered commits of each."""
    totals = []
    for path in files_in(folder):
        answered = answered_in(folder, int(path.stem))
        async with SqliteDatabase.open(path, clock) as database:
            if await rows(database, "SELECT 1 FROM sqlite_master WHERE name = 'crash__entries'"):
                await check_whole(database, answered)
        totals.append(sum(answered.values()))
    return totals


async def test_a_kill_between_any_two_steps_of_a_commit_leaves_it_whole_or_absent(
    tmp_path: Path, clock: ManualClock
) -> None:
    run_script("steps", str(tmp_path))
    totals = await check_all(tmp_path, clock)
    assert len(totals) > 30, "each statement of a commit is a step"
    assert set(totals) == {0, 1, 2, 3}, "the kills cover every one of the three commits, the last child ends by itself"


async def test_kills_at_random_moments_under_load_lose_nothing_that_was_answered(
    tmp_path: Path, clock: ManualClock
) -> None:
    run_script("moments", str(tmp_path), "6")
    totals = await check_all(tmp_path, clock)
    assert len(totals) == 6 and min(totals) > 0


@pytest.mark.parametrize("garbage", [b"", b"\x00" * 5_000, b"\xa5" * 5_000], ids=["cut", "zeros", "noise"])
async def test_after_a_power_cut_the_file_holds_a_beginning_of_what_was_committed(
    database: SqliteDatabase, path: Path, tmp_path: Path, clock: ManualClock, note: Any, facts: Topic, garbage: bytes
) -> None:
    """The tail of the write-ahead log did not reach the disk, or is noise: what is left is a prefix, whole commits."""
    storage = database.storage("notes")
    sizes = [wal_size(path)]
    for number in range(8):
        pair = [note(id=f"{half}{number}", title=f"{half}{number}", number=number) for half in ("a", "b")]
        await storage.commit(Commit(f"c{number}", saves=pair))
        sizes.append(wal_size(path))
    for n, cut in enumerate(range(sizes[0], sizes[-1] + 1, 1_777)):
        copy = cut_copy(path, tmp_path / f"copy{n}", cut, garbage)
        async with SqliteDatabase.open(copy, clock) as left:
            ids = [f"{half}{number}" for number in range(8) for half in ("a", "b")]
            found = await left.storage("notes").get_many(note, ids)
        whole = sum(1 for size in sizes[1:] if size <= cut)
        assert sorted(found) == sorted(f"{half}{number}" for number in range(whole) for half in ("a", "b"))


def wal_size(path: Path) -> int:
    return path.with_name(path.name + "-wal").stat().st_size


def cut_copy(path: Path, folder: Path, size: int, garbage: bytes) -> Path:
    folder.mkdir()
    copy = folder / path.name
    shutil.copy(path, copy)
    kept = path.with_name(path.name + "-wal").read_bytes()[:size]
    copy.with_name(copy.name + "-wal").write_bytes(kept + garbage)
    return copy
