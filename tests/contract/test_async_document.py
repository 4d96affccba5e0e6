"""docs/asyncapi.json is an AsyncAPI 3 document by the official schema, and what it says is what travels."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from nija_cli.async_document import async_document
from nija_cli.services import SERVICES
from nija_common.events.catalogue import EVENTS
from nija_common.events.topics import SHARED_TOPICS

OFFICIAL = Path(__file__).with_name("data") / "asyncapi-3.0.0.schema.json.gz"
DOCUMENT = async_document()


def test_the_official_schema_accepts_the_document_and_refuses_a_broken_one() -> None:
    validator = Draft7Validator(json.loads(gzip.decompress(OFFICIAL.read_bytes())))
    errors = [
        f"{'/'.join(map(str, error.absolute_path))}: {error.message[:200]}" for error in validator.iter_errors(DOCUMENT)
    ]
    assert errors == []
    broken = {**DOCUMENT, "operations": {"x": {"action": "publish", "channel": {"$ref": "#/channels/nija-users"}}}}
    assert not validator.is_valid(broken)


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for name, value in node.items():
            if name == "$ref":
                yield value
            else:
                yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def test_every_reference_leads_somewhere() -> None:
    for reference in set(references(DOCUMENT)):
        node: Any = DOCUMENT
        for part in reference.removeprefix("#/").split("/"):
            assert part in node, reference
            node = node[part]


@pytest.mark.parametrize("name", [event.type for event in EVENTS])
def test_an_event_as_it_is_written_is_what_its_message_says(name: str) -> None:
    message = DOCUMENT["components"]["messages"][name]
    validator = Draft7Validator({**message["payload"], "components": DOCUMENT["components"]})
    (example,) = message["examples"]
    validator.validate(example["payload"])
    assert not validator.is_valid({**example["payload"], "data": {}})
    assert not validator.is_valid({**example["payload"], "type": "something.else"})


def test_every_topic_and_everybody_who_sends_or_receives_is_there() -> None:
    assert {topic.name for topic in SHARED_TOPICS} < DOCUMENT["channels"].keys()
    operations = DOCUMENT["operations"]
    for service in SERVICES:
        for topic in service.produces:
            assert operations[f"{service.name}.send.{topic.name}"]["action"] == "send"
        for name, role in service.roles.items():
            for one in role.subscriptions:
                mode = "broadcast" if one.broadcast else "shared"
                operation = operations[f"{service.name}.{name}.{mode}.{one.topic.name}"]
                assert operation["action"] == "receive"
                assert len(operation["messages"]) == len(one.handlers)
