"""The API document as an SDK sees it: groups of methods with parameters, and the records they answer.

Knows neither Python nor TypeScript. A method is named after the last part of its path; `NAMES` has those for which
that is not enough.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Json = dict[str, Any]

API = "/api/v1"
REFERENCE = "#/components/schemas/"
GROUPS = ("auth", "trading", "account", "config", "subscription", "analytics", "admin")

NAMES: dict[str, str] = {
    "POST /auth/reset-password/confirm": "confirm_reset_password",
    "POST /trading/positions/{position_id}/close": "close_position",
    "PUT /config/settings": "update_settings",
    "POST /config/brokers": "add_broker",
    "DELETE /config/brokers/{broker_id}": "remove_broker",
    "POST /config/brokers/{broker_id}/test": "test_broker",
    "POST /config/webhook-key": "rotate_webhook_key",
    "GET /admin/users/{user_id}": "user",
    "PUT /admin/users/{user_id}": "update_user",
    "DELETE /admin/kill-switch": "release_kill_switch",
}


@dataclass(frozen=True, slots=True)
class Type:
    """A type: a scalar, one of some values, a list, a record, or anything; `nullable` besides."""

    kind: Literal["string", "integer", "number", "boolean", "values", "list", "record", "any"]
    values: tuple[Any, ...] = ()
    of: Type | None = None
    record: str = ""
    nullable: bool = False


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument of a method."""

    name: str
    place: Literal["path", "query", "body"]
    type: Type
    required: bool


@dataclass(frozen=True, slots=True)
class Method:
    """One operation."""

    group: str
    name: str
    http: str
    path: str
    summary: str
    parameters: tuple[Parameter, ...]
    answer: str
    takes_key: bool


@dataclass(frozen=True, slots=True)
class RecordType:
    """One object of answers or bodies: its fields in order; those that may be absent are named in `optional`."""

    name: str
    fields: dict[str, Type]
    optional: frozenset[str]


@dataclass(slots=True)
class Shape:
    """Everything an SDK is generated from."""

    methods: list[Method] = field(default_factory=list)
    records: dict[str, RecordType] = field(default_factory=dict)


def shape_of(document: Json) -> Shape:
    """The shape of the whole document, in the document's order.

    Raises ValueError where two operations would have one name, or an answer is no object with fields.
    """
    return _Reader(document).read()


class _Reader:
    def __init__(self, document: Json) -> None:
        self._schemas: Json = document["components"]["schemas"]
        self._parameters: Json = document["components"].get("parameters", {})
        self._document = document
        self._shape = Shape()

    def read(self) -> Shape:
        for path, item in self._document["paths"].items():
            group = path.removeprefix(f"{API}/").split("/")[0]
            if path.startswith(API) and group in GROUPS:
                for http, operation in item.items():
                    self._shape.methods.append(self._method(group, http.upper(), path.removeprefix(API), operation))
        names = [f"{method.group}.{method.name}" for method in self._shape.methods]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(f"NAMES must tell apart: {', '.join(sorted(twice))}")
        self._shape.records = dict(sorted(self._shape.records.items()))
        return self._shape

    def _method(self, group: str, http: str, path: str, operation: Json) -> Method:
        listed = [
            self._parameters[p["$ref"].rsplit("/", 1)[1]] if "$ref" in p else p for p in operation.get("parameters", ())
        ]
        body = operation.get("requestBody")
        parameters = [
            # A query has no null: what is not asked for is left out.
            Parameter(
                p["name"],
                p["in"],
                replace(self._type(p["schema"], p["name"]), nullable=False),
                p.get("required", False),
            )
            for p in listed
            if p["in"] in ("path", "query")
        ]
        if body is not None:
            # What may come in either place is sent in the query: not everything between here and there passes the
            # body of a DELETE on.
            asked = {parameter.name for parameter in parameters}
            inner = self._body(body["content"]["application/json"]["schema"])
            parameters += [parameter for parameter in inner if parameter.name not in asked]
        parameters.sort(key=lambda p: not p.required)
        return Method(
            group=group,
            name=method_name(http, path),
            http=http,
            path=path,
            summary=operation.get("description", "").strip(),
            parameters=tuple(parameters),
            answer=self._answer(operation, http, path),
            takes_key=any(p["name"] == "Idempotency-Key" for p in listed),
        )

    def _body(self, schema: Json) -> Iterator[Parameter]:
        schema = self._object(schema)
        for name, part in schema.get("properties", {}).items():
            yield Parameter(name, "body", self._type(part, name), name in schema.get("required", ()))

    def _object(self, schema: Json) -> Json:
        """The object behind references and `null`."""
        schema = self._resolved(schema)
        for part in schema.get("anyOf", ()):
            if self._resolved(part).get("type") != "null":
                return self._object(part)
        return schema

    def _answer(self, operation: Json, http: str, path: str) -> str:
        success = next(answer for status, answer in operation["responses"].items() if status.startswith("2"))
        data = success["content"]["application/json"]["schema"]["properties"]["data"]
        made = self._type(data, f"{_title(method_name(http, path))}Answer")
        if made.kind != "record":
            raise ValueError(f"{http} {path} answers {made.kind}, not an object with fields")
        return made.record

    def _resolved(self, schema: Json) -> Json:
        while "$ref" in schema:
            schema = self._schemas[schema["$ref"].removeprefix(REFERENCE)]
        return schema

    def _type(self, schema: Json, name: str) -> Type:
        if "anyOf" in schema:
            return self._union(schema["anyOf"], name)
        if "$ref" in schema:
            name = schema["$ref"].removeprefix(REFERENCE)
            schema = self._resolved(schema)
        if "const" in schema:
            return Type("values", values=(schema["const"],))
        if "enum" in schema:
            return Type("values", values=tuple(schema["enum"]))
        kind = schema.get("type")
        if kind == "array":
            return Type("list", of=self._type(schema.get("items", {}), name))
        if kind == "object" and "properties" in schema:
            return Type("record", record=self._record(name, schema))
        if kind in ("string", "integer", "number", "boolean"):
            return Type(kind)
        return Type("any")

    def _union(self, parts: list[Json], name: str) -> Type:
        solid = [part for part in parts if part.get("type") != "null"]
        types = [self._type(part, name) for part in solid]
        nullable = len(solid) < len(parts)
        if len({type_.kind for type_ in types} - {"integer", "number"}) == 0 and types:
            return Type("number" if any(t.kind == "number" for t in types) else "integer", nullable=nullable)
        if types and all(type_.kind == "values" for type_ in types):
            return Type("values", values=tuple(value for type_ in types for value in type_.values), nullable=nullable)
        first = types[0] if len(types) == 1 else Type("any")
        return Type(first.kind, first.values, first.of, first.record, nullable)

    def _record(self, name: str, schema: Json) -> str:
        name = _title(name)
        if name not in self._shape.records:
            # Held open first: a record may hold itself.
            self._shape.records[name] = RecordType(name, {}, frozenset())
            fields = {part: self._type(inner, f"{name}_{part}") for part, inner in schema["properties"].items()}
            required = set(schema.get("required", ()))
            self._shape.records[name] = RecordType(name, fields, frozenset(set(fields) - required))
        return name


def method_name(http: str, path: str) -> str:
    """The name of an operation's method, in snake case."""
    named = NAMES.get(f"{http} {path}")
    if named is not None:
        return named
    parts = [part for part in path.split("/") if part and not part.startswith("{")]
    return parts[-1].replace("-", "_")


def _title(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"[_\-\s]+", name) if part)
