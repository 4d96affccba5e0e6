"""What a service's MongoDB database looks like: the platform's own collections, and the declared ones.

A document is stored with its fields as they are, `id` as `_id`. Every declared index ends with `_id`, so that it
gives the port's order. A unique one is a second index, partial where a field may be null, because null is a
value like others to MongoDB and the port lets many documents have it.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, TypeVar

import orjson
from pydantic import ValidationError
from pymongo import IndexModel
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import CollectionInvalid, OperationFailure

from nija_common.errors import ErrorCode, NijaError
from nija_common.storage.mongo_errors import DUPLICATE_KEY
from nija_common.values.document import Collection, Document, Index

D = TypeVar("D", bound=Document)

Raw = dict[str, Any]
"""A document as the driver gives it. Never leaves the adapter."""

COMMITS = "sys_commits"
SEQS = "sys_seqs"
PROGRESS = "sys_progress"
APPLIED = "sys_applied"
LEASES = "sys_leases"
COUNTERS = "sys_counters"
OUTBOX = "sys_outbox"
META = "sys_meta"

COMMIT_IDS_S = 3600
"""How long the id of a commit can be looked up."""

EXPIRES = "_expires_at"
"""Beside a document with a time to live: the same moment as a date, which is what MongoDB drops rows by."""

_NOT_OURS = ("system.", "blobs.")

_ANYTHING = ["string", "int", "long", "double", "bool"]

_PLATFORM: dict[str, list[IndexModel]] = {
    COMMITS: [IndexModel([("at", 1)], name="ttl", expireAfterSeconds=COMMIT_IDS_S)],
    SEQS: [],
    PROGRESS: [IndexModel([("group", 1), ("topic", 1)], name="by_topic")],
    APPLIED: [],
    LEASES: [],
    COUNTERS: [IndexModel([("expires_at", 1)], name="ttl", expireAfterSeconds=0)],
    OUTBOX: [
        IndexModel([("created_ms", 1)], name="oldest"),
        IndexModel([("topic", 1), ("key", 1), ("order", 1)], name="by_key"),
        IndexModel([("commit", 1)], name="by_commit"),
    ],
    META: [],
}


def database_name(namespace: str, service: str) -> str:
    """`nija_trading` for trading-engine, `nija_<name>` for the others, after the namespace."""
    return f"{namespace}nija_{service.removesuffix('-engine').replace('-', '_')}"


def to_raw(document: Document) -> Raw:
    """The document as it will be stored, at its next version."""
    raw = document.model_dump(mode="json")
    raw["_id"] = raw.pop("id")
    raw["version"] = document.version + 1
    field = document.collection.ttl_field
    if field is not None and raw.get(field) is not None:
        raw[EXPIRES] = datetime.fromtimestamp(raw[field] / 1000, UTC)
    return raw


def from_raw(kind: type[D], raw: Raw) -> D:
    """Validates what was stored. What no longer fits fails loudly, naming fields but no values."""
    raw.pop(EXPIRES, None)
    raw["id"] = raw.pop("_id")
    try:
        # Through JSON, as on SQLite: both stores accept exactly the same documents.
        return kind.model_validate_json(orjson.dumps(raw))
    except ValidationError as error:
        fields = sorted({".".join(map(str, each["loc"])) for each in error.errors(include_input=False)})
        raise NijaError(
            ErrorCode.DATABASE_ERROR,
            f"A stored document of {kind.collection.name} does not fit this version ({', '.join(fields)}).",
        ) from None


def condition_of(index: Index) -> Raw:
    """The filter of a partial index."""
    return {} if index.where is None else {index.where[0]: index.where[1]}


async def migrate(database: AsyncDatabase[Raw], kinds: Sequence[type[Document]]) -> None:
    """Makes collections and indexes that are missing, and makes anew indexes that are declared otherwise.

    Raises NijaError(DATABASE_ERROR) if stored documents do not allow a unique index.
    """
    wanted = _wanted(kinds)
    existing = set(await database.list_collection_names())
    for name in wanted.keys() - existing:
        # Another process may be migrating as well.
        with suppress(CollectionInvalid):
            await database.create_collection(name)
    for name, models in wanted.items():
        collection = database[name]
        indexes = await _indexes(collection)
        for model in models:
            index = model.document["name"]
            if index in indexes and indexes[index] == _shape(model.document):
                continue
            if index in indexes:
                await collection.drop_index(index)
            try:
                await collection.create_indexes([model])
            except OperationFailure as error:
                if error.code != DUPLICATE_KEY:
                    raise
                raise NijaError(
                    ErrorCode.DATABASE_ERROR, f"Stored documents of {name} break the unique index {index}."
                ) from error
    await database[META].update_one({"_id": "incarnation"}, {"$setOnInsert": {"value": 1}}, upsert=True)


async def differences(database: AsyncDatabase[Raw], kinds: Sequence[type[Document]]) -> list[str]:
    """In words, what `migrate` would change."""
    found: list[str] = []
    existing = set(await database.list_collection_names())
    for name, models in _wanted(kinds).items():
        if name not in existing:
            found.append(f"collection {name} is missing")
            continue
        indexes = await _indexes(database[name])
        shapes = {str(model.document["name"]): _shape(model.document) for model in models}
        for index, shape in shapes.items():
            if index not in indexes:
                found.append(f"index {name}.{index} is missing")
            elif indexes[index] != shape:
                found.append(f"index {name}.{index} is declared otherwise")
    return found


async def unknown(database: AsyncDatabase[Raw], kinds: Sequence[type[Document]]) -> list[str]:
    """In words, collections and indexes that nobody declares; files (GridFS) are the blobs' own."""
    wanted = _wanted(kinds)
    found: list[str] = []
    for name in sorted(await database.list_collection_names()):
        if name in wanted:
            declared = {str(model.document["name"]) for model in wanted[name]}
            indexes = await _indexes(database[name])
            found += [f"index {name}.{index} is declared by nobody" for index in indexes if index not in declared]
        elif not name.startswith(_NOT_OURS):
            found.append(f"collection {name} is declared by nobody")
    return found


