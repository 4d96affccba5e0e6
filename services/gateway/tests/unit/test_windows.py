"""Rate windows: never above the limit, whatever clocks, replicas and stores do (promises 14 and 21)."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nija_common.errors import unavailable
from nija_common.storage.port import Draw
from nija_common.values.clock import ManualClock
from nija_gateway.adapters.local_windows import LocalWindows
from nija_gateway.adapters.shared_windows import SharedWindows
from nija_gateway.domain.windows import CALLS, HOUR_MS, MINUTE_MS, Taken, Window

HOURLY = Window("hourly", HOUR_MS)

steps = st.lists(
    st.one_of(
        st.tuples(st.just("take"), st.integers(1, 12)),
        st.tuples(st.just("advance"), st.floats(0, 90, allow_nan=False)),
        st.tuples(st.just("jump"), st.sampled_from([-86_400, -3_600, -61, 61, 3_600, 86_400])),
    ),
    max_size=60,
)


@given(steps, st.integers(1, 20))
def test_no_schedule_of_a_jumping_clock_gets_more_than_the_limit_from_a_window(
    schedule: list[tuple[str, Any]], limit: int
) -> None:
    clock = ManualClock()
    windows = LocalWindows(clock)
    granted: Counter[int] = Counter()
    for what, value in schedule:
        if what == "advance":
            clock.advance(value)
        elif what == "jump":
            clock.jump_wall(value)
        else:
            for _ in range(value):
                taken = windows.take(CALLS, "usr_a", limit)
                assert taken is not None
                granted[taken.stretch] += taken.granted
                assert taken.remaining == limit - granted[taken.stretch] >= 0
                assert 0 < taken.reset_in_ms <= MINUTE_MS
                assert taken.granted or granted[taken.stretch] == limit
    assert max(granted.values(), default=0) <= limit


def test_keys_and_windows_do_not_touch_each_other() -> None:
    windows = LocalWindows(ManualClock())
    assert [windows.take(CALLS, "a", 1).granted for _ in range(2)] == [True, False]  # type: ignore[union-attr]
    assert windows.take(CALLS, "b", 1).granted  # type: ignore[union-attr]
    assert windows.take(HOURLY, "a", 1).granted  # type: ignore[union-attr]


def test_a_token_goes_back_into_its_own_stretch_only() -> None:
    clock = ManualClock()
    windows = LocalWindows(clock)
    first = windows.take(CALLS, "a", 1)
    assert first is not None
    windows.give_back(CALLS, "a", first)
    again = windows.take(CALLS, "a", 1)
    assert again is not None and again.granted
    clock.advance(60)
    later = windows.take(CALLS, "a", 1)
    windows.give_back(CALLS, "a", again)
    assert later is not None and later.granted
    assert windows.take(CALLS, "a", 1).granted is False  # type: ignore[union-attr]


def test_a_lower_limit_in_the_middle_of_a_window_leaves_nothing_never_less() -> None:
    windows = LocalWindows(ManualClock())
    for _ in range(20):
        windows.take(CALLS, "a", 100)
    taken = windows.take(CALLS, "a", 10)
    assert taken is not None
    assert (taken.granted, taken.remaining) == (False, 0)


class Counters:
    """`Storage.draw` of a store with a clock of its own; `away` makes it fail, `slow` lets others in between."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.away = False
        self.draws = 0
        self._used: dict[tuple[str, int], int] = {}

    async def draw(self, counter: str, n: int, limit: int, window_ms: int) -> Draw:
        await asyncio.sleep(0)
        if self.away:
            raise unavailable("the store is away")
        self.draws += 1
        now = self.clock.now_ms()
        number = now // window_ms
        used = self._used.get((counter, number), 0)
        granted = n if n < 0 else max(0, min(n, limit - used))
        used = max(0, used + granted)
        self._used[(counter, number)] = used
        await asyncio.sleep(0)
        return Draw(max(0, granted), used, limit, (number + 1) * window_ms, now)


def shared(store: Counters, clock: ManualClock, replicas: int) -> list[SharedWindows]:
    return [SharedWindows(store, clock, replicas) for _ in range(replicas)]  # type: ignore[arg-type]


async def take(windows: SharedWindows, limit: int, window: Window = CALLS, key: str = "usr_a") -> Taken:
    """As admission and edge do it together."""
    for _ in range(20):
        taken = windows.take(window, key, limit)
        if taken is not None:
            return taken
        await windows.fetch(window, key, limit)
    raise AssertionError("no answer")


replica_steps = st.lists(
    st.one_of(
        st.tuples(st.just("take"), st.integers(0, 3), st.integers(1, 60)),
        st.tuples(st.just("advance"), st.floats(0, 40, allow_nan=False), st.just(0)),
        st.tuples(st.just("tidy"), st.just(0), st.just(0)),
        st.tuples(st.just("jump"), st.sampled_from([-3_600, -61, 61, 3_600]), st.just(0)),
    ),
    max_size=40,
)


