"""The storage port on SQLite: the embedded platform's store, durable against `kill -9` and power cuts.

One file holds the documents of every service, each in tables of its own, and the log of the embedded bus, so a
commit writes documents and events in one transaction. With `outbox=True` events go to an outbox instead, for a
bus elsewhere.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import structlog
from pydantic import ValidationError

from nija_common.bus import sqlite_log
from nija_common.bus.sqlite_groups import Groups
from nija_common.bus.sqlite_log import Lanes, Tail
from nija_common.errors import ErrorCode, NijaError, SettingsError
from nija_common.storage import sqlite_query, sqlite_rights, sqlite_schema
from nija_common.storage.port import Commit, Draw, Lease, Page, Range, Wanted
from nija_common.storage.sqlite_commit import apply, fields_of, prepared
from nija_common.storage.sqlite_engine import Engine
from nija_common.storage.sqlite_lock import FolderLock
from nija_common.storage.sqlite_outbox import Bell, SqliteOutbox
from nija_common.storage.sqlite_query import Select
from nija_common.values.clock import Clock
from nija_common.values.document import Document, Scalar

log = structlog.get_logger(__name__)

D = TypeVar("D", bound=Document)

COMMIT_IDS_MS = 3_600_000
"""How long the id of a commit can be looked up."""

MIGRATE_S = 60.0

_OLDEST_SQLITE = (3, 35, 0)


class SqliteDatabase:
    """The open file. `storage(service)` and `SqliteBus(database)` work on it."""

    def __init__(self, path: Path, clock: Clock, *, outbox: bool, second: bool) -> None:
        self.path = path
        self.clock = clock
        self.second = second
        self.has_outbox = outbox
        self.incarnation = 0
        self.lanes = Lanes()
        self.tail = Tail()
        self.queued = Bell()
        self.engine = Engine(path, self._committed, self._written_by_another)
        self.groups = Groups(self.engine, self.lanes, self.tail)
        self._looks: set[asyncio.Task[None]] = set()
        self._kinds: dict[tuple[str, str], type[Document]] = {}

    @classmethod
    @asynccontextmanager
    async def open(
        cls, path: Path, clock: Clock, *, outbox: bool = False, second: bool = False
    ) -> AsyncIterator[SqliteDatabase]:
        """Opens or makes the file.

        `second` is for commands that write while the platform runs: no lock, no groups. Raises SettingsError
        if another platform has the file, if it is none of ours, or if a newer version wrote it.
        """
        if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
            raise SettingsError(f"SQLite {sqlite3.sqlite_version} is too old: 3.35 is needed. Use a newer Python.")
        await asyncio.to_thread(_prepare_folder, path)
        async with AsyncExitStack() as stack:
            if not second:
                stack.enter_context(FolderLock(path))
            database = cls(path, clock, outbox=outbox, second=second)
            stack.push_async_callback(database.engine.close)
            stack.push_async_callback(database._close)
            await database._start()
            yield database

    def storage(self, service: str) -> SqliteStorage:
        """The part of the file that is this service's."""
        return SqliteStorage(self, service)

    def outbox(self, service: str) -> SqliteOutbox:
        """What the service's relay works on; ValueError if events go to the log of this file."""
        if not self.has_outbox:
            raise ValueError("this database has no outbox: its events go to the log in the same file")
        return SqliteOutbox(self.engine, self.queued, self.clock, service)

    async def migrate(self, service: str, kinds: Sequence[type[Document]]) -> None:
        """Makes a service's tables, and remembers them for `prune`."""
        await self.engine.write(
            lambda unit: sqlite_schema.migrate(unit.connection, service, kinds), deadline_s=MIGRATE_S
        )
        self._kinds.update({(service, kind.collection.name): kind for kind in kinds})

    async def prune(self) -> int:
        """Drops documents past their `ttl_field`, commit ids older than an hour and counters of past windows.

        Returns how many documents went. A loop of the platform calls it; the log has a `prune` of its own.
        """
        now_ms = self.clock.now_ms()
        dropped = 0
        for (service, _), kind in list(self._kinds.items()):
            step = sqlite_rights.STEP
            while step == sqlite_rights.STEP:
                step = await self._drop_expired(service, kind, now_ms)
                dropped += step
        await self.engine.write(lambda unit: sqlite_rights.drop_past(unit.connection, now_ms, now_ms - COMMIT_IDS_MS))
        return dropped

    async def _drop_expired(self, service: str, kind: type[Document], now_ms: int) -> int:
        return await self.engine.write(lambda unit: sqlite_rights.drop_expired(unit.connection, service, kind, now_ms))

    async def _start(self) -> None:
        try:
            await self.engine.start()
        except sqlite3.Error as error:
            raise SettingsError(f"The database file {self.path} cannot be opened: {error}") from error
        self.incarnation = await self.engine.write(
            lambda unit: _create(unit.connection, alone=not self.second), deadline_s=30.0
        )
        await self.engine.read(self.lanes.load)
        self.tail.advance(await self.engine.read(sqlite_log.all_ends))

    async def _close(self) -> None:
        await self.groups.close()
        for look in list(self._looks):
            look.cancel()
        await asyncio.gather(*self._looks, return_exceptions=True)

    def _committed(self, ends: dict[int, int], queued: bool) -> None:
        self.tail.advance(ends)
        if queued:
            self.queued.ring()

    def _written_by_another(self) -> None:
        look = asyncio.create_task(self._look(), name="sqlite-look")
        self._looks.add(look)
        look.add_done_callback(self._looks.discard)

    async def _look(self) -> None:
        try:
            await self.engine.read(self.lanes.load)
            self.tail.advance(await self.engine.read(sqlite_log.all_ends))
        except NijaError as error:
            log.warning("sqlite_look_failed", reason=error.message)
        self.queued.ring()


