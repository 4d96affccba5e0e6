"""The backup file of the embedded platform: one consistent SQLite file, with a table that says what it is.

`take` copies a file that may be in use, in one read transaction; `inspect` says whether a file is such a copy and whole;
`renew` turns a copy into a database that starts a life of its own. What is digested are rows, not bytes: SQLite's own
check finds a broken page, the digest a changed value.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import orjson

from nija_common.storage.sqlite_schema import SCHEMA_VERSION

FORMAT = 1
TABLE = "sys_backup"
OFFSETS_AHEAD = 1 << 32
"""How far `renew` moves the end of each partition: no offset that was given out after the backup is given again."""

_MAGIC = b"SQLite format 3\x00"
_ROWS = 1000


class NotABackup(Exception):
    """The file is none of ours, or not whole; the text says which."""


@dataclass(frozen=True, slots=True)
class BackupInfo:
    """What a backup says of itself.

    `incarnation` is the first part of every revision in it, `records` how many events its log holds, `taken_at_ms` UTC.
    `key_ids` names the key-encryption keys that were known, the one that sealed first; `keys` are they themselves
    (base64), where they were asked for.
    """

    taken_at_ms: int
    version: str
    key_ids: tuple[str, ...]
    keys: tuple[str, ...] = field(default=(), repr=False)
    schema: int = 0
    incarnation: int = 0
    records: int = 0


def take(source: sqlite3.Connection, target: Path, info: BackupInfo) -> BackupInfo:
    """Copies the database into the empty file `target`, checks the copy, and makes it durable; what is in it.

    `info` gives what the database does not know of itself; its other fields are filled in. Raises NotABackup where the
    source is no database of ours or broken, sqlite3.Error (interrupted, disk full).
    """
    source.execute("VACUUM INTO ?", (str(target),))
    with closing(sqlite3.connect(target, isolation_level=None)) as copy:
        copy.execute("PRAGMA journal_mode=DELETE").fetchall()
        copy.execute("PRAGMA synchronous=FULL").fetchall()
        schema, incarnation = _meta(copy)
        records = int(copy.execute("SELECT count(*) FROM log_records").fetchone()[0])
        found = replace(info, schema=schema, incarnation=incarnation, records=records)
        _check_pages(copy)
        values = _as_values(found)
        written = {**values, "digest": _digest(copy, values)}
        copy.execute("BEGIN")
        copy.execute(f"CREATE TABLE {TABLE} (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID")
        copy.executemany(f"INSERT INTO {TABLE} VALUES (?, ?)", list(written.items()))
        copy.execute("COMMIT")
    with target.open("rb") as file:
        os.fsync(file.fileno())
    return found


def inspect(path: Path) -> BackupInfo:
    """What a backup file is, once all of it has been read and found whole. Changes nothing. Raises NotABackup, OSError."""
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise NotABackup("it is no backup of a nija platform")
    with _reading(path) as connection:
        values = _values(connection)
        if int(values["format"]) > FORMAT or int(values["schema"]) > SCHEMA_VERSION:
            raise NotABackup("a newer version of nija made it; install that version, or a later one")
        _check_pages(connection)
        digest = values.pop("digest")
        if _digest(connection, values) != digest:
            raise NotABackup("its contents are not what was backed up")
        return BackupInfo(
            schema=int(values["schema"]),
            incarnation=int(values["incarnation"]),
            records=int(values["records"]),
            taken_at_ms=int(values["taken_at_ms"]),
            version=values["version"],
            key_ids=tuple(orjson.loads(values["key_ids"])),
            keys=tuple(orjson.loads(values["keys"])),
        )


def renew(path: Path, incarnation: int) -> None:
    """Makes a copied backup ready to be opened: a new incarnation, offsets that were never given out, no more a backup."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        connection.execute(f"DROP TABLE {TABLE}")
        connection.execute("UPDATE sys_meta SET value = ? WHERE name = 'incarnation'", (incarnation,))
        connection.execute("UPDATE log_lanes SET next_offset = next_offset + ?", (OFFSETS_AHEAD,))
        connection.execute("COMMIT")


def incarnation_of(path: Path) -> int | None:
    """The incarnation of a database file, running or not; None where it cannot be read."""
    try:
        with _reading(path, immutable=False) as connection:
            return _meta(connection)[1]
    except (NotABackup, OSError):
        return None


@contextmanager
def _reading(path: Path, *, immutable: bool = True) -> Iterator[sqlite3.Connection]:
    """Errors of SQLite come out as NotABackup: of a file that is only read they mean that it is broken."""
    uri = f"{path.absolute().as_uri()}?mode=ro" + ("&immutable=1" if immutable else "")
    try:
        with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as connection:
            yield connection
    except (sqlite3.Error, KeyError, ValueError) as error:
        raise NotABackup(f"it is damaged ({error})") from None


def _meta(connection: sqlite3.Connection) -> tuple[int, int]:
    """Schema version and incarnation."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'sys_meta'").fetchall():
        raise NotABackup("it is no database of a nija platform")
    meta: dict[str, int] = dict(connection.execute("SELECT name, value FROM sys_meta").fetchall())
    return meta["schema"], meta["incarnation"]


def _values(connection: sqlite3.Connection) -> dict[str, str]:
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (TABLE,)).fetchall():
        raise NotABackup("it was not made by `nija backup`")
    return dict(connection.execute(f"SELECT name, value FROM {TABLE}").fetchall())


def _as_values(info: BackupInfo) -> dict[str, str]:
    return {
        "format": str(FORMAT),
        "schema": str(info.schema),
        "incarnation": str(info.incarnation),
        "records": str(info.records),
        "taken_at_ms": str(info.taken_at_ms),
        "version": info.version,
        "key_ids": orjson.dumps(info.key_ids).decode(),
        "keys": orjson.dumps(info.keys).decode(),
    }


def _check_pages(connection: sqlite3.Connection) -> None:
    """SQLite's own check: every page, and every index against its table."""
    problems = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(1)").fetchall()]
    if problems != ["ok"]:
        raise NotABackup(f"it is damaged ({problems[0].splitlines()[0]})")


def _digest(connection: sqlite3.Connection, values: dict[str, str]) -> str:
    """Over what the backup says of itself, and the definition and the rows of every other table."""
    digest = hashlib.sha256(repr(sorted(values.items())).encode())
    tables = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!' "
        "AND name <> ? ORDER BY name",
        (TABLE,),
    ).fetchall()
    for name, sql in tables:
        digest.update(repr((name, sql)).encode())
        # Virtual columns follow from the others, and `PRAGMA table_info` leaves them out.
        rows = connection.execute(f"PRAGMA table_info({name})").fetchall()
        columns = ", ".join(f'"{row[1]}"' for row in rows)
        keys = ", ".join(f'"{row[1]}"' for row in sorted(rows, key=lambda row: int(row[5])) if row[5]) or "rowid"
        cursor = connection.execute(f'SELECT {columns} FROM "{name}" ORDER BY {keys}')
        while some := cursor.fetchmany(_ROWS):
            digest.update(repr(some).encode())
    return digest.hexdigest()
