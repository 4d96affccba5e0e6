"""The search rows of an address: whatever is searched, each account is met once or not at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nija_analytics.domain.cards import shown_status, words
from nija_common.events.identity import AccountStatus

ADDRESSES = st.text("aab.-_@1", min_size=1, max_size=30)


@given(address=ADDRESSES, search=st.text("ab.@1", min_size=1, max_size=6))
def test_of_the_rows_that_begin_with_a_search_one_counts_exactly_if_a_word_does(address: str, search: str) -> None:
    hits = [text for text, shared in words(address) if text.startswith(search) and shared < len(search)]
    starts = [i for i, c in enumerate(address) if i == 0 or (c.isalnum() and not address[i - 1].isalnum())]
    assert len(hits) == any(address.startswith(search, start) for start in starts)


def test_words_begin_behind_everything_that_is_no_letter_or_digit() -> None:
    assert words("Ada.Adams@mail.example.com") == [
        ("ada.adams@mail.example.com", 0),
        ("adams@mail.example.com", 3),
        ("com", 0),
        ("example.com", 0),
        ("mail.example.com", 0),
    ]


@pytest.mark.parametrize(
    ("standing", "past_due", "shown"),
    [
        ("active", False, "active"),
        ("active", True, "suspended"),
        ("suspended", False, "suspended"),
        ("suspended", True, "suspended"),
        ("disabled", True, "disabled"),
    ],
)
def test_a_failed_payment_suspends_and_the_administrators_word_is_stronger(
    standing: AccountStatus, past_due: bool, shown: AccountStatus
) -> None:
    assert shown_status(standing, past_due) == shown