class SqliteStorage:
    """Port `Storage` for one service."""

    def __init__(self, database: SqliteDatabase, service: str) -> None:
        self._database = database
        self._engine = database.engine
        self._clock = database.clock
        self._service = service

    async def get(self, kind: type[D], document_id: str) -> D | None:
        return (await self.get_many(kind, (document_id,))).get(document_id)

    async def get_latest(self, kind: type[D], document_id: str) -> D | None:
        return await self.get(kind, document_id)

    async def get_many(self, kind: type[D], document_ids: Sequence[str]) -> dict[str, D]:
        return {
            document_id: _document(kind, body) for document_id, body in await self._some(kind, "body", document_ids)
        }

    async def versions(self, kind: type[Document], document_ids: Sequence[str]) -> dict[str, int]:
        return dict(await self._some(kind, "version", document_ids))

    async def _some(self, kind: type[Document], column: str, document_ids: Sequence[str]) -> list[tuple[str, Any]]:
        """(id, that column) of those that exist."""
        table = sqlite_schema.table_of(self._service, kind.collection)
        ids = list(dict.fromkeys(document_ids))
        return await self._engine.read(lambda connection: sqlite_query.by_id(connection, table, column, ids))

    async def find(
        self,
        kind: type[D],
        index: str,
        equals: Sequence[Scalar] = (),
        within: Range | None = None,
        *,
        limit: int,
        descending: bool = False,
        after: str | None = None,
        skip: int = 0,
    ) -> Page[D]:
        select = Select(self._service, kind, index, equals, within)
        query = select.find(limit, descending, after, skip)
        rows = await self._engine.read(lambda connection: connection.execute(query.sql, query.values).fetchall())
        items = tuple(_document(kind, row[0]) for row in rows[:limit])
        return Page(items, select.cursor(rows[limit - 1], descending) if len(rows) > limit else None)

    async def scan(self, kind: type[D], *, limit: int, after: str | None = None) -> Page[D]:
        table = sqlite_schema.table_of(self._service, kind.collection)
        sql = f"SELECT id, body FROM {table} WHERE id > ? ORDER BY id LIMIT ?"
        rows = await self._engine.read(lambda connection: connection.execute(sql, (after or "", limit + 1)).fetchall())
        items = tuple(_document(kind, row[1]) for row in rows[:limit])
        return Page(items, rows[limit - 1][0] if len(rows) > limit else None)

    async def count(self, kind: type[D], index: str, equals: Sequence[Scalar] = (), within: Range | None = None) -> int:
        query = Select(self._service, kind, index, equals, within).count()
        rows = await self._engine.read(lambda connection: connection.execute(query.sql, query.values).fetchall())
        return int(rows[0][0])

    async def now_ms(self) -> int:
        return self._clock.now_ms()

    async def commit(self, commit: Commit, *, deadline_s: float = 5.0) -> None:
        ready = prepared(commit, self._service)
        database = self._database
        await self._engine.write(
            lambda unit: apply(
                unit,
                ready,
                lanes=None if database.has_outbox else database.lanes,
                incarnation=database.incarnation,
                now_ms=self._clock.now_ms(),
            ),
            deadline_s=deadline_s,
        )

    async def progress(self, group: str, topic: str) -> dict[int, int]:
        return dict(
            await self._engine.read(
                lambda connection: connection.execute(
                    "SELECT part, next_offset FROM sys_progress WHERE service = ? AND group_name = ? AND topic = ?",
                    (self._service, group, topic),
                ).fetchall()
            )
        )

    async def last_seqs(self, group: str, topic: str, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
        where = (self._service, group, topic)
        return await self._engine.read(lambda connection: sqlite_query.last_seqs(connection, where, keys))

    async def read_ahead(
        self, group: str, topic: str, keys: Sequence[tuple[str, str]], wanted: Wanted
    ) -> tuple[dict[tuple[str, str], int], dict[type[Document], dict[str, Document]]]:
        where = (self._service, group, topic)
        tables = [(sqlite_schema.table_of(self._service, kind.collection), list(ids)) for kind, ids in wanted.items()]

        def run(connection: sqlite3.Connection) -> tuple[dict[tuple[str, str], int], list[list[tuple[str, Any]]]]:
            # One transaction: the statements share a snapshot, and what it costs to begin one.
            connection.execute("BEGIN")
            try:
                seqs = sqlite_query.last_seqs(connection, where, keys)
                return seqs, [sqlite_query.by_id(connection, table, "body", ids) for table, ids in tables]
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

        seqs, rows = await self._engine.read(run)
        found = {
            kind: {name: _document(kind, body) for name, body in some} for kind, some in zip(wanted, rows, strict=True)
        }
        return seqs, found

    async def wait_published(self, commit_id: str, timeout_s: float) -> bool:
        if not self._database.has_outbox:
            return True  # the log took them in the commit itself
        return await self._database.outbox(self._service).wait_published(commit_id, timeout_s)

    async def take(self, name: str, holder: str, ttl_ms: int) -> Lease | None:
        return await self._engine.write(
            lambda unit: sqlite_rights.take(unit.connection, self._service, name, holder, ttl_ms, self._clock.now_ms())
        )

    async def release(self, lease: Lease) -> None:
        await self._engine.write(
            lambda unit: sqlite_rights.release(unit.connection, self._service, lease, self._clock.now_ms())
        )

    async def leases(self, prefix: str) -> list[Lease]:
        return await self._engine.read(
            lambda connection: sqlite_rights.alive(connection, self._service, prefix, self._clock.now_ms())
        )

    async def draw(self, counter: str, n: int, limit: int, window_ms: int) -> Draw:
        return await self._engine.write(
            lambda unit: sqlite_rights.draw(
                unit.connection, self._service, counter, n, limit, window_ms, self._clock.now_ms()
            )
        )

    async def migrate(self, kinds: Sequence[type[Document]]) -> None:
        await self._database.migrate(self._service, kinds)

    async def differences(self, kinds: Sequence[type[Document]]) -> list[str]:
        return await self._engine.read(lambda connection: sqlite_schema.differences(connection, self._service, kinds))

    async def unknown(self, kinds: Sequence[type[Document]]) -> list[str]:
        return await self._engine.read(lambda connection: sqlite_schema.unknown(connection, self._service, kinds))


def _document(kind: type[D], body: str) -> D:
    """Validates what was stored. What no longer fits fails loudly, naming fields but no values."""
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        fields = ", ".join(fields_of(error))
        raise NijaError(
            ErrorCode.DATABASE_ERROR,
            f"A stored document of {kind.collection.name} does not fit this version ({fields}).",
        ) from None


def _prepare_folder(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
    except OSError as error:
        raise SettingsError(f"The data folder {path.parent} cannot be used: {error.strerror}") from error


def _create(connection: sqlite3.Connection, *, alone: bool) -> int:
    sqlite_log.create(connection)
    incarnation = sqlite_schema.create_platform(connection)
    if alone:
        sqlite_rights.free_all(connection)
    return incarnation
