"""The platform's OpenAPI 3.1 document, put together from the documents of the services.

The gateway's table says which operations are reachable; what a service documents beside them is left out. Schemas keep
their names where services agree on them, and get the service's name in front where two mean different things.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from nija_gateway.domain.routes import Route

Json = dict[str, Any]

TITLE = "NIJA platform API"
VERSION = "2.0"
DESCRIPTION = """Trading bots for many users: bots, positions, statistics, subscriptions, administration.

Every JSON answer under `/api/v1` has the envelope `{success, data | error, timestamp}`. Calls with a token carry
`Authorization: Bearer <access token>` and are told their limit in `X-RateLimit-Limit`, `X-RateLimit-Remaining` and
`X-RateLimit-Reset`. Live updates are a WebSocket at `/ws/v1`: send `{"type": "auth", "token": "Bearer …"}` first, then
`{"type": "subscribe", "channel": "positions" | "trades" | "alerts"}`."""
_REFERENCE = "#/components/schemas/"


def put_together(documents: Mapping[str, Json], routes: Iterable[Route], server_url: str) -> Json:
    """One document of the operations in `routes`. `documents` by service; raises KeyError for one that is missing."""
    shared, own = _names(documents)
    paths: Json = {}
    for route in routes:
        operation = documents[route.service].get("paths", {}).get(route.path, {}).get(route.method.lower())
        if operation is not None:
            paths.setdefault(route.path, {})[route.method.lower()] = _renamed(operation, own[route.service])
    return {
        "openapi": "3.1.0",
        "info": {
            "title": TITLE,
            "version": VERSION,
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": server_url}],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(shared.items())),
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
            "parameters": {"IdempotencyKey": _IDEMPOTENCY_KEY},
            "headers": _HEADERS,
        },
    }


def _names(documents: Mapping[str, Json]) -> tuple[Json, dict[str, dict[str, str]]]:
    """All schemas by their final names, and for each service the names that had to change."""
    schemas = {service: document.get("components", {}).get("schemas", {}) for service, document in documents.items()}
    seen: dict[str, list[Json]] = {}
    for own in schemas.values():
        for name, schema in own.items():
            variants = seen.setdefault(name, [])
            if schema not in variants:
                variants.append(schema)
    renamed = {
        service: {name: f"{_capitals(service)}{name}" for name in own if len(seen[name]) > 1}
        for service, own in schemas.items()
    }
    final: Json = {}
    for service, own in schemas.items():
        for name, schema in own.items():
            final[renamed[service].get(name, name)] = _renamed(schema, renamed[service])
    return final, renamed


def _renamed(node: Any, names: Mapping[str, str]) -> Any:
    """A copy in which references follow the new names."""
    if isinstance(node, dict):
        return {
            key: _reference(value, names) if key == "$ref" else _renamed(value, names) for key, value in node.items()
        }
    if isinstance(node, list):
        return [_renamed(item, names) for item in node]
    return node


def _reference(value: str, names: Mapping[str, str]) -> str:
    name = value.removeprefix(_REFERENCE)
    return f"{_REFERENCE}{names[name]}" if value.startswith(_REFERENCE) and name in names else value


def _capitals(service: str) -> str:
    return "".join(part.capitalize() for part in re.split(r"[-_]", service))


_IDEMPOTENCY_KEY: Json = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Makes a repetition safe: the same key and body give the first answer again, for 24 hours.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}
_HEADERS: Json = {
    "RequestId": {
        "description": "Names the request in logs; send your own to find it.",
        "required": True,
        "schema": {"type": "string", "minLength": 1},
    },
    "RateLimit": {
        "description": "Calls that the account has in a minute.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    },
    "RateLimitRemaining": {
        "description": "Calls that are left of them.",
        "required": True,
        "schema": {"type": "integer", "minimum": 0},
    },
    "RateLimitReset": {
        "description": "When all of them are there again, in seconds since 1970.",
        "required": True,
        "schema": {"type": "integer", "minimum": 0},
    },
    "RetryAfter": {"description": "Seconds to wait before the next try.", "schema": {"type": "integer", "minimum": 0}},
}
