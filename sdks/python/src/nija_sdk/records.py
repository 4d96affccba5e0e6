"""Answers: dictionaries whose fields are attributes as well, nested ones too.

    balance = client.account.balance()
    balance.cash == balance["cash"]

A field that a newer platform adds is there in the same way; one that is missing raises AttributeError or KeyError.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self


class Record(dict[str, Any]):
    """One object of an answer. Subclasses say what fields there are and which of them are records again."""

    _records: ClassVar[Mapping[str, type[Record]]] = {}
    """Fields that hold a record, or a list of them."""

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Self:
        """The record of a JSON object."""
        made = cls()
        for name, value in data.items():
            made[name] = _nested(cls._records.get(name, Record), value)
        return made

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"{type(self).__name__} has no field {name!r}") from None


def _nested(kind: type[Record], value: Any) -> Any:
    if isinstance(value, Mapping):
        return kind.of(value)
    if isinstance(value, list):
        return [_nested(kind, item) for item in value]
    return value
