"""Events for tests: the checked-in example of a class, with what the test cares about put in."""

from __future__ import annotations

from typing import Any, TypeVar

from nija_common.events.base import Event

E = TypeVar("E", bound=Event)


def example_of(kind: type[E], **changes: Any) -> E:
    """The class' example with some fields replaced."""
    return kind.model_validate({**kind.example, **changes})
