"""What the tests of the SQLite file share: documents, events, and an open database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import ClassVar

import pytest

from nija_common.events.topics import Kind, Topic
from nija_common.storage.sqlite import SqliteDatabase
from nija_common.values.clock import ManualClock
from nija_common.values.document import Collection, Document, Index

FACTS = Topic("nija-suite-facts", Kind.FACT, "user", partitions=3)
STATES = Topic("nija-suite-states", Kind.STATE, "user", partitions=3)
WAKE_UPS = Topic("nija-suite-wake-ups", Kind.WAKE_UP, "user", partitions=3)


class Note(Document):
    """A document with indexes of every kind and a time after which it may go."""

    collection: ClassVar[Collection] = Collection(
        "notes",
        (
            Index("by_owner", ("owner", "written_at")),
            Index("by_read", ("owner", "read_at")),
            Index("by_title", ("title",), unique=True),
            Index("one_pinned", ("owner",), unique=True, where=("status", "it's pinned")),
        ),
        ttl_field="gone_at",
    )
    owner: str = "u1"
    title: str
    status: str = "plain"
    written_at: int = 0
    read_at: int | None = None
    gone_at: int | None = None
    number: int = 0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "nija.sqlite3"


@pytest.fixture
async def database(path: Path, clock: ManualClock) -> AsyncIterator[SqliteDatabase]:
    async with SqliteDatabase.open(path, clock) as opened:
        await opened.storage("notes").migrate([Note])
        yield opened


@pytest.fixture
def note() -> type[Note]:
    return Note


@pytest.fixture
def facts() -> Topic:
    return FACTS


@pytest.fixture
def states() -> Topic:
    return STATES


@pytest.fixture
def wake_ups() -> Topic:
    return WAKE_UPS
