"""How a commit is written to MongoDB: one transaction, repeated as a whole while it loses against others.

In this order: the commit's id (so that an unknown outcome can be looked up, and a repetition is harmless),
documents, events into the outbox with the next `seq` of their key, positions, and last the guards. A guard is a
real write, because a read in a transaction conflicts with nobody; last, because it holds others up.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pymongo
from pymongo import DeleteOne, InsertOne, ReadPreference, ReplaceOne, ReturnDocument, UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError, DuplicateKeyError, PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from nija_common.cancellation import heeding_cancellation
from nija_common.errors import Conflict, unavailable
from nija_common.events.codec import encode
from nija_common.events.topics import Kind
from nija_common.storage import mongo_errors
from nija_common.storage.mongo_schema import APPLIED, COMMITS, OUTBOX, PROGRESS, SEQS, Raw, to_raw
from nija_common.storage.port import Commit, Progress
from nija_common.values.document import Document

LEAST_S = 0.25
"""What a step is given however little time is left."""

LOOK_UP_S = 1.0
"""How long the look-up of a commit's id may take after its deadline."""

SNAPSHOT = ReadConcern("snapshot")
MAJORITY = WriteConcern("majority", j=True)

_Write = InsertOne[Raw] | ReplaceOne[Raw] | UpdateOne | DeleteOne


class _AlreadyDone(Exception):
    """The commit's id is there: an earlier attempt of the same commit has succeeded."""


def check(commit: Commit) -> None:
    """Raises ValueError for a guard or delete of a document that was never stored."""
    for document in (*commit.deletes, *commit.guards):
        if document.version < 1:
            raise ValueError(f"{document.collection.name}/{document.id} was never stored: nothing to guard or delete")


async def write(database: AsyncDatabase[Raw], commit: Commit, *, incarnation: int, deadline_s: float) -> None:
    """Applies the commit. Raises Conflict, or NijaError as the port says."""
    check(commit)
    transaction = _Transaction(database, commit, incarnation)
    deadline = time.monotonic() + deadline_s
    attempt = 0
    while True:
        attempt += 1
        try:
            with heeding_cancellation():
                async with database.client.start_session(causal_consistency=False) as session:
                    await _run(transaction, session, deadline)
                    await _commit(transaction, session, deadline)
        except _AlreadyDone:
            return
        except RuntimeError as error:
            if not mongo_errors.is_lost_lock(error):
                raise
            raise unavailable("It is not known whether this was saved. Look before trying again.") from error
        except PyMongoError as error:
            if not mongo_errors.is_transient(error):
                raise mongo_errors.of(error) from error
            if time.monotonic() >= deadline:
                raise unavailable("The database is too busy or away; nothing was saved. Try again.") from error
        else:
            return
        await asyncio.sleep(random.uniform(0, min(0.001 * 2**attempt, 0.05)))


async def _run(transaction: _Transaction, session: AsyncClientSession, deadline: float) -> None:
    """Everything up to the commit."""
    try:
        with pymongo.timeout(max(deadline - time.monotonic(), LEAST_S)):
            await session.start_transaction(SNAPSHOT, MAJORITY, ReadPreference.PRIMARY)
            await transaction.run(session)
    except BaseException:
        # The driver ignores it if nobody can be told; the server's own time limit then ends the transaction.
        with pymongo.timeout(LEAST_S):
            await session.abort_transaction()
        raise


async def _commit(transaction: _Transaction, session: AsyncClientSession, deadline: float) -> None:
    """Commits, and learns the outcome: the commit alone is repeated, then its id is looked up."""
    while True:
        try:
            with pymongo.timeout(max(deadline - time.monotonic(), LEAST_S)):
                await session.commit_transaction()
            return
        except PyMongoError as error:
            if not error.has_error_label("UnknownTransactionCommitResult"):
                raise
            unknown = error
        if time.monotonic() >= deadline:
            break
        await asyncio.sleep(0.01)
    with mongo_errors.translated(LOOK_UP_S):
        found = await transaction.database[COMMITS].find_one({"_id": transaction.commit.id})
    if found is None:
        raise unavailable("It is not known whether this was saved. Look before trying again.") from unknown


