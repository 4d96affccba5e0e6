"""How a commit is written to the SQLite file: documents, progress, events and raw records, inside one savepoint.

Either all of it stays or `Conflict` undoes all of it; the commit's id makes a repetition harmless.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

import orjson
from pydantic import ValidationError

from nija_common.bus import sqlite_log
from nija_common.bus.port import Message
from nija_common.bus.sqlite_log import Lanes, UnknownTopic
from nija_common.errors import Conflict, ErrorCode, NijaError
from nija_common.events.base import Emission
from nija_common.events.codec import encode
from nija_common.events.topics import Kind
from nija_common.storage.port import Commit, Progress
from nija_common.storage.sqlite_engine import Transaction
from nija_common.storage.sqlite_schema import table_of
from nija_common.values.document import Document

Row = tuple[str, str, int, str]
"""table, id, the version it was read with, the new body (empty unless it is saved)"""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A commit with its documents as text: made on the event loop, so that the writer's thread has little to do."""

    service: str
    commit: Commit
    saves: Sequence[Row]
    deletes: Sequence[Row]
    guards: Sequence[Row]


def prepared(commit: Commit, service: str) -> Prepared:
    """A guard or delete of version 0 means that there must still be no such document.

    Raises ValueError for a document that could not be read back.
    """

    def row(document: Document, body: str = "") -> Row:
        return table_of(service, document.collection), document.id, document.version, body

    return Prepared(
        service=service,
        commit=commit,
        saves=[row(document, _body(document)) for document in commit.saves],
        deletes=[row(document) for document in commit.deletes],
        guards=[row(document) for document in commit.guards],
    )


def _body(document: Document) -> str:
    body = document.model_copy(update={"version": document.version + 1}).model_dump_json(warnings=False)
    try:
        # `model_copy` validates nothing, and NaN becomes null: told here, not by whoever reads the document next.
        type(document).model_validate_json(body)
    except ValidationError as error:
        name = f"{document.collection.name}/{document.id}"
        raise ValueError(f"{name} could not be read back: {', '.join(fields_of(error))}") from None
    return body


def fields_of(error: ValidationError) -> list[str]:
    """The fields that do not fit, without their values."""
    return sorted({".".join(map(str, each["loc"])) for each in error.errors(include_input=False)})


def apply(unit: Transaction, ready: Prepared, *, lanes: Lanes | None, incarnation: int, now_ms: int) -> None:
    """Writes it. `lanes` None: events go to the outbox. Raises Conflict; a commit whose id is known is done already."""
    connection = unit.connection
    known = connection.execute(
        "INSERT OR IGNORE INTO sys_commits VALUES (?, ?, ?)", (ready.service, ready.commit.id, now_ms)
    )
    if known.rowcount == 0:
        return
    for row in ready.guards:
        _guard(connection, row)
    for row in ready.deletes:
        _delete(connection, row)
    for (table, new), rows in groupby(ready.saves, key=_statement):
        _save(connection, table, new, list(rows))
    for progress in ready.commit.progress:
        _advance(connection, ready.service, progress)
    _send(unit, ready, lanes, incarnation, now_ms)


def _guard(connection: sqlite3.Connection, row: Row) -> None:
    table, document_id, version, _ = row
    rows = connection.execute(f"SELECT version FROM {table} WHERE id = ?", (document_id,)).fetchall()
    if (rows[0][0] if rows else 0) != version:
        raise Conflict(f"{table} {document_id} has changed")


def _delete(connection: sqlite3.Connection, row: Row) -> None:
    _guard(connection, row)
    table, document_id, _, _ = row
    connection.execute(f"DELETE FROM {table} WHERE id = ?", (document_id,))


def _statement(row: Row) -> tuple[str, bool]:
    """What rows that follow each other are written by together: their table, and whether they are new."""
    return row[0], row[2] == 0


def _save(connection: sqlite3.Connection, table: str, new: bool, rows: Sequence[Row]) -> None:
    """Writes rows of one table, in their order: a unique value may pass from one to the next."""
    if new:
        sql = f"INSERT INTO {table} (id, version, body) VALUES (?, 1, ?)"
        values: list[tuple[str | int, ...]] = [(document_id, body) for _, document_id, _, body in rows]
    else:
        sql = f"UPDATE {table} SET version = version + 1, body = ? WHERE id = ? AND version = ?"
        values = [(body, document_id, version) for _, document_id, version, body in rows]
    try:
        done = connection.executemany(sql, values)
    except sqlite3.IntegrityError as error:
        raise Conflict(f"{table}: a unique value, or the id of a new document, is taken") from error
    if done.rowcount != len(values):
        raise Conflict(f"{_changed(connection, table, rows)} has changed")