async def incarnation(database: AsyncDatabase[Raw]) -> int:
    """The number of the database's life; 1 where it was never restored."""
    row = await database[META].find_one({"_id": "incarnation"})
    return 1 if row is None else int(row["value"])


async def begin_incarnation(database: AsyncDatabase[Raw], number: int) -> None:
    """The number only ever rises. Leases end at once, epochs stay: their holders lived in the life before."""
    await database[LEASES].update_many({}, {"$set": {"expires_at_ms": 0}})
    await database[META].update_one({"_id": "incarnation"}, {"$max": {"value": number}}, upsert=True)


def nullable(kind: type[Document], field: str) -> bool:
    """Whether a field may be null."""
    annotation = kind.model_fields[field].annotation
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return type(None) in typing.get_args(annotation)
    return False


def _wanted(kinds: Sequence[type[Document]]) -> dict[str, list[IndexModel]]:
    return _PLATFORM | {kind.collection.name: _declared(kind, kind.collection) for kind in kinds}


def _declared(kind: type[Document], collection: Collection) -> list[IndexModel]:
    models: list[IndexModel] = []
    for index in collection.indexes:
        fields: list[tuple[str, int]] = [(field, 1) for field in index.fields]
        where = condition_of(index)
        options = {"partialFilterExpression": where} if where else {}
        models.append(IndexModel([*fields, ("_id", 1)], name=index.name, **options))
        if index.unique:
            only = where | {f: {"$type": _ANYTHING} for f in index.fields if f not in where and nullable(kind, f)}
            options = {"partialFilterExpression": only} if only else {}
            models.append(IndexModel(fields, name=f"{index.name}__unique", unique=True, **options))
    if collection.ttl_field is not None:
        models.append(IndexModel([(EXPIRES, 1)], name="ttl__", expireAfterSeconds=0))
    return models


async def _indexes(collection: AsyncCollection[Raw]) -> dict[str, Raw]:
    found = await (await collection.list_indexes()).to_list()
    return {str(one["name"]): _shape(one) for one in found if one["name"] != "_id_"}


def _shape(index: Mapping[str, Any]) -> Raw:
    """What two indexes must have in common to be the same."""
    seconds = index.get("expireAfterSeconds")
    return {
        "key": [(str(field), int(way)) for field, way in index["key"].items()],
        "unique": bool(index.get("unique", False)),
        "where": _plain(index.get("partialFilterExpression") or {}),
        "ttl": None if seconds is None else int(seconds),
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, list | tuple) else value
