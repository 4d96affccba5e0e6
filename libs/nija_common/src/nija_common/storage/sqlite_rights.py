"""Leases, counters and what is dropped in time: the parts of the SQLite store that stand outside a commit."""

from __future__ import annotations

import sqlite3

from nija_common.storage.port import Draw, Lease
from nija_common.storage.sqlite_schema import column_of, table_of
from nija_common.values.document import Document


def take(
    connection: sqlite3.Connection, service: str, name: str, holder: str, ttl_ms: int, now_ms: int
) -> Lease | None:
    """A free, expired or own lease; None if somebody else holds it."""
    rows = connection.execute(
        "SELECT holder, epoch, expires_at_ms FROM sys_leases WHERE service = ? AND name = ?", (service, name)
    ).fetchall()
    old_holder, epoch, expires_at_ms = rows[0] if rows else ("", 0, 0)
    if expires_at_ms <= now_ms:
        epoch += 1
    elif old_holder != holder:
        return None
    lease = Lease(name, holder, epoch, now_ms + ttl_ms)
    connection.execute(
        "INSERT OR REPLACE INTO sys_leases VALUES (?, ?, ?, ?, ?)", (service, name, holder, epoch, lease.expires_at_ms)
    )
    return lease


def release(connection: sqlite3.Connection, service: str, lease: Lease, now_ms: int) -> None:
    """The row stays, for its epoch."""
    connection.execute(
        "UPDATE sys_leases SET expires_at_ms = min(expires_at_ms, ?) "
        "WHERE service = ? AND name = ? AND holder = ? AND epoch = ?",
        (now_ms, service, lease.name, lease.holder, lease.epoch),
    )


def holds(connection: sqlite3.Connection, service: str, lease: Lease, now_ms: int) -> bool:
    """Whether the lease is still that holder's, in that epoch, and alive."""
    rows = connection.execute(
        "SELECT 1 FROM sys_leases WHERE service = ? AND name = ? AND holder = ? AND epoch = ? AND expires_at_ms > ?",
        (service, lease.name, lease.holder, lease.epoch, now_ms),
    ).fetchall()
    return bool(rows)


def free_all(connection: sqlite3.Connection) -> None:
    """Every lease of every service ends at once; epochs stay. For who has the folder's lock and has just started: the
    holders are dead, and what they held need not wait for its time."""
    connection.execute("UPDATE sys_leases SET expires_at_ms = 0")


def alive(connection: sqlite3.Connection, service: str, prefix: str, now_ms: int) -> list[Lease]:
    rows = connection.execute(
        "SELECT name, holder, epoch, expires_at_ms FROM sys_leases "
        "WHERE service = ? AND name >= ? AND name < ? AND expires_at_ms > ? ORDER BY name",
        (service, prefix, prefix + "\U0010ffff", now_ms),
    ).fetchall()
    return [Lease(*row) for row in rows]


def draw(
    connection: sqlite3.Connection, service: str, counter: str, n: int, limit: int, window_ms: int, now_ms: int
) -> Draw:
    """`granted` is negative by what was given back."""
    starts_at_ms = now_ms - now_ms % window_ms
    rows = connection.execute(
        "SELECT used FROM sys_counters WHERE service = ? AND name = ? AND window_ms = ? AND starts_at_ms = ?",
        (service, counter, window_ms, starts_at_ms),
    ).fetchall()
    used = rows[0][0] if rows else 0
    granted = max(min(n, limit - used), 0) if n > 0 else -min(-n, used)
    if granted:
        connection.execute(
            "INSERT OR REPLACE INTO sys_counters VALUES (?, ?, ?, ?, ?)",
            (service, counter, window_ms, starts_at_ms, used + granted),
        )
    return Draw(granted, used + granted, limit, starts_at_ms + window_ms, now_ms)


STEP = 500
"""Rows a transaction: the writer is never held for long."""


def drop_expired(connection: sqlite3.Connection, service: str, kind: type[Document], now_ms: int) -> int:
    """Drops some documents past their time; returns how many (fewer than `STEP`: that was all)."""
    field = kind.collection.ttl_field
    if field is None:
        return 0
    table = table_of(service, kind.collection)
    return connection.execute(
        f"DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE {column_of(field)} <= ? LIMIT ?)",
        (now_ms, STEP),
    ).rowcount


def drop_past(connection: sqlite3.Connection, now_ms: int, commits_until_ms: int) -> None:
    """Drops commit ids older than `commits_until_ms` and counters of windows that are over, of every service."""
    connection.execute("DELETE FROM sys_commits WHERE at_ms < ?", (commits_until_ms,))
    connection.execute("DELETE FROM sys_counters WHERE starts_at_ms + window_ms <= ?", (now_ms,))
