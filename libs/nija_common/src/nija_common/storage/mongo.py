"""The storage port on MongoDB (PyMongo's asyncio API): reads from the primary, `majority` both ways, journaled.

One client serves a process; each service has a database of its own and gets a handle to no other. How a commit
is written is in `mongo_commit.py`, its outbox in `mongo_outbox.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import ConfigurationError, InvalidURI
from pymongo.read_concern import ReadConcern

from nija_common.errors import SettingsError
from nija_common.storage import mongo_commit, mongo_rights, mongo_schema
from nija_common.storage.mongo_blobs import MongoBlobs
from nija_common.storage.mongo_errors import translated
from nija_common.storage.mongo_outbox import Bell, MongoOutbox
from nija_common.storage.mongo_pool import PoolUse
from nija_common.storage.mongo_query import Select
from nija_common.storage.mongo_schema import APPLIED, PROGRESS, Raw, database_name, from_raw
from nija_common.storage.port import Commit, Draw, Lease, Page, Range, Wanted
from nija_common.values.document import Document, Scalar

D = TypeVar("D", bound=Document)

OPEN_S = 5.0
MIGRATE_S = 60.0


class MongoServer:
    """An open client. `storage(service)` and `outbox(service)` work on that service's database only."""

    def __init__(self, client: AsyncMongoClient[Raw], namespace: str) -> None:
        self._client = client
        self._namespace = namespace
        self._bells: dict[str, Bell] = {}

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, *, namespace: str = "") -> AsyncIterator[MongoServer]:
        """Connects to a replica set. Raises SettingsError for a URL that is none, 503 where nobody answers."""
        try:
            client = AsyncMongoClient[Raw](
                url,
                w="majority",
                journal=True,
                readConcernLevel="majority",
                readPreference="primary",
                retryReads=True,
                retryWrites=True,
                tz_aware=True,
                appname="nija",
                event_listeners=[PoolUse()],
            )
        except (ConfigurationError, InvalidURI, ValueError):
            # The driver's text may repeat the URL, which may hold a password.
            raise SettingsError("NIJA_MONGO_URL: not the address of a MongoDB replica set") from None
        async with client:
            with translated(OPEN_S):
                await client.admin.command("ping")
            server = cls(client, namespace)
            try:
                yield server
            finally:
                for bell in server._bells.values():
                    await bell.close()

    def storage(self, service: str) -> MongoStorage:
        """The database of this service."""
        return MongoStorage(self._database(service), self.outbox(service))

    def outbox(self, service: str) -> MongoOutbox:
        """What the service's relay works on."""
        database = self._database(service)
        bell = self._bells.setdefault(database.name, Bell(database))
        return MongoOutbox(database, bell)

    def blobs(self, service: str) -> MongoBlobs:
        """The files of this service."""
        return MongoBlobs(self._database(service))

    async def incarnation(self, service: str) -> int:
        """How often the service's database has begun a new life; 1 where it was never restored."""
        with translated():
            return await mongo_schema.incarnation(self._database(service))

    async def begin_incarnation(self, service: str, number: int) -> None:
        """From now on revisions begin with this number. For when nobody else works on the database: whoever does
        has read the old one."""
        with translated():
            await mongo_schema.begin_incarnation(self._database(service), number)

    def _database(self, service: str) -> AsyncDatabase[Raw]:
        return self._client[database_name(self._namespace, service)]


