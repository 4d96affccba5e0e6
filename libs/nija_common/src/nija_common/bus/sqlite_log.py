"""The embedded log: topics, partitions, records and committed offsets as tables of the SQLite file.

Only SQL and what it means; every function runs on a connection that a thread of the engine owns. A partition
of a topic is a *lane*, a small number. A record's primary key is `lane << 40 | offset`, so that a partition
is one stretch of the table and appending needs no second index.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterable, Mapping, Sequence

import orjson

from nija_common.bus.port import Message, Record, TopicPartition
from nija_common.events.topics import Topic
from nija_common.storage.sqlite_engine import Transaction

_TABLES = (
    """CREATE TABLE IF NOT EXISTS log_topics (
        topic TEXT PRIMARY KEY, kind TEXT NOT NULL, partitions INTEGER NOT NULL, policy TEXT NOT NULL) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS log_lanes (
        lane INTEGER PRIMARY KEY, topic TEXT NOT NULL, part INTEGER NOT NULL,
        next_offset INTEGER NOT NULL DEFAULT 0, compacted_to INTEGER NOT NULL DEFAULT 0, UNIQUE (topic, part))""",
    """CREATE TABLE IF NOT EXISTS log_records (
        place INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, key TEXT NOT NULL, headers BLOB NOT NULL,
        value BLOB NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS log_groups (
        name TEXT PRIMARY KEY, generation INTEGER NOT NULL) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS log_subscriptions (
        group_name TEXT NOT NULL, topic TEXT NOT NULL, PRIMARY KEY (group_name, topic)) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS log_offsets (
        group_name TEXT NOT NULL, lane INTEGER NOT NULL, next_offset INTEGER NOT NULL,
        PRIMARY KEY (group_name, lane)) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS log_publishers (
        id TEXT PRIMARY KEY, epoch INTEGER NOT NULL) WITHOUT ROWID""",
)

OFFSET_BITS = 40
Row = tuple[int, int, str, bytes, bytes]
"""offset, at_ms, key, headers, value"""


class UnknownTopic(Exception):
    """A topic, or a partition of it, that `ensure` has not made."""


def place(lane: int, offset: int) -> int:
    """The primary key of a record."""
    return lane << OFFSET_BITS | offset


def create(connection: sqlite3.Connection) -> None:
    """Makes the log's tables where they are missing."""
    for statement in _TABLES:
        connection.execute(statement)


class Lanes:
    """The numbers of partitions, as this process knows them; they never change once made.

    Read and filled from several threads: both maps are replaced, never altered.
    """

    def __init__(self) -> None:
        self._by_place: Mapping[tuple[str, int], int] = {}
        self._by_lane: Mapping[int, TopicPartition] = {}

    def load(self, connection: sqlite3.Connection) -> None:
        rows = connection.execute("SELECT topic, part, lane FROM log_lanes").fetchall()
        self._by_lane = {lane: TopicPartition(topic, part) for topic, part, lane in rows}
        self._by_place = {(topic, part): lane for topic, part, lane in rows}

    def of(self, topic: str, partition: int) -> int:
        """Raises UnknownTopic."""
        try:
            return self._by_place[(topic, partition)]
        except KeyError:
            raise UnknownTopic(f"topic {topic} has no partition {partition} here; run `nija migrate`") from None

    def place(self, lane: int) -> TopicPartition:
        return self._by_lane[lane]

    def partitions(self, topic: str) -> list[int]:
        """The topic's partitions in order; empty if it does not exist."""
        return sorted(part for name, part in self._by_place if name == topic)


Entry = tuple[int, str, bytes, bytes]
"""lane, key, headers, value"""


def entry(lanes: Lanes, topic: str, partition: int, key: str, headers: Mapping[str, str], value: bytes) -> Entry:
    """A record on its way into the log."""
    return lanes.of(topic, partition), key, orjson.dumps(dict(headers)), value


def entry_of(lanes: Lanes, message: Message) -> Entry:
    return entry(lanes, message.topic, message.partition, message.key, message.headers, message.value)


def append(unit: Transaction, entries: Sequence[Entry], now_ms: int) -> None:
    """Appends in the order given, each at the next offset of its lane."""
    counts: dict[int, int] = {}
    for lane, _, _, _ in entries:
        counts[lane] = counts.get(lane, 0) + 1
    nexts: dict[int, int] = {}
    for lane, count in counts.items():
        rows = unit.connection.execute(
            "UPDATE log_lanes SET next_offset = next_offset + ? WHERE lane = ? RETURNING next_offset", (count, lane)
        ).fetchall()
        unit.ends[lane] = rows[0][0]
        nexts[lane] = place(lane, rows[0][0] - count)
    placed = []
    for lane, key, headers, value in entries:
        placed.append((nexts[lane], now_ms, key, headers, value))
        nexts[lane] += 1
    unit.connection.executemany("INSERT INTO log_records VALUES (?, ?, ?, ?, ?)", placed)


def ends(connection: sqlite3.Connection, lanes: Iterable[int]) -> dict[int, int]:
    """Per lane the offset after its last record."""
    found: dict[int, int] = {}
    for lane in lanes:
        rows = connection.execute("SELECT next_offset FROM log_lanes WHERE lane = ?", (lane,)).fetchall()
        found[lane] = rows[0][0]
    return found


def all_ends(connection: sqlite3.Connection) -> dict[int, int]:
    return dict(connection.execute("SELECT lane, next_offset FROM log_lanes").fetchall())


def fetch(
    connection: sqlite3.Connection, wanted: Sequence[tuple[int, int]], limit: int
) -> list[tuple[int, int, list[Row], int]]:
    """For (lane, offset) each: lane, that offset, the records from there on, and the offset to go on from.

    Stops at `limit` records in all. What was compacted or dropped is passed over.
    """
    found: list[tuple[int, int, list[Row], int]] = []
    for lane, start in wanted:
        if limit <= 0:
            break
        end = ends(connection, (lane,))[lane]
        base = place(lane, 0)
        rows: list[Row] = connection.execute(
            "SELECT place - ?, at_ms, key, headers, value FROM log_records WHERE place >= ? AND place < ? "
            "ORDER BY place LIMIT ?",
            (base, base + start, place(lane + 1, 0), limit),
        ).fetchall()
        follows = rows[-1][0] + 1 if rows else start
        if len(rows) < limit:
            follows = max(follows, end)  # not `end` alone: it was read before the rows
        limit -= len(rows)
        found.append((lane, start, rows, follows))
    return found


def first_since(connection: sqlite3.Connection, lane: int, at_ms: int) -> int:
    """The offset of the lane's first record whose time is at or after `at_ms`; its end if there is none."""
    end = ends(connection, (lane,))[lane]
    rows = connection.execute(
        "SELECT place FROM log_records WHERE place >= ? AND place < ? AND at_ms >= ? ORDER BY place LIMIT 1",
        (place(lane, 0), place(lane + 1, 0), at_ms),
    ).fetchall()
    return rows[0][0] - place(lane, 0) if rows else end


def record(where: TopicPartition, row: Row) -> Record:
    offset, at_ms, key, headers, value = row
    return Record(where.topic, where.partition, offset, key, value, orjson.loads(headers), at_ms)


def committed(connection: sqlite3.Connection, group: str, lanes: Iterable[int]) -> dict[int, int]:
    """The group's committed offsets; lanes without one are left out."""
    stored = dict(
        connection.execute("SELECT lane, next_offset FROM log_offsets WHERE group_name = ?", (group,)).fetchall()
    )
    return {lane: stored[lane] for lane in lanes if lane in stored}


def commit(connection: sqlite3.Connection, group: str, generation: int, offsets: Mapping[int, int]) -> bool:
    """Stores offsets for a member of that generation; False, and nothing stored, if there is a newer one."""
    rows = connection.execute("SELECT generation FROM log_groups WHERE name = ?", (group,)).fetchall()
    if not rows or rows[0][0] != generation:
        return False
    connection.executemany(
        "INSERT INTO log_offsets VALUES (?, ?, ?) "
        "ON CONFLICT (group_name, lane) DO UPDATE SET next_offset = excluded.next_offset",
        [(group, lane, offset) for lane, offset in offsets.items()],
    )
    return True


def register(connection: sqlite3.Connection, group: str, topics: Iterable[str]) -> None:
    """From now on nothing of these topics is dropped that the group has not read."""
    connection.execute("INSERT OR IGNORE INTO log_groups VALUES (?, 0)", (group,))
    connection.executemany(
        "INSERT OR IGNORE INTO log_subscriptions VALUES (?, ?)", [(group, topic) for topic in topics]
    )


def next_generation(connection: sqlite3.Connection, group: str, topics: Sequence[str]) -> int:
    """Starts a generation: members of an earlier one can commit nothing more.

    `topics` are all that the group reads now; others are no longer kept for it.
    """
    marks = ", ".join("?" * len(topics))
    connection.execute(
        f"DELETE FROM log_subscriptions WHERE group_name = ? AND topic NOT IN ({marks})", (group, *topics)
    )
    rows = connection.execute(
        "UPDATE log_groups SET generation = generation + 1 WHERE name = ? RETURNING generation", (group,)
    ).fetchall()
    return int(rows[0][0])


def waiting(connection: sqlite3.Connection, service: str, group: str, topic: str) -> int:
    """How many records of a topic that group of the service has not applied."""
    rows = connection.execute(
        "SELECT l.lane, coalesce(p.next_offset, 0) FROM log_lanes l LEFT JOIN sys_progress p "
        "ON p.service = ? AND p.group_name = ? AND p.topic = l.topic AND p.part = l.part WHERE l.topic = ?",
        (service, group, topic),
    ).fetchall()
    count = "SELECT count(*) FROM log_records WHERE place >= ? AND place < ?"
    return sum(
        connection.execute(count, (place(lane, applied), place(lane + 1, 0))).fetchone()[0] for lane, applied in rows
    )


def next_epoch(connection: sqlite3.Connection, publisher_id: str) -> int:
    """Opens a publisher: those of an earlier epoch are fenced."""
    rows = connection.execute(
        "INSERT INTO log_publishers VALUES (?, 1) ON CONFLICT (id) DO UPDATE SET epoch = epoch + 1 RETURNING epoch",
        (publisher_id,),
    ).fetchall()
    return int(rows[0][0])


def epoch(connection: sqlite3.Connection, publisher_id: str) -> int:
    rows = connection.execute("SELECT epoch FROM log_publishers WHERE id = ?", (publisher_id,)).fetchall()
    return int(rows[0][0])


def _policy(topic: Topic) -> str:
    return orjson.dumps(topic.policy, option=orjson.OPT_SORT_KEYS).decode()


def ensure(connection: sqlite3.Connection, topics: Sequence[Topic]) -> None:
    """Makes missing topics with their lanes, and brings policies up to date. The number of partitions stays."""
    for topic in topics:
        connection.execute(
            "INSERT INTO log_topics VALUES (?, ?, ?, ?) "
            "ON CONFLICT (topic) DO UPDATE SET kind = excluded.kind, policy = excluded.policy",
            (topic.name, topic.kind.value, topic.partitions, _policy(topic)),
        )
        rows = connection.execute("SELECT count(*) FROM log_lanes WHERE topic = ?", (topic.name,)).fetchall()
        if rows[0][0] == 0:
            connection.executemany(
                "INSERT INTO log_lanes (topic, part) VALUES (?, ?)",
                [(topic.name, part) for part in range(topic.partitions)],
            )


def differences(connection: sqlite3.Connection, topics: Sequence[Topic]) -> list[str]:
    """In words, how the log differs from these topics."""
    found: list[str] = []
    rows = connection.execute("SELECT topic, partitions, policy FROM log_topics").fetchall()
    stored = {topic: (partitions, policy) for topic, partitions, policy in rows}
    for topic in topics:
        if topic.name not in stored:
            found.append(f"topic {topic.name} is missing")
            continue
        partitions, policy = stored[topic.name]
        if partitions != topic.partitions:
            found.append(f"topic {topic.name} has {partitions} partitions, not {topic.partitions}")
        if policy != _policy(topic):
            found.append(f"topic {topic.name} has the policy {policy}, not {_policy(topic)}")
    return found


class Wakeful:
    """Somebody who waits for records: which of its lanes may have new ones, and the bell that rings then."""

    def __init__(self) -> None:
        self.ready: set[int] = set()
        self.bell = asyncio.Event()


class Tail:
    """Tells waiting readers of this process at once where the log has grown. For the event loop only."""

    def __init__(self) -> None:
        self.ends: dict[int, int] = {}
        self._waiting: dict[int, set[Wakeful]] = {}

    def advance(self, ends: Mapping[int, int]) -> None:
        """These lanes end here now; wakes whoever reads them."""
        for lane, end in ends.items():
            if end <= self.ends.get(lane, -1):
                continue
            self.ends[lane] = end
            for reader in self._waiting.get(lane, ()):
                reader.ready.add(lane)
                reader.bell.set()

    def watch(self, reader: Wakeful, lanes: Iterable[int]) -> None:
        """Every lane counts as ready at first: the reader's position may lie before its end."""
        for lane in lanes:
            self._waiting.setdefault(lane, set()).add(reader)
            reader.ready.add(lane)
        reader.bell.set()

    def leave(self, reader: Wakeful, lanes: Iterable[int]) -> None:
        for lane in lanes:
            self._waiting.get(lane, set()).discard(reader)
            reader.ready.discard(lane)
