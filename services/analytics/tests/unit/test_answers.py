"""The table of kept answers: bounded by bytes, and nothing that was not made of this ledger on this day."""

from __future__ import annotations

from nija_analytics.answers import BESIDE_BYTES, Answers
from nija_analytics.domain.aggregates import Ledger

ROOM = 1_000 + BESIDE_BYTES


def ledger(name: str = "usr_a/paper", **changes: object) -> Ledger:
    fields = {"id": name, "user_id": "usr_a", "paper": True, "first_day": 1, "initial": {}}
    return Ledger.model_validate({**fields, **changes})


def test_any_field_of_the_ledger_and_the_day_count() -> None:
    answers = Answers()
    answers.keep(ledger(version=3), 7, "q", b"told")
    assert answers.find(ledger(version=3), 7, "q") == b"told"
    assert answers.find(ledger(version=4), 7, "q") is None
    assert answers.find(ledger(version=3, net=1), 7, "q") is None
    assert answers.find(ledger(version=3, months={"2026-01": (1, 0, 0)}), 7, "q") is None
    assert answers.find(ledger(version=3), 8, "q") is None
    assert answers.find(ledger(version=3), 7, "another") is None
    assert answers.find(ledger("usr_b/paper", version=3), 7, "q") is None


def test_the_size_is_bounded_and_what_was_not_asked_for_goes_first() -> None:
    answers = Answers(3 * ROOM)
    for name in ("a", "b", "c"):
        answers.keep(ledger(name), 0, "q", bytes(1_000))
    assert answers.find(ledger("a"), 0, "q") is not None
    answers.keep(ledger("d"), 0, "q", bytes(1_000))
    assert [name for name in "abcd" if answers.find(ledger(name), 0, "q")] == ["a", "c", "d"]
    assert answers.bytes == 3 * ROOM


def test_a_newer_answer_takes_the_place_of_an_older_one() -> None:
    answers = Answers()
    for version in range(1_000):
        answers.keep(ledger(version=version), 0, "q", bytes(1_000))
    assert answers.bytes == ROOM


def test_an_answer_larger_than_the_bound_is_not_kept() -> None:
    answers = Answers(ROOM)
    answers.keep(ledger(), 0, "q", bytes(2_000))
    assert (answers.find(ledger(), 0, "q"), answers.bytes) == (None, 0)
