"""Events of a version stay readable: within one only optional additions are allowed.

`frozen/` holds the schema of each version as it was first published, its example included. These files are never
generated again: a change that this test refuses is a new version with an upcaster.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nija_common.events.base import Emission, Event
from nija_common.events.catalogue import EVENTS, UPCASTERS, codec
from nija_common.events.codec import encode

FROZEN = sorted((Path(__file__).parent / "frozen").glob("*.json"))
CLASSES = {event.type: event for event in EVENTS}


def name_and_version(path: Path) -> tuple[str, int]:
    name, _, version = path.stem.rpartition(".v")
    return name, int(version)


def incompatible(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What a reader of the old schema would miss in the new one, or a writer of the old one fail at."""
    before, after = old.get("properties", {}), new.get("properties", {})
    found = [f"{field} is gone" for field in before if field not in after]
    found += [
        f"{field} was {_shape(before[field])} and is {_shape(after[field])}"
        for field in before
        if field in after and _shape(before[field]) != _shape(after[field])
    ]
    found += [f"{field} is required now" for field in new.get("required", []) if field not in old.get("required", [])]
    return found


def _shape(schema: dict[str, Any]) -> str:
    kept = {k: v for k, v in schema.items() if k in ("type", "anyOf", "enum", "const", "$ref", "items", "prefixItems")}
    return json.dumps(kept, sort_keys=True)


@pytest.mark.parametrize("path", FROZEN, ids=lambda p: p.stem)
def test_a_published_version_is_only_ever_added_to(path: Path) -> None:
    name, version = name_and_version(path)
    event = CLASSES[name]
    if event.schema_version == version:
        schema = event.model_json_schema(mode="serialization")
        assert not incompatible(json.loads(path.read_text("utf-8")), schema)
    else:
        assert (name, version) in UPCASTERS


@pytest.mark.parametrize("path", FROZEN, ids=lambda p: p.stem)
def test_a_published_example_is_still_read(path: Path) -> None:
    name, version = name_and_version(path)
    (data,) = json.loads(path.read_text("utf-8"))["examples"]
    emission = Emission("evt_1", CLASSES[name].topic, "k", 0, name, version, "s", 1, "c", None, None, data)
    value, _ = encode(emission, seq=1, incarnation=1)
    assert codec().decode(value, key="k", partition=0, offset=0) is not None


@pytest.mark.parametrize("event", EVENTS, ids=lambda e: e.type)
def test_every_version_has_been_published(event: type[Event]) -> None:
    assert (event.type, event.schema_version) in {name_and_version(path) for path in FROZEN}


def test_the_check_notices_what_breaks_a_reader() -> None:
    old = {"properties": {"a": {"type": "string"}, "b": {"type": "integer"}}, "required": ["a"]}
    assert incompatible(old, {"properties": {"a": {"type": "string"}}, "required": ["a"]}) == ["b is gone"]
    assert len(incompatible(old, {"properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}})) == 1
    assert incompatible(old, {**old, "required": ["a", "b"]}) == ["b is required now"]
    assert not incompatible(old, {"properties": {**old["properties"], "c": {"type": "null"}}, "required": ["a"]})  # type: ignore[dict-item]
