"""The generated documents are as fresh as the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from nija_cli.documents import documents
from nija_common.events.base import Event
from nija_common.events.catalogue import EVENTS, codec

DOCS = Path(__file__).parents[3] / "docs"


def test_checked_in_documents_are_what_the_code_generates() -> None:
    stale = [
        path
        for path, text in documents().items()
        if not (DOCS / path).is_file() or (DOCS / path).read_text("utf-8") != text
    ]
    assert not stale, f"run `make docs`: {', '.join(stale)}"


@pytest.mark.parametrize("event", EVENTS, ids=lambda e: e.type)
def test_every_event_has_an_example_that_its_class_accepts(event: type[Event]) -> None:
    assert event.model_validate(event.example).model_dump(mode="json") == event.example
    assert event.__doc__
    assert event.__doc__.strip().startswith("Emitted")


def test_no_two_events_share_a_type_and_a_state_topic_carries_one() -> None:
    types = [event.type for event in EVENTS]
    assert len(types) == len(set(types))
    for event in EVENTS:
        if event.topic.kind.value == "state":
            assert [e for e in EVENTS if e.topic == event.topic] == [event]
    assert codec()