def _changed(connection: sqlite3.Connection, table: str, rows: Sequence[Row]) -> str:
    """The first of these that was not written."""
    for _, document_id, version, _ in rows:
        stored = connection.execute(f"SELECT version FROM {table} WHERE id = ?", (document_id,)).fetchone()
        if stored is None or stored[0] != version + 1:
            return f"{table} {document_id}"
    return table


def _advance(connection: sqlite3.Connection, service: str, progress: Progress) -> None:
    where = (service, progress.group, progress.topic)
    connection.execute(
        "INSERT INTO sys_progress VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE "
        "SET next_offset = max(next_offset, excluded.next_offset)",
        (*where, progress.partition, progress.next_offset),
    )
    found = progress.seqs_found
    if found is None:
        connection.executemany(
            "INSERT INTO sys_applied VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET seq = max(seq, excluded.seq)",
            [(*where, *name, seq) for name, seq in progress.seqs.items()],
        )
        return
    _apply_all(
        connection,
        "INSERT OR IGNORE INTO sys_applied VALUES (?, ?, ?, ?, ?, ?)",
        [(*where, *name, seq) for name, seq in progress.seqs.items() if name not in found],
    )
    _apply_all(
        connection,
        "UPDATE sys_applied SET seq = ? "
        "WHERE service = ? AND group_name = ? AND topic = ? AND source = ? AND key = ? AND seq = ?",
        [(seq, *where, *name, found[name]) for name, seq in progress.seqs.items() if name in found],
    )


def _apply_all(connection: sqlite3.Connection, sql: str, rows: Sequence[tuple[str | int, ...]]) -> None:
    """The last `seq` of each (source, key), from what the handlers went by."""
    if rows and connection.executemany(sql, rows).rowcount != len(rows):
        raise Conflict("another member has applied these events")


def _draw_seqs(connection: sqlite3.Connection, service: str, emissions: Sequence[Emission]) -> list[int]:
    """The next `seq` of each, gapless per topic and key."""
    counts: dict[tuple[str, str], int] = {}
    for emission in emissions:
        place = (emission.topic.name, emission.key)
        counts[place] = counts.get(place, 0) + 1
    nexts: dict[tuple[str, str], int] = {}
    for (topic, key), count in counts.items():
        rows = connection.execute(
            "INSERT INTO sys_seqs VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET seq = seq + excluded.seq RETURNING seq",
            (service, topic, key, count),
        ).fetchall()
        nexts[(topic, key)] = rows[0][0] - count
    seqs: list[int] = []
    for emission in emissions:
        place = (emission.topic.name, emission.key)
        nexts[place] += 1
        seqs.append(nexts[place])
    return seqs


def _send(unit: Transaction, ready: Prepared, lanes: Lanes | None, incarnation: int, now_ms: int) -> None:
    emissions, raw = ready.commit.emissions, ready.commit.raw
    if not emissions and not raw:
        return
    seqs = _draw_seqs(unit.connection, ready.service, emissions)
    put = _queue(unit, ready, now_ms) if lanes is None else _log(unit, lanes, now_ms)
    put(
        [
            (emission, *encode(emission, seq=seq, incarnation=incarnation), seq)
            for emission, seq in zip(emissions, seqs, strict=True)
        ],
        raw,
    )


Encoded = tuple[Emission, bytes, dict[str, str], int]
Put = Callable[[Sequence[Encoded], Sequence[Message]], None]


def _log(unit: Transaction, lanes: Lanes, now_ms: int) -> Put:
    def put(events: Sequence[Encoded], raw: Sequence[Message]) -> None:
        try:
            entries = [
                sqlite_log.entry(lanes, e.topic.name, e.partition, e.key, headers, value)
                for e, value, headers, _ in events
            ]
            entries += [sqlite_log.entry_of(lanes, message) for message in raw]
        except UnknownTopic as error:
            raise NijaError(ErrorCode.DATABASE_ERROR, str(error)) from error
        sqlite_log.append(unit, entries, now_ms)

    return put


def _queue(unit: Transaction, ready: Prepared, now_ms: int) -> Put:
    def put(events: Sequence[Encoded], raw: Sequence[Message]) -> None:
        commit_id = ready.commit.id
        rows = [
            (
                ready.service,
                e.id,
                commit_id,
                e.topic.name,
                e.partition,
                e.key,
                value,
                orjson.dumps(headers),
                e.topic.kind is Kind.STATE,
                seq,
                now_ms,
            )
            for e, value, headers, seq in events
        ]
        rows += [
            (
                ready.service,
                f"{commit_id}-{i}",
                commit_id,
                m.topic,
                m.partition,
                m.key,
                m.value,
                orjson.dumps(dict(m.headers)),
                False,
                0,
                now_ms,
            )
            for i, m in enumerate(raw)
        ]
        unit.connection.executemany(
            "INSERT INTO sys_outbox (service, id, commit_id, topic, part, key, value, headers, state, seq, created_ms) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            rows,
        )
        unit.queued = True

    return put