class MongoStorage:
    """Port `Storage` for one service."""

    def __init__(self, database: AsyncDatabase[Raw], outbox: MongoOutbox) -> None:
        self._database = database
        self._outbox = outbox
        self._incarnation: int | None = None

    async def get(self, kind: type[D], document_id: str) -> D | None:
        with translated():
            raw = await self._database[kind.collection.name].find_one({"_id": document_id})
        return None if raw is None else from_raw(kind, raw)

    async def get_latest(self, kind: type[D], document_id: str) -> D | None:
        rows = self._database[kind.collection.name].with_options(read_concern=ReadConcern("linearizable"))
        with translated():
            raw = await rows.find_one({"_id": document_id})
        return None if raw is None else from_raw(kind, raw)

    async def get_many(self, kind: type[D], document_ids: Sequence[str]) -> dict[str, D]:
        if not document_ids:
            return {}
        with translated():
            rows = await self._database[kind.collection.name].find({"_id": {"$in": list(document_ids)}}).to_list()
        return {str(raw["_id"]): from_raw(kind, raw) for raw in rows}

    async def versions(self, kind: type[Document], document_ids: Sequence[str]) -> dict[str, int]:
        if not document_ids:
            return {}
        chosen = {"_id": {"$in": list(document_ids)}}
        with translated():
            rows = await self._database[kind.collection.name].find(chosen, {"version": 1}).to_list()
        return {str(raw["_id"]): int(raw["version"]) for raw in rows}

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
        select = Select(kind, index, equals, within)
        if limit < 1:
            raise ValueError("limit must be at least 1")
        if skip < 0 or (skip and after is not None):
            raise ValueError("give either a cursor or a number to skip")
        wanted = select.filter if after is None else select.after(after, descending)
        with translated():
            rows = await (
                self._database[kind.collection.name]
                .find(wanted, sort=select.sort(descending), hint=index, skip=skip, limit=limit + 1)
                .to_list()
            )
        cursor = select.cursor(rows[limit - 1], descending) if len(rows) > limit else None
        return Page(tuple(from_raw(kind, raw) for raw in rows[:limit]), cursor)

    async def scan(self, kind: type[D], *, limit: int, after: str | None = None) -> Page[D]:
        wanted = {} if after is None else {"_id": {"$gt": after}}
        with translated():
            rows = await self._database[kind.collection.name].find(wanted, sort=[("_id", 1)], limit=limit + 1).to_list()
        cursor = str(rows[limit - 1]["_id"]) if len(rows) > limit else None
        return Page(tuple(from_raw(kind, raw) for raw in rows[:limit]), cursor)

    async def count(self, kind: type[D], index: str, equals: Sequence[Scalar] = (), within: Range | None = None) -> int:
        wanted = Select(kind, index, equals, within).filter
        with translated():
            return await self._database[kind.collection.name].count_documents(wanted, hint=index)

    async def now_ms(self) -> int:
        with translated():
            return await mongo_rights.now_ms(self._database)

    async def commit(self, commit: Commit, *, deadline_s: float = 5.0) -> None:
        if self._incarnation is None and commit.emissions:
            self._incarnation = await self._read_incarnation()
        await mongo_commit.write(self._database, commit, incarnation=self._incarnation or 1, deadline_s=deadline_s)

    async def progress(self, group: str, topic: str) -> dict[int, int]:
        with translated():
            rows = await self._database[PROGRESS].find({"group": group, "topic": topic}).to_list()
        return {int(row["partition"]): int(row["next_offset"]) for row in rows}

    async def last_seqs(self, group: str, topic: str, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
        ids = {mongo_commit.applied_id(group, topic, name): name for name in keys}
        if not ids:
            return {}
        with translated():
            rows = await self._database[APPLIED].find({"_id": {"$in": list(ids)}}).to_list()
        return {ids[str(row["_id"])]: int(row["seq"]) for row in rows}

    async def read_ahead(
        self, group: str, topic: str, keys: Sequence[tuple[str, str]], wanted: Wanted
    ) -> tuple[dict[tuple[str, str], int], dict[type[Document], dict[str, Document]]]:
        several = asyncio.gather(*(self.get_many(kind, list(ids)) for kind, ids in wanted.items()))
        seqs, found = await asyncio.gather(self.last_seqs(group, topic, keys), several)
        return seqs, dict(zip(wanted, found, strict=True))

    async def wait_published(self, commit_id: str, timeout_s: float) -> bool:
        return await self._outbox.wait_published(commit_id, timeout_s)

    async def take(self, name: str, holder: str, ttl_ms: int) -> Lease | None:
        with translated():
            return await mongo_rights.take(self._database, name, holder, ttl_ms)

    async def release(self, lease: Lease) -> None:
        with translated():
            await mongo_rights.release(self._database, lease)

    async def leases(self, prefix: str) -> list[Lease]:
        with translated():
            return await mongo_rights.alive(self._database, prefix)

    async def draw(self, counter: str, n: int, limit: int, window_ms: int) -> Draw:
        with translated():
            return await mongo_rights.draw(self._database, counter, n, limit, window_ms)

    async def migrate(self, kinds: Sequence[type[Document]]) -> None:
        with translated(MIGRATE_S):
            await mongo_schema.migrate(self._database, kinds)

    async def differences(self, kinds: Sequence[type[Document]]) -> list[str]:
        with translated(MIGRATE_S):
            return await mongo_schema.differences(self._database, kinds)

    async def unknown(self, kinds: Sequence[type[Document]]) -> list[str]:
        with translated(MIGRATE_S):
            return await mongo_schema.unknown(self._database, kinds)

    async def _read_incarnation(self) -> int:
        """The first part of every revision."""
        with translated():
            return await mongo_schema.incarnation(self._database)
