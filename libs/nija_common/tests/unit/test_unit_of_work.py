"""Going back to a mark leaves a unit of work as it was there, whatever was collected since."""

from __future__ import annotations

from typing import ClassVar

from hypothesis import given
from hypothesis import strategies as st

from nija_common.events.identity import SessionRevoked
from nija_common.storage.unit_of_work import UnitOfWork
from nija_common.testing.events import example_of
from nija_common.values.clock import ManualClock
from nija_common.values.document import Collection, Document


class Paper(Document):
    collection: ClassVar[Collection] = Collection("papers")
    text: str = ""


STEPS = st.tuples(st.sampled_from(["save", "delete", "guard", "emit"]), st.integers(0, 3), st.integers(0, 1))


def take(uow: UnitOfWork, step: tuple[str, int, int], number: int) -> None:
    what, name, version = step
    if what == "emit":
        uow.emit(example_of(SessionRevoked, session_id=f"s{number}"))
    else:
        getattr(uow, what)(Paper(id=f"p{name}", version=version, text=str(number)))


@given(before=st.lists(STEPS, max_size=8), since=st.lists(STEPS, max_size=8))
def test_back_forgets_exactly_what_came_since_the_mark(
    before: list[tuple[str, int, int]], since: list[tuple[str, int, int]]
) -> None:
    uow = UnitOfWork("test", ManualClock())
    for number, step in enumerate(before):
        take(uow, step, number)
    uow.mark()
    marked = uow.sequenced()
    touched = uow.touches("papers")
    for number, step in enumerate(since):
        take(uow, step, 100 + number)
    uow.back()
    assert uow.sequenced() == marked
    assert uow.touches("papers") == touched


def test_what_was_read_is_known_until_it_is_written_and_only_where_it_is_remembered() -> None:
    read, other = Paper(id="a", version=3), Paper(id="a", version=3, text="other")
    for remembers in (True, False):
        uow = UnitOfWork("test", ManualClock(), remembers=remembers)
        uow.found("papers", ("a", "b"), {"a": read})
        assert uow.known("papers", "a") == ((True, read) if remembers else (False, None))
        assert uow.known("papers", "b") == (remembers, None)
        assert not uow.touches("papers")
        uow.save(other)
        assert uow.known("papers", "a") == (True, other)
        uow.delete(other)
        assert uow.known("papers", "a") == (True, None)
