"""Puts the examples of the API reference into the document: a request and an answer for each operation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]
Examples = Mapping[str, Json]
"""`METHOD /path` -> {"request": body, "response": whole answer}; either may be absent."""


def with_examples(document: Json, examples: Examples) -> Json:
    """A copy of the document in which every operation that has examples shows them."""
    paths = {
        path: {
            method: _shown(operation, examples.get(f"{method.upper()} {path}", {}))
            for method, operation in item.items()
        }
        for path, item in document["paths"].items()
    }
    return {**document, "paths": paths}


def _shown(operation: Json, example: Json) -> Json:
    shown = dict(operation)
    if "request" in example and "requestBody" in operation:
        shown["requestBody"] = _in_content(operation["requestBody"], example["request"])
    if "response" in example:
        success = next(status for status in operation["responses"] if status.startswith("2"))
        answers = dict(operation["responses"])
        answers[success] = _in_content(answers[success], example["response"])
        shown["responses"] = answers
    return shown


def _in_content(part: Json, example: Any) -> Json:
    content = {
        kind: {**media, "example": example} if kind == "application/json" else media
        for kind, media in part.get("content", {}).items()
    }
    return {**part, "content": content} if content else part
