"""A producer whose store was restored draws the same `seq` again: what it says then is news, and what it said before is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from nija_common.bus.parked import ParkedKey, parked_id
from nija_common.bus.port import Message
from nija_common.events.codec import encode
from nija_common.events.identity import SessionRevoked
from nija_common.events.topics import SESSIONS
from nija_common.runtime.manifest import Service
from nija_common.storage.incarnations import missing_between, next_incarnation, place_of
from nija_common.storage.unit_of_work import emission_of
from nija_common.testing import TestPlatform, start_platform
from nija_common.values.clock import ManualClock
from nija_common.values.shards import shard_of

USER = "usr_1"
NOW = 217_000_000


async def said(platform: TestPlatform, *events: tuple[int, int, str]) -> None:
    """Records of one producer as they lie on the bus: (incarnation, seq, what)."""
    messages = []
    for incarnation, seq, what in events:
        event = SessionRevoked(user_id=USER, session_id=what, revoked_until_ms=None, reason="logout")
        emission = emission_of(event, "auth", platform.clock)
        value, headers = encode(emission, seq=seq, incarnation=incarnation)
        messages.append(Message(SESSIONS.name, shard_of(USER), USER, value, headers))
    await platform.node.infrastructure.bus.send(messages)
    await platform.settled()


async def test_after_a_restore_the_same_numbers_are_news_and_older_lives_are_not(
    tmp_path: Path, clock: ManualClock, toy: Service, tally_class: Any
) -> None:
    async with start_platform(tmp_path, [toy], clock=clock) as platform:
        storage = platform.deps("toy").storage
        await said(platform, (1, 1, "a"), (1, 2, "b"), (1, 3, "lost"))
        # The store had been backed up after "a": it draws 2 and 3 again. One of its old relay comes late.
        await said(platform, (NOW, 2, "c"), (1, 4, "late"), (NOW, 3, "d"), (NOW, 3, "d"))
        assert (await storage.get(tally_class, USER)).seen == ("a", "b", "lost", "c", "d")
        # Restored again, from an older backup.
        await said(platform, (NOW + 9, 1, "e"), (NOW, 4, "late"), (NOW + 9, 2, "f"))
        assert (await storage.get(tally_class, USER)).seen == ("a", "b", "lost", "c", "d", "e", "f")
        await said(platform, (NOW + 9, 5, "g"))
        parked = await storage.get(ParkedKey, parked_id("toy.api", SESSIONS.name, USER))
        assert parked is not None and parked.reason == "events 3 to 4 are missing"


@given(st.lists(st.tuples(st.integers(1, NOW), st.integers(1, 2**32 - 2)), min_size=2, max_size=2))
def test_places_are_in_the_order_of_revisions_and_fit_the_stores(revisions: list[tuple[int, int]]) -> None:
    places = [place_of({"seq": seq, "revision": [incarnation, seq]}) or 0 for incarnation, seq in revisions]
    assert (places[0] < places[1]) == (revisions[0] < revisions[1])
    assert all(0 < place < 2**63 for place in places)
    low, high = sorted(revisions)
    if low < high:
        gap = missing_between(*sorted(places))
        expected = (low[1] + 1, high[1] - 1) if low[0] == high[0] and high[1] > low[1] + 1 else None
        assert gap == expected


def test_an_incarnation_is_higher_than_all_that_are_known() -> None:
    first = next_incarnation(1, None)
    assert first > NOW
    assert next_incarnation(first + 5000) == first + 5001
    assert place_of({"seq": 7, "revision": [1, 7]}) == 7
