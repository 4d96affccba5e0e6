"""Leases and counters in MongoDB: one atomic update each, by the server's clock (`$$NOW`)."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

from pymongo import ReturnDocument
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import OperationFailure

from nija_common.storage import mongo_errors
from nija_common.storage.mongo_schema import COUNTERS, LEASES, Raw
from nija_common.storage.port import Draw, Lease

AGAIN_S = 0.005
NOW: Raw = {"$toLong": "$$NOW"}


async def now_ms(database: AsyncDatabase[Raw]) -> int:
    """The primary's clock, in UTC milliseconds."""
    local: datetime = (await database.command("hello"))["localTime"]
    return round(local.timestamp() * 1000)


async def take(database: AsyncDatabase[Raw], name: str, holder: str, ttl_ms: int) -> Lease | None:
    """A free, expired or own lease; None if somebody else holds it."""
    ran_out: Raw = {"$lte": [{"$ifNull": ["$expires_at_ms", 0]}, NOW]}
    row = await _update(
        database,
        LEASES,
        name,
        [
            {"$set": {"ran_out": ran_out, "mine": {"$or": [ran_out, {"$eq": ["$holder", holder]}]}}},
            {
                "$set": {
                    "epoch": {"$add": [{"$ifNull": ["$epoch", 0]}, {"$cond": ["$ran_out", 1, 0]}]},
                    "holder": {"$cond": ["$mine", holder, "$holder"]},
                    "expires_at_ms": {"$cond": ["$mine", {"$add": [NOW, ttl_ms]}, "$expires_at_ms"]},
                }
            },
            {"$unset": ["ran_out", "mine"]},
        ],
    )
    return _lease(row) if row["holder"] == holder else None


async def release(database: AsyncDatabase[Raw], lease: Lease) -> None:
    """The row stays, for its epoch."""
    await database[LEASES].update_one(
        {"_id": lease.name, "holder": lease.holder, "epoch": lease.epoch},
        [{"$set": {"expires_at_ms": {"$min": ["$expires_at_ms", NOW]}}}],
    )


async def alive(database: AsyncDatabase[Raw], prefix: str) -> list[Lease]:
    """Those whose name begins with the prefix, by name."""
    rows = database[LEASES].find(
        {"_id": {"$gte": prefix, "$lt": prefix + "\U0010ffff"}, "$expr": {"$gt": ["$expires_at_ms", NOW]}},
        sort=[("_id", 1)],
    )
    return [_lease(row) async for row in rows]


async def assert_held(database: AsyncDatabase[Raw], lease: Lease, session: AsyncClientSession) -> bool:
    """Whether the lease is still that holder's, in that epoch, and alive; stays so until the transaction ends.

    A real write: reads in a transaction conflict with nobody.
    """
    done = await database[LEASES].update_one(
        {
            "_id": lease.name,
            "holder": lease.holder,
            "epoch": lease.epoch,
            "$expr": {"$gt": ["$expires_at_ms", NOW]},
        },
        {"$inc": {"uses": 1}},
        session=session,
    )
    return done.matched_count == 1


async def draw(database: AsyncDatabase[Raw], counter: str, n: int, limit: int, window_ms: int) -> Draw:
    """`granted` is negative by what was given back."""
    granted: Raw = (
        {"$max": [0, {"$min": [n, {"$subtract": [limit, "$before"]}]}]}
        if n > 0
        else {"$multiply": [-1, {"$min": [-n, "$before"]}]}
    )
    row = await _update(
        database,
        COUNTERS,
        f"{window_ms}|{counter}",
        [
            {"$set": {"now_ms": NOW}},
            {"$set": {"begins_ms": {"$subtract": ["$now_ms", {"$mod": ["$now_ms", window_ms]}]}}},
            {"$set": {"before": {"$cond": [{"$eq": ["$window_ms", "$begins_ms"]}, "$used", 0]}}},
            {"$set": {"granted": granted, "window_ms": "$begins_ms"}},
            {
                "$set": {
                    "used": {"$add": ["$before", "$granted"]},
                    "expires_at": {"$toDate": {"$add": ["$begins_ms", window_ms]}},
                }
            },
            {"$unset": ["before", "begins_ms"]},
        ],
    )
    return Draw(int(row["granted"]), int(row["used"]), limit, int(row["window_ms"]) + window_ms, int(row["now_ms"]))


async def _update(database: AsyncDatabase[Raw], collection: str, row_id: str, pipeline: list[Any]) -> Raw:
    """The row after the update. A missing one is made first, empty, so that the update itself has no race to lose."""
    rows = database[collection]
    while True:
        try:
            row: Raw | None = await rows.find_one_and_update(
                {"_id": row_id}, pipeline, return_document=ReturnDocument.AFTER
            )
            if row is not None:
                return row
            await rows.insert_one({"_id": row_id})
        except OperationFailure as error:
            # Somebody else made the row, or a transaction holds it for a moment.
            if not mongo_errors.is_transient(error):
                raise
            await asyncio.sleep(AGAIN_S)


def _lease(row: Raw) -> Lease:
    return Lease(str(row["_id"]), str(row["holder"]), int(row["epoch"]), int(row["expires_at_ms"]))
