"""Every query of the port walks its index: none sorts, none reads the whole table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import pytest

from nija_common.errors import ErrorCode, NijaError
from nija_common.storage.port import Commit, Range
from nija_common.storage.sqlite import SqliteDatabase
from nija_common.storage.sqlite_query import Query, Select
from nija_common.values.document import Collection, Document, Index


async def plan(database: SqliteDatabase, query: Query) -> str:
    rows = await database.engine.read(
        lambda connection: connection.execute(f"EXPLAIN QUERY PLAN {query.sql}", query.values).fetchall()
    )
    return " / ".join(row[3] for row in rows)


@pytest.mark.parametrize(
    ("index", "equals", "within", "walk"),
    [
        ("by_owner", ["u1"], None, "by_owner (f_owner=?)"),
        ("by_owner", ["u1", 5], None, "by_owner (f_owner=? AND f_written_at=?)"),
        ("by_owner", ["u1"], Range(1, 9), "by_owner (f_owner=? AND f_written_at>? AND f_written_at<?)"),
        ("by_read", ["u1"], Range(low=1), "by_read (f_owner=? AND f_read_at>?)"),
        ("by_title", [], Range.prefix("a"), "by_title (f_title>? AND f_title<?)"),
        ("one_pinned", ["u1"], None, "one_pinned (f_owner=?)"),
    ],
)
@pytest.mark.parametrize("descending", [False, True])
async def test_find_and_count_search_the_index_and_sort_nothing(
    database: SqliteDatabase,
    note: type[Document],
    index: str,
    equals: Sequence[Any],
    within: Range | None,
    walk: str,
    descending: bool,
) -> None:
    select = Select("notes", note, index, equals, within)
    for query in (select.count(), select.find(10, descending, None, 0)):
        found = await plan(database, query)
        assert found.startswith("SEARCH notes__notes USING") and found.endswith(walk), found


@pytest.mark.parametrize("descending", [False, True])
async def test_a_cursor_begins_its_walk_where_the_last_page_ended(
    database: SqliteDatabase, note: type[Document], descending: bool
) -> None:
    first = Select("notes", note, "by_owner", ["u1"], None)
    after = first.cursor(["body", 7, "note_1"], descending)
    query = Select("notes", note, "by_owner", ["u1"], None).find(10, descending, after, 0)
    sign = "<" if descending else ">"
    assert (await plan(database, query)).endswith(f"by_owner (f_owner=? AND (f_written_at,id){sign}(?,?))")


async def test_a_cursor_over_a_field_that_may_be_null_walks_on_too(
    database: SqliteDatabase, note: type[Document]
) -> None:
    after = Select("notes", note, "by_read", ["u1"], None).cursor(["body", 7, "note_1"], False)
    query = Select("notes", note, "by_read", ["u1"], None).find(10, False, after, 0)
    assert (await plan(database, query)).endswith("by_read (f_owner=? AND f_read_at>?)")


async def test_a_whole_index_is_walked_in_its_order(database: SqliteDatabase, note: type[Document]) -> None:
    query = Select("notes", note, "by_owner", [], None).find(10, False, None, 0)
    assert await plan(database, query) == "SCAN notes__notes USING INDEX notes__notes__by_owner"


async def test_an_index_declared_otherwise_is_told_and_made_anew(
    database: SqliteDatabase, note: type[Document]
) -> None:
    class Other(Document):
        collection: ClassVar[Collection] = Collection("notes", (Index("by_owner", ("owner", "title")),))
        owner: str
        title: str

    storage = database.storage("notes")
    found = await storage.differences([Other])
    assert "index notes__notes__by_owner is declared otherwise" in found
    assert "index notes__notes__by_read is declared by nobody" in await storage.unknown([Other])
    assert "collection notes is declared by nobody" in await storage.unknown([])
    assert await storage.unknown([note]) == []
    await storage.migrate([Other])
    assert "index notes__notes__by_owner is declared otherwise" not in await storage.differences([Other])


async def test_a_unique_index_over_what_is_not_unique_is_refused_and_changes_nothing(
    database: SqliteDatabase, note: Any
) -> None:
    class Stricter(Document):
        collection: ClassVar[Collection] = Collection("notes", (Index("by_number", ("number",), unique=True),))
        number: int

    storage = database.storage("notes")
    await storage.commit(Commit("c1", saves=[note(id="a", title="a"), note(id="b", title="b")]))
    with pytest.raises(NijaError) as caught:
        await storage.migrate([Stricter])
    assert caught.value.code is ErrorCode.DATABASE_ERROR
    assert await storage.differences([note]) == []
