"""Counting calls in memory."""

from __future__ import annotations

from nija_gateway.domain.usage import GLOBAL, Counted, Usage


def test_calls_errors_and_time_are_summed_by_account_and_begin_anew() -> None:
    usage = Usage(1_000)
    for status, seconds in ((200, 0.010), (404, 0.020), (500, 0.030), (503, 0.0004)):
        usage.count("usr_a", status, seconds)
    usage.count(None, 200, 0.001)
    assert usage.take(11_000) == [
        Counted(GLOBAL, 1_000, 11_000, 1, 0, 1),
        Counted("usr_a", 1_000, 11_000, 4, 2, 60),
    ]
    usage.count("usr_b", 200, 0.0)
    assert usage.take(21_000) == [Counted(GLOBAL, 11_000, 21_000, 0, 0, 0), Counted("usr_b", 11_000, 21_000, 1, 0, 0)]


def test_memory_is_bounded_and_no_call_is_lost() -> None:
    usage = Usage(0, capacity=3)
    for number in range(10):
        for _ in range(2):
            usage.count(f"usr_{number}", 200, 0.001)
    told = usage.take(1)
    assert [one.user_id for one in told] == [GLOBAL, "usr_0", "usr_1", "usr_2"]
    assert [one.calls for one in told] == [14, 2, 2, 2]


def test_a_wall_clock_set_back_makes_no_stretch_that_ends_before_it_begins() -> None:
    usage = Usage(5_000)
    assert usage.take(4_000) == [Counted(GLOBAL, 5_000, 5_000, 0, 0, 0)]
