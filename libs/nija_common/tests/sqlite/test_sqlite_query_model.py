"""`find`, its cursors and `count` against a plain list, for any documents and any query that fits the index."""

from __future__ import annotations

import sqlite3
from typing import Any, ClassVar

from hypothesis import given
from hypothesis import strategies as st

from nija_common.storage.port import Range
from nija_common.storage.sqlite_query import Select
from nija_common.storage.sqlite_schema import migrate, table_of
from nija_common.values.document import Collection, Document, Index

FIELDS = ("shop", "price", "sold")


class Item(Document):
    collection: ClassVar[Collection] = Collection(
        "items", (Index("all", FIELDS), Index("cheap", ("price", "shop"), where=("sold", True)))
    )
    shop: str
    price: int | None
    sold: bool | None


shops = st.sampled_from(["", "a", "a'b", "ab", "b", "é", "\U0001f600"])
prices = st.integers(-3, 3)
items = st.lists(st.tuples(shops, st.none() | prices, st.none() | st.booleans()), max_size=25)


def open_with(rows: list[tuple[Any, ...]]) -> tuple[sqlite3.Connection, list[Item]]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection, "shop", [Item])
    made = [
        Item(id=f"i{n:02}", shop=shop, price=price, sold=sold, version=1) for n, (shop, price, sold) in enumerate(rows)
    ]
    connection.executemany(
        f"INSERT INTO {table_of('shop', Item.collection)} (id, version, body) VALUES (?, 1, ?)",
        [(item.id, item.model_dump_json()) for item in made],
    )
    return connection, made


def null_first(value: Any) -> tuple[bool, Any]:
    return (value is not None, value if value is not None else 0)


def expected(
    found: list[Item], fields: tuple[str, ...], equals: list[Any], within: Range | None, descending: bool
) -> list[str]:
    for field, value in zip(fields, equals, strict=False):
        found = [item for item in found if getattr(item, field) == value and getattr(item, field) is not None]
    if within is not None and (within.low is not None or within.high is not None):
        field = fields[len(equals)]
        found = [item for item in found if getattr(item, field) is not None]
        found = [item for item in found if within.low is None or getattr(item, field) >= within.low]
        found = [item for item in found if within.high is None or getattr(item, field) < within.high]
    found.sort(key=lambda item: [*(null_first(getattr(item, field)) for field in fields), item.id])
    return [item.id for item in (reversed(found) if descending else found)]


def walked(
    connection: sqlite3.Connection, index: str, equals: list[Any], within: Range | None, descending: bool, limit: int
) -> list[str]:
    found: list[str] = []
    after: str | None = None
    while True:
        select = Select("shop", Item, index, equals, within)
        query = select.find(limit, descending, after, 0)
        rows = connection.execute(query.sql, query.values).fetchall()
        found += [Item.model_validate_json(row[0]).id for row in rows[:limit]]
        if len(rows) <= limit:
            return found
        after = select.cursor(rows[limit - 1], descending)


@given(data=st.data(), rows=items, descending=st.booleans(), limit=st.integers(1, 7))
def test_paging_through_any_query_lists_what_a_sorted_list_would(
    data: st.DataObject, rows: list[tuple[Any, ...]], descending: bool, limit: int
) -> None:
    index = data.draw(st.sampled_from(Item.collection.indexes))
    values: dict[str, st.SearchStrategy[Any]] = {"shop": shops, "price": prices, "sold": st.booleans()}
    equals = [data.draw(values[field]) for field in index.fields[: data.draw(st.integers(0, len(index.fields)))]]
    within = None
    if len(equals) < len(index.fields):
        bound = st.none() | values[index.fields[len(equals)]]
        within = data.draw(st.none() | st.builds(Range, bound, bound))
    connection, made = open_with(rows)
    try:
        kept = made if index.where is None else [item for item in made if item.sold is True]
        wanted = expected(kept, index.fields, equals, within, descending)
        assert walked(connection, index.name, equals, within, descending, limit) == wanted
        counted = Select("shop", Item, index.name, equals, within).count()
        assert connection.execute(counted.sql, counted.values).fetchall() == [(len(wanted),)]
    finally:
        connection.close()
