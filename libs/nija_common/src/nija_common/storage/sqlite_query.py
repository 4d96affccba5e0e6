"""Turns `find` and `count` of the storage port into SQL that walks one declared index, and back into cursors."""

from __future__ import annotations

import base64
import binascii
import hashlib
import sqlite3
import types
import typing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from nija_common.storage.port import Range
from nija_common.storage.sqlite_schema import column_of, condition_of, index_of, table_of
from nija_common.values.document import Document, Index, Scalar

Value = Scalar | None

_IDS_A_STATEMENT = 500


def listed(ids: Sequence[str]) -> Iterator[tuple[str, Sequence[str]]]:
    """The ids by as many as one statement takes, each time behind the marks that stand for them (`IN (marks)`)."""
    for i in range(0, len(ids), _IDS_A_STATEMENT):
        some = ids[i : i + _IDS_A_STATEMENT]
        yield ", ".join("?" * len(some)), some


def by_id(connection: sqlite3.Connection, table: str, column: str, ids: Sequence[str]) -> list[tuple[str, Any]]:
    """(id, that column) of those documents that exist."""
    rows: list[tuple[str, Any]] = []
    for marks, some in listed(ids):
        rows += connection.execute(f"SELECT id, {column} FROM {table} WHERE id IN ({marks})", some).fetchall()
    return rows


def last_seqs(
    connection: sqlite3.Connection, where: tuple[str, str, str], keys: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], int]:
    """The last applied `seq` of each (source, key) that has one; `where` is service, group and topic."""
    by_source: dict[str, list[str]] = {}
    for source, key in keys:
        by_source.setdefault(source, []).append(key)
    found: dict[tuple[str, str], int] = {}
    for source, names in by_source.items():
        for marks, some in listed(names):
            rows = connection.execute(
                "SELECT key, seq FROM sys_applied WHERE service = ? AND group_name = ? AND topic = ? "
                f"AND source = ? AND key IN ({marks})",
                (*where, source, *some),
            ).fetchall()
            found.update({(source, key): seq for key, seq in rows})
    return found


@dataclass(frozen=True, slots=True)
class Query:
    """A query on one index. Rows are (body, values of the index's fields…, id)."""

    sql: str
    values: tuple[Value, ...]


class Select:
    """What both queries share: table, index and the conditions of equality and range.

    Raises KeyError for an undeclared index, ValueError for conditions that do not fit it.
    """

    def __init__(
        self, service: str, kind: type[Document], index: str, equals: Sequence[Scalar], within: Range | None
    ) -> None:
        declared = kind.collection.index(index)
        if len(equals) > len(declared.fields):
            raise ValueError(f"index {index} has {len(declared.fields)} fields, {len(equals)} values were given")
        if within is not None and len(equals) == len(declared.fields):
            raise ValueError(f"index {index} has no field left for a range")
        if any(value is None for value in equals):
            raise ValueError("null cannot be asked for")
        self.index: Index = declared
        self.table = table_of(service, kind.collection)
        self.rest = declared.fields[len(equals) :]
        self.nullable = any(_nullable(kind, field) for field in self.rest)
        # Values of a unique index never tie, unless null is among them; then the id need not break ties.
        self.distinct = declared.unique and not any(_nullable(kind, field) for field in declared.fields)
        self.conditions = [f"{column_of(f)} = ?" for f in declared.fields[: len(equals)]]
        self.values: list[Value] = list(equals)
        where = condition_of(declared)
        if where is not None:
            self.conditions.append(where)
        if within is not None:
            column = column_of(self.rest[0])
            for sign, bound in ((">=", within.low), ("<", within.high)):
                if bound is not None:
                    self.conditions.append(f"{column} {sign} ?")
                    self.values.append(bound)
        self._mark = hashlib.blake2b(orjson.dumps([index, list(equals), within and [within.low, within.high]]))

    def count(self) -> Query:
        return Query(f"SELECT count(*) {self._source()}", tuple(self.values))

    def find(self, limit: int, descending: bool, after: str | None, skip: int) -> Query:
        if limit < 1:
            raise ValueError("limit must be at least 1")
        if skip < 0 or (skip and after is not None):
            raise ValueError("give either a cursor or a number to skip")
        if after is not None:
            self._go_on_after(self._read_cursor(after, descending), descending)
        way = " DESC" if descending else ""
        names = [*map(column_of, self.rest), *(() if self.distinct else ("id",))]
        order = f" ORDER BY {', '.join(f'{name}{way}' for name in names)}" if names else ""
        columns = ", ".join(("body", *map(column_of, self.rest), "id"))
        sql = f"SELECT {columns} {self._source()}{order} LIMIT ? OFFSET ?"
        return Query(sql, (*self.values, limit + 1, skip))

    def cursor(self, row: Sequence[Value], descending: bool) -> str:
        """The cursor that goes on after this row."""
        return base64.urlsafe_b64encode(orjson.dumps([self._signature(descending), *row[1:]])).decode().rstrip("=")

    def _source(self) -> str:
        where = f" WHERE {' AND '.join(self.conditions)}" if self.conditions else ""
        return f"FROM {self.table} INDEXED BY {index_of(self.table, self.index)}{where}"

    def _signature(self, descending: bool) -> str:
        mark = self._mark.copy()
        mark.update(b"down" if descending else b"up")
        return mark.hexdigest()[:12]

    def _read_cursor(self, text: str, descending: bool) -> list[Value]:
        try:
            parts = orjson.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
        except (binascii.Error, orjson.JSONDecodeError, ValueError) as error:
            raise ValueError("not a cursor") from error
        fits = isinstance(parts, list) and len(parts) == len(self.rest) + 2
        if not fits or parts[0] != self._signature(descending):
            raise ValueError("a cursor of another query")
        if not all(value is None or isinstance(value, str | int) for value in parts):
            raise ValueError("not a cursor")
        return list(parts[1:])

    def _go_on_after(self, last: list[Value], descending: bool) -> None:
        names = [*map(column_of, self.rest), "id"]
        sign = "<" if descending else ">"
        if not self.nullable:
            self.conditions.append(f"({', '.join(names)}) {sign} ({', '.join('?' * len(names))})")
            self.values.extend(last)
            return
        # Row values compare null with nothing, so the order "null first" is spelled out, field by field.
        ways: list[str] = []
        values: list[Value] = []
        for i, name in enumerate(names):
            same = [f"{earlier} IS ?" for earlier in names[:i]]
            if last[i] is None:
                further = "0" if descending else f"{name} IS NOT NULL"
                used: list[Value] = last[:i]
            else:
                further = f"({name} < ? OR {name} IS NULL)" if descending else f"{name} > ?"
                used = last[: i + 1]
            ways.append(f"({' AND '.join([*same, further])})")
            values.extend(used)
        if last[0] is not None and not descending:
            self.conditions.append(f"{names[0]} >= ?")  # lets the walk begin here
            self.values.append(last[0])
        self.conditions.append(f"({' OR '.join(ways)})")
        self.values.extend(values)


def _nullable(kind: type[Document], field: str) -> bool:
    annotation = kind.model_fields[field].annotation
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return type(None) in typing.get_args(annotation)
    return False
