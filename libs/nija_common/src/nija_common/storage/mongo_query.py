"""Turns `find` and `count` of the storage port into MongoDB filters that walk one declared index, and back into cursors."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence
from typing import Any

import orjson

from nija_common.storage.mongo_schema import Raw, condition_of
from nija_common.storage.port import Range
from nija_common.values.document import Document, Scalar


class Select:
    """What both queries share: the index and the conditions of equality and range.

    Raises KeyError for an undeclared index, ValueError for conditions that do not fit it.
    """

    def __init__(self, kind: type[Document], index: str, equals: Sequence[Scalar], within: Range | None) -> None:
        declared = kind.collection.index(index)
        if len(equals) > len(declared.fields):
            raise ValueError(f"index {index} has {len(declared.fields)} fields, {len(equals)} values were given")
        if within is not None and len(equals) == len(declared.fields):
            raise ValueError(f"index {index} has no field left for a range")
        if any(value is None for value in equals):
            raise ValueError("null cannot be asked for")
        self.index = index
        self._names = [*declared.fields[len(equals) :], "_id"]
        self._conditions: list[Raw] = [{f: v} for f, v in zip(declared.fields, equals, strict=False)]
        if where := condition_of(declared):
            self._conditions.append(where)
        if within is not None:
            bounds = {"$gte": within.low, "$lt": within.high}
            # Comparisons hold between values of one kind only, so null is outside of every bound.
            given = {sign: bound for sign, bound in bounds.items() if bound is not None}
            if given:
                self._conditions.append({self._names[0]: given})
        self._mark = hashlib.blake2b(orjson.dumps([index, list(equals), within and [within.low, within.high]]))

    @property
    def filter(self) -> Raw:
        """What `count` counts."""
        return {"$and": self._conditions} if self._conditions else {}

    def after(self, cursor: str, descending: bool) -> Raw:
        """The same, behind a cursor of this query. Raises ValueError for any other."""
        return {"$and": [*self._conditions, self._behind(self._read(cursor, descending), descending)]}

    def sort(self, descending: bool) -> list[tuple[str, int]]:
        way = -1 if descending else 1
        return [(name, way) for name in self._names]

    def cursor(self, row: Raw, descending: bool) -> str:
        """The cursor that goes on after this row."""
        place = [row.get(name) for name in self._names]
        return base64.urlsafe_b64encode(orjson.dumps([self._signature(descending), *place])).decode().rstrip("=")

    def _signature(self, descending: bool) -> str:
        mark = self._mark.copy()
        mark.update(b"down" if descending else b"up")
        return mark.hexdigest()[:12]

    def _read(self, text: str, descending: bool) -> list[Any]:
        try:
            parts = orjson.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
        except (binascii.Error, orjson.JSONDecodeError, ValueError) as error:
            raise ValueError("not a cursor") from error
        fits = isinstance(parts, list) and len(parts) == len(self._names) + 1
        if not fits or parts[0] != self._signature(descending):
            raise ValueError("a cursor of another query")
        if not all(value is None or isinstance(value, str | int) for value in parts):
            raise ValueError("not a cursor")
        return list(parts[1:])

    def _behind(self, last: Sequence[Any], descending: bool) -> Raw:
        """Field by field: alike in those before, further in this one. Null comes before everything."""
        ways: list[Raw] = []
        for i, name in enumerate(self._names):
            same = [{earlier: last[j]} for j, earlier in enumerate(self._names[:i])]
            if last[i] is None:
                if not descending:
                    ways.append({"$and": [*same, {name: {"$ne": None}}]})
            elif descending:
                ways.append({"$and": [*same, {"$or": [{name: {"$lt": last[i]}}, {name: None}]}]})
            else:
                ways.append({"$and": [*same, {name: {"$gt": last[i]}}]})
        return {"$or": ways}
