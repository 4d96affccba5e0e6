"""What a stored document is, and how a collection declares its indexes.

A document is a frozen value. `version` is the one it was read with (0: not stored yet); saving it succeeds
only while the stored version is still that one. Bodies hold JSON values only: text, booleans, integers
(up to 64 bits), floats, lists, objects. Amounts are integers of 1e-8, times UTC milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

Scalar = str | int | bool
"""What an index may hold."""


@dataclass(frozen=True, slots=True)
class Index:
    """One index, serving one named query.

    `fields`: top-level fields, in order (text, integer, boolean or null). `unique` together with `where`
    (field, value) means: unique among the documents whose field has that value.
    """

    name: str
    fields: tuple[str, ...]
    unique: bool = False
    where: tuple[str, Scalar] | None = None


@dataclass(frozen=True, slots=True)
class Collection:
    """A named set of documents of one class. `ttl_field`: UTC milliseconds after which a row may be dropped."""

    name: str
    indexes: tuple[Index, ...] = ()
    ttl_field: str | None = None

    def index(self, name: str) -> Index:
        """The declared index of that name; KeyError if there is none."""
        for index in self.indexes:
            if index.name == name:
                return index
        raise KeyError(f"collection {self.name} declares no index {name}")


class Document(BaseModel):
    """Base of every stored document. A subclass sets `collection`."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    collection: ClassVar[Collection]

    id: str
    version: int = 0


def slim(*models: BaseModel) -> None:
    """Lets frozen models, and those that are their fields, share what each has of its own although it is the same for all
    of a kind: the set of the names of the fields that it was given, which is half of what a small model takes. For
    whoever keeps thousands of documents in memory."""
    for model in models:
        names = frozenset(model.__pydantic_fields_set__)
        object.__setattr__(model, "__pydantic_fields_set__", _shared(names))
        for value in vars(model).values():
            parts = value.values() if isinstance(value, dict) else value if isinstance(value, tuple) else (value,)
            slim(*(part for part in parts if isinstance(part, BaseModel)))


@cache
def _shared(names: frozenset[str]) -> set[str]:
    return set(names)