@settings(deadline=None)
@given(replica_steps, st.sampled_from([1, 5, 10, 30, 60, 61, 100, 500]))
def test_four_replicas_share_one_limit(schedule: list[tuple[str, Any, Any]], limit: int) -> None:
    async def run() -> None:
        # The store's clock is its own: the replicas' wall clocks may jump as they like.
        theirs, ours = ManualClock(), ManualClock()
        store = Counters(theirs)
        replicas = shared(store, ours, 4)
        granted: Counter[int] = Counter()
        for what, value, count in schedule:
            if what == "advance":
                theirs.advance(value)
                ours.advance(value)
            elif what == "jump":
                ours.jump_wall(value)
            elif what == "tidy":
                for replica in replicas:
                    await replica.tidy()
            else:
                for taken in await asyncio.gather(*(take(replicas[value], limit) for _ in range(count))):
                    assert 0 <= taken.remaining < limit or not taken.granted
                    granted[theirs.now_ms() // MINUTE_MS] += taken.granted
        assert max(granted.values(), default=0) <= limit

    asyncio.run(run())


@pytest.mark.parametrize("limit", [10, 30, 60, 100, 500])
async def test_the_whole_limit_can_be_used_and_no_more(limit: int) -> None:
    clock = ManualClock()
    replicas = shared(Counters(clock), clock, 4)
    used = 0
    for round_ in range(2 * limit):
        used += (await take(replicas[round_ % 4], limit)).granted
        if round_ % 50 == 49:
            clock.advance(1)
            for replica in replicas:
                await replica.tidy()
    assert used == limit


async def test_large_limits_are_drawn_in_leases_small_ones_token_by_token() -> None:
    clock = ManualClock()
    for limit, calls, draws in ((500, 400, 16), (30, 30, 30)):
        store = Counters(clock)
        (windows,) = shared(store, clock, 1)
        for _ in range(calls):
            assert (await take(windows, limit)).granted
        assert store.draws == draws


async def test_remaining_counts_down_without_gaps_for_one_replica() -> None:
    clock = ManualClock()
    (windows,) = shared(Counters(clock), clock, 1)
    assert [(await take(windows, 100)).remaining for _ in range(102)] == [*range(99, -1, -1), 0, 0]


async def test_unused_tokens_return_to_the_others_after_a_second() -> None:
    clock = ManualClock()
    idle, busy = shared(Counters(clock), clock, 2)
    assert (await take(idle, 100)).granted
    clock.advance(1)
    await idle.tidy()
    assert sum([(await take(busy, 100)).granted for _ in range(100)]) == 99


async def test_a_refusal_is_believed_for_a_second_without_asking_the_store() -> None:
    clock = ManualClock()
    store = Counters(clock)
    (windows,) = shared(store, clock, 1)
    for _ in range(11):
        await take(windows, 10)
    before = store.draws
    for _ in range(50):
        assert not (await take(windows, 10)).granted
    assert store.draws == before


@pytest.mark.parametrize(("limit", "each"), [(100, 25), (10, 2), (2, 1), (1, 1)])
async def test_without_the_store_each_replica_has_its_share(limit: int, each: int) -> None:
    clock = ManualClock()
    store = Counters(clock)
    store.away = True
    for windows in shared(store, clock, 4):
        assert sum([(await take(windows, limit)).granted for _ in range(limit + 5)]) == each
    clock.advance(60)


async def test_what_was_spent_without_the_store_is_charged_when_it_is_back() -> None:
    clock = ManualClock()
    store = Counters(clock)
    one, two = shared(store, clock, 2)
    store.away = True
    used = sum([(await take(one, 20)).granted for _ in range(12)])
    assert used == 10
    store.away = False
    clock.advance(1)
    for _ in range(40):
        used += (await take(one, 20)).granted
        used += (await take(two, 20)).granted
    assert used <= 21


async def test_a_store_that_goes_away_midway_does_not_start_the_window_anew() -> None:
    clock = ManualClock()
    store = Counters(clock)
    (windows,) = shared(store, clock, 1)
    used = sum([(await take(windows, 30)).granted for _ in range(20)])
    store.away = True
    used += sum([(await take(windows, 30)).granted for _ in range(20)])
    assert used == 30


async def test_counted_refusals_are_shared_and_survive_a_store_that_is_away() -> None:
    clock = ManualClock()
    store = Counters(clock)
    one, two = shared(store, clock, 2)
    for _ in range(3):
        await one.count(CALLS, "198.51.100.1", 4)
    assert two.full(CALLS, "198.51.100.1", 4) is None
    await two.count(CALLS, "198.51.100.1", 4)
    full = two.full(CALLS, "198.51.100.1", 4)
    assert full is not None and not full.granted
    clock.advance(60)
    assert two.full(CALLS, "198.51.100.1", 4) is None
    store.away = True
    for _ in range(2):
        await two.count(CALLS, "198.51.100.1", 4)
    assert two.full(CALLS, "198.51.100.1", 4) is not None