class _Transaction:
    """What is written, and in which order."""

    def __init__(self, database: AsyncDatabase[Raw], commit: Commit, incarnation: int) -> None:
        self.database = database
        self.commit = commit
        self._incarnation = incarnation

    async def run(self, session: AsyncClientSession) -> None:
        commit = self.commit
        try:
            await self.database[COMMITS].insert_one({"_id": commit.id, "at": datetime.now(UTC)}, session=session)
        except DuplicateKeyError as error:
            raise _AlreadyDone from error
        await self._documents(session)
        await self._events(session)
        await self._positions(session)
        await self._guards(session)

    async def _documents(self, session: AsyncClientSession) -> None:
        writes: dict[str, list[_Write]] = defaultdict(list)
        expected: dict[str, int] = defaultdict(int)
        for document in self.commit.deletes:
            writes[document.collection.name].append(DeleteOne(_as_read(document)))
            expected[document.collection.name] += 1
        for document in self.commit.saves:
            name = document.collection.name
            raw = to_raw(document)
            writes[name].append(InsertOne(raw) if document.version == 0 else ReplaceOne(_as_read(document), raw))
            expected[name] += 1
        for name, batch in writes.items():
            try:
                done = await self.database[name].bulk_write(batch, session=session)
            except BulkWriteError as error:
                if mongo_errors.is_duplicate(error):
                    raise Conflict(f"a unique value of {name} is taken") from error
                raise
            if done.inserted_count + done.matched_count + done.deleted_count != expected[name]:
                raise Conflict(f"a document of {name} has changed")

    async def _events(self, session: AsyncClientSession) -> None:
        """Draws each event's `seq`. Raw records get an order in the same way, and no `seq`."""
        emissions, raw = self.commit.emissions, self.commit.raw
        if not emissions and not raw:
            return
        numbers = await self._draw(
            session,
            [f"{e.topic.name}|{e.key}" for e in emissions] + [f"raw {m.topic}|{m.key}" for m in raw],
        )
        created_ms = round(time.time() * 1000)
        rows: list[Raw] = []
        for emission, order in zip(emissions, numbers, strict=False):
            value, headers = encode(emission, seq=order, incarnation=self._incarnation)
            place = (emission.topic.name, emission.partition, emission.key)
            state = emission.topic.kind is Kind.STATE
            rows.append(self._row(emission.id, place, value, headers, state, order, order, created_ms))
        for i, (message, order) in enumerate(zip(raw, numbers[len(emissions) :], strict=True)):
            place = (message.topic, message.partition, message.key)
            row_id = f"{self.commit.id}-{i}"
            rows.append(self._row(row_id, place, message.value, message.headers, False, 0, order, created_ms))
        await self.database[OUTBOX].insert_many(rows, session=session)

    def _row(
        self,
        row_id: str,
        place: tuple[str, int, str],
        value: bytes,
        headers: Mapping[str, str],
        state: bool,
        seq: int,
        order: int,
        created_ms: int,
    ) -> Raw:
        topic, partition, key = place
        return {
            "_id": row_id,
            "commit": self.commit.id,
            "topic": topic,
            "partition": partition,
            "key": key,
            "value": value,
            # A list: header names may hold what a field name may not.
            "headers": [[name, text] for name, text in headers.items()],
            "state": state,
            "seq": seq,
            "order": order,
            "created_ms": created_ms,
        }

    async def _draw(self, session: AsyncClientSession, names: Sequence[str]) -> list[int]:
        """The next number of each name, gapless: the counter is written in this transaction."""
        counts: dict[str, int] = defaultdict(int)
        for name in names:
            counts[name] += 1
        last: dict[str, int] = {}
        for name, count in counts.items():
            row: Any = await self.database[SEQS].find_one_and_update(
                {"_id": name},
                {"$inc": {"seq": count}},
                upsert=True,
                return_document=ReturnDocument.AFTER,
                session=session,
            )
            last[name] = int(row["seq"]) - count
        numbers: list[int] = []
        for name in names:
            last[name] += 1
            numbers.append(last[name])
        return numbers

    async def _positions(self, session: AsyncClientSession) -> None:
        if not self.commit.progress:
            return
        await self.database[PROGRESS].bulk_write([_furthest(p) for p in self.commit.progress], session=session)
        seqs = [write for progress in self.commit.progress for write in _applied(progress)]
        if not seqs:
            return
        try:
            done = await self.database[APPLIED].bulk_write(seqs, session=session)
        except BulkWriteError as error:
            if mongo_errors.is_duplicate(error):
                raise Conflict("another member has applied these events") from error
            raise
        if done.inserted_count + done.matched_count + done.upserted_count != len(seqs):
            raise Conflict("another member has applied these events")

    async def _guards(self, session: AsyncClientSession) -> None:
        guards: dict[str, list[UpdateOne]] = defaultdict(list)
        for document in self.commit.guards:
            guards[document.collection.name].append(UpdateOne(_as_read(document), {"$inc": {"version": 1}}))
        for name, batch in guards.items():
            done = await self.database[name].bulk_write(batch, session=session)
            if done.matched_count != len(batch):
                raise Conflict(f"a document of {name} has changed")


def applied_id(group: str, topic: str, name: tuple[str, str]) -> str:
    """The id of the last applied `seq` of a (source, key). Only the key, which is last, may hold the separator."""
    source, key = name
    return f"{group}|{topic}|{source}|{key}"


def _applied(progress: Progress) -> Iterator[InsertOne[Raw] | UpdateOne]:
    """The last `seq` of each (source, key): from what was found, if that is said, else as far as it goes."""
    found = progress.seqs_found
    for name, seq in progress.seqs.items():
        row_id = applied_id(progress.group, progress.topic, name)
        if found is None:
            yield UpdateOne({"_id": row_id}, {"$max": {"seq": seq}}, upsert=True)
        elif name in found:
            yield UpdateOne({"_id": row_id, "seq": found[name]}, {"$set": {"seq": seq}})
        else:
            yield InsertOne({"_id": row_id, "seq": seq})


def _as_read(document: Document) -> Raw:
    return {"_id": document.id, "version": document.version}


def _furthest(progress: Progress) -> UpdateOne:
    place = {"group": progress.group, "topic": progress.topic, "partition": progress.partition}
    return UpdateOne(
        {"_id": f"{progress.group}|{progress.topic}|{progress.partition}"},
        {"$max": {"next_offset": progress.next_offset}, "$setOnInsert": place},
        upsert=True,
    )
