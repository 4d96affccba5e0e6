"""The envelope round-trips; what cannot be read says so; older versions are upcast, newer fields ignored."""

from __future__ import annotations

from typing import Any, ClassVar

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nija_common.events.base import Emission, Event
from nija_common.events.catalogue import EVENTS, codec
from nija_common.events.codec import Codec, Undecodable, encode
from nija_common.events.topics import USERS


def emission(event: Event) -> Emission:
    return Emission(
        id="evt_1",
        topic=event.topic,
        key=event.key(),
        partition=3,
        type=event.type,
        version=event.schema_version,
        source="auth",
        time_ms=1_769_683_320_123,
        correlation_id="req_1",
        causation_id=None,
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        data=event.model_dump(mode="json"),
    )


@pytest.mark.parametrize("cls", EVENTS, ids=lambda e: e.type)
def test_every_event_comes_back_as_it_went(cls: type[Event]) -> None:
    event = cls.model_validate(cls.example)
    value, headers = encode(emission(event), seq=7, incarnation=2)
    received = codec().decode(value, key=event.key(), partition=3, offset=11)
    assert received is not None
    assert received.event == event
    assert (received.seq, received.revision, received.offset) == (7, (2, 7), 11)
    assert headers["type"] == cls.type
    assert headers["traceparent"] == received.traceparent


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_never_more(value: bytes) -> None:
    try:
        assert codec().decode(value, key="k", partition=0, offset=0) is None
    except Undecodable as error:
        assert str(error)


class Renamed(Event):
    """Emitted never."""

    topic = USERS
    type = "test.renamed"
    schema_version = 3
    example: ClassVar[dict[str, Any]] = {"user_id": "u", "full_name": "n"}

    user_id: str
    full_name: str
    note: str | None = None


def _upcast_1(data: dict[str, Any]) -> dict[str, Any]:
    return {"user_id": data["user"], "name": data["name"]}


def _upcast_2(data: dict[str, Any]) -> dict[str, Any]:
    return {"user_id": data["user_id"], "full_name": data["name"]}


READER = Codec([Renamed], {("test.renamed", 1): _upcast_1, ("test.renamed", 2): _upcast_2})


def _bytes(version: int, data: dict[str, Any]) -> bytes:
    event = Renamed(user_id="u", full_name="n")
    value, _ = encode(emission(event), seq=1, incarnation=1)
    return orjson.dumps({**orjson.loads(value), "version": version, "data": data})


def test_an_older_version_is_upcast_step_by_step() -> None:
    received = READER.decode(_bytes(1, {"user": "u", "name": "n"}), key="u", partition=0, offset=0)
    assert received is not None
    assert received.event == Renamed(user_id="u", full_name="n")


def test_fields_of_a_newer_minor_version_are_ignored() -> None:
    received = READER.decode(_bytes(3, {"user_id": "u", "full_name": "n", "later": 1}), key="u", partition=0, offset=0)
    assert received is not None


@pytest.mark.parametrize(("version", "data"), [(4, {"user_id": "u", "full_name": "n"}), (3, {"user_id": "u"}), (1, {})])
def test_what_does_not_fit_is_undecodable(version: int, data: dict[str, Any]) -> None:
    with pytest.raises(Undecodable):
        READER.decode(_bytes(version, data), key="u", partition=0, offset=0)


def _with_more(value: Any, schema: dict[str, Any], definitions: dict[str, Any]) -> Any:
    """An unknown field in every object of the value that is a model."""
    schema = next((s for s in schema.get("anyOf", [schema]) if s.get("type") != "null"), schema)
    if "$ref" in schema:
        schema = definitions[schema["$ref"].rsplit("/", 1)[1]]
    if isinstance(value, dict) and "properties" in schema:
        inner = {name: _with_more(v, schema["properties"].get(name, {}), definitions) for name, v in value.items()}
        return {**inner, "added_later": {"deep": [1]}}
    if isinstance(value, list):
        return [_with_more(each, schema.get("items", {}), definitions) for each in value]
    return value


@pytest.mark.parametrize("cls", EVENTS, ids=lambda e: e.type)
def test_fields_that_a_next_version_adds_at_any_depth_are_ignored(cls: type[Event]) -> None:
    event = cls.model_validate(cls.example)
    written = orjson.loads(encode(emission(event), seq=7, incarnation=2)[0])
    schema = cls.model_json_schema()
    data = _with_more(written["data"], schema, schema.get("$defs", {}))
    assert data != written["data"]
    value = orjson.dumps({**written, "data": data, "added_later": 1})
    received = codec().decode(value, key=event.key(), partition=3, offset=11)
    assert received is not None
    assert received.event == event
