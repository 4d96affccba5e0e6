"""What the tables of the SQLite file look like: the platform's own, and those of declared collections.

A document is its JSON text. Fields that an index names are virtual columns over it, so an index declared
later covers the documents that are already there.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence

from nija_common.errors import ErrorCode, NijaError, SettingsError
from nija_common.values.document import Collection, Document, Index, Scalar

SCHEMA_VERSION = 1

_PLATFORM = """
CREATE TABLE IF NOT EXISTS sys_meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sys_commits (
    service TEXT NOT NULL, id TEXT NOT NULL, at_ms INTEGER NOT NULL, PRIMARY KEY (service, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sys_seqs (
    service TEXT NOT NULL, topic TEXT NOT NULL, key TEXT NOT NULL, seq INTEGER NOT NULL,
    PRIMARY KEY (service, topic, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sys_progress (
    service TEXT NOT NULL, group_name TEXT NOT NULL, topic TEXT NOT NULL, part INTEGER NOT NULL,
    next_offset INTEGER NOT NULL, PRIMARY KEY (service, group_name, topic, part)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sys_applied (
    service TEXT NOT NULL, group_name TEXT NOT NULL, topic TEXT NOT NULL, source TEXT NOT NULL, key TEXT NOT NULL,
    seq INTEGER NOT NULL, PRIMARY KEY (service, group_name, topic, source, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sys_leases (
    service TEXT NOT NULL, name TEXT NOT NULL, holder TEXT NOT NULL, epoch INTEGER NOT NULL,
    expires_at_ms INTEGER NOT NULL, PRIMARY KEY (service, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sys_counters (
    service TEXT NOT NULL, name TEXT NOT NULL, window_ms INTEGER NOT NULL, starts_at_ms INTEGER NOT NULL,
    used INTEGER NOT NULL, PRIMARY KEY (service, name, window_ms)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sys_outbox (
    n INTEGER PRIMARY KEY AUTOINCREMENT, service TEXT NOT NULL, id TEXT NOT NULL, commit_id TEXT NOT NULL,
    topic TEXT NOT NULL, part INTEGER NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, headers BLOB NOT NULL,
    state INTEGER NOT NULL, seq INTEGER NOT NULL, created_ms INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS sys_outbox_by_commit ON sys_outbox (service, commit_id);
CREATE UNIQUE INDEX IF NOT EXISTS sys_outbox_by_id ON sys_outbox (service, id);
"""

_OWN = re.compile(r"IF NOT EXISTS (\w+)")
_NAME = re.compile(r"[a-z][a-z0-9_-]*\Z")


def create_platform(connection: sqlite3.Connection) -> int:
    """Makes the platform's own tables where they are missing and returns the file's incarnation.

    Raises SettingsError for a file that a newer version of ours wrote.
    """
    for statement in _PLATFORM.split(";\n"):
        if statement.strip():
            connection.execute(statement)
    connection.execute("INSERT OR IGNORE INTO sys_meta VALUES ('schema', ?), ('incarnation', 1)", (SCHEMA_VERSION,))
    meta: dict[str, int] = dict(connection.execute("SELECT name, value FROM sys_meta").fetchall())
    if meta["schema"] > SCHEMA_VERSION:
        raise SettingsError(
            f"The database file has format {meta['schema']}, this version of nija reads up to {SCHEMA_VERSION}. "
            "Install the newer version, or choose another data folder."
        )
    return meta["incarnation"]


def _plain(name: str) -> str:
    if not _NAME.match(name):
        raise ValueError(f"{name!r} cannot be part of a table's name")
    return name.replace("-", "_")


def table_of(service: str, collection: Collection) -> str:
    """The table of a service's collection."""
    return f"{_plain(service)}__{_plain(collection.name)}"


def column_of(field: str) -> str:
    """The virtual column of an indexed field."""
    return "f_" + _plain(field)


def index_of(table: str, index: Index) -> str:
    """The name of a declared index in the file."""
    return f"{table}__{_plain(index.name)}"


def literal(value: Scalar) -> str:
    """A value as SQL text: the planner uses a partial index only if it sees the same constant."""
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return str(int(value))


def condition_of(index: Index) -> str | None:
    """The `where` of a partial index as SQL."""
    if index.where is None:
        return None
    field, value = index.where
    return f"{column_of(field)} = {literal(value)}"


def _columns(collection: Collection) -> list[str]:
    fields: dict[str, None] = {}
    for index in collection.indexes:
        fields.update(dict.fromkeys(index.fields))
        if index.where is not None:
            fields[index.where[0]] = None
    if collection.ttl_field is not None:
        fields[collection.ttl_field] = None
    return list(fields)


def _index_sql(table: str, index: Index) -> str:
    columns = [column_of(field) for field in index.fields]
    if not index.unique:
        columns.append("id")  # the order of documents that are alike in all fields
    where = condition_of(index)
    return (
        f"CREATE {'UNIQUE ' if index.unique else ''}INDEX {index_of(table, index)} ON {table} ({', '.join(columns)})"
        + (f" WHERE {where}" if where else "")
    )


def _wanted(table: str, collection: Collection) -> dict[str, str]:
    wanted = {index_of(table, index): _index_sql(table, index) for index in collection.indexes}
    if collection.ttl_field is not None:
        column = column_of(collection.ttl_field)
        wanted[f"{table}__ttl_"] = f"CREATE INDEX {table}__ttl_ ON {table} ({column})"
    return wanted


def _existing(connection: sqlite3.Connection, table: str) -> tuple[set[str], dict[str, str]]:
    columns = {str(row[1]) for row in connection.execute(f"PRAGMA table_xinfo({table})").fetchall()}
    rows = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL", (table,)
    ).fetchall()
    return columns, dict(rows)


def migrate(connection: sqlite3.Connection, service: str, kinds: Sequence[type[Document]]) -> None:
    """Makes tables, columns and indexes that are missing, and makes anew indexes that are declared otherwise.

    Raises NijaError(DATABASE_ERROR) if stored documents do not allow a unique index.
    """
    for kind in kinds:
        collection = kind.collection
        table = table_of(service, collection)
        connection.execute(
            f"CREATE TABLE IF NOT EXISTS {table} (id TEXT PRIMARY KEY, version INTEGER NOT NULL, body TEXT NOT NULL)"
        )
        columns, indexes = _existing(connection, table)
        for field in _columns(collection):
            if column_of(field) not in columns:
                connection.execute(
                    f"ALTER TABLE {table} ADD COLUMN {column_of(field)} "
                    f"GENERATED ALWAYS AS (json_extract(body, '$.{field}')) VIRTUAL"
                )
        for name, sql in _wanted(table, collection).items():
            if indexes.get(name) == sql:
                continue
            connection.execute(f"DROP INDEX IF EXISTS {name}")
            try:
                connection.execute(sql)
            except sqlite3.IntegrityError as error:
                raise NijaError(
                    ErrorCode.DATABASE_ERROR, f"Stored documents of {collection.name} break the unique index {name}."
                ) from error


def differences(connection: sqlite3.Connection, service: str, kinds: Sequence[type[Document]]) -> list[str]:
    """In words, what `migrate` would change."""
    found: list[str] = []
    for kind in kinds:
        table = table_of(service, kind.collection)
        columns, indexes = _existing(connection, table)
        if not columns:
            found.append(f"collection {kind.collection.name} is missing")
            continue
        wanted = _wanted(table, kind.collection)
        for name, sql in wanted.items():
            if name not in indexes:
                found.append(f"index {name} is missing")
            elif indexes[name] != sql:
                found.append(f"index {name} is declared otherwise")
    return found


def unknown(connection: sqlite3.Connection, service: str, kinds: Sequence[type[Document]]) -> list[str]:
    """In words, tables and indexes of the service that nobody declares."""
    prefix = f"{_plain(service)}__"
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    declared = {table_of(service, kind.collection): kind.collection for kind in kinds}
    found = [
        f"collection {name.removeprefix(prefix)} is declared by nobody"
        for (name,) in rows
        if name.startswith(prefix) and name not in declared
    ]
    for table, collection in declared.items():
        wanted = _wanted(table, collection)
        found += [
            f"index {name} is declared by nobody" for name in _existing(connection, table)[1] if name not in wanted
        ]
    return found


def missing_platform(connection: sqlite3.Connection) -> list[str]:
    """In words, what of the platform's own tables and indexes is missing, or newer than this version."""
    rows = connection.execute("SELECT name FROM sqlite_master").fetchall()
    there = {str(name) for (name,) in rows}
    found = [f"table {name} is missing" for name in _OWN.findall(_PLATFORM) if name not in there]
    if "sys_meta" in there:
        schema = connection.execute("SELECT value FROM sys_meta WHERE name = 'schema'").fetchone()[0]
        if schema != SCHEMA_VERSION:
            found.append(f"the file has format {schema}, this version of nija has {SCHEMA_VERSION}")
    return found
