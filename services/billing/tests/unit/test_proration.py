"""Proration to the second, in whole cents, against exact fractions."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from nija_billing.domain.periods import Period, later_by_months, month_of, period_from
from nija_billing.domain.plans import PLANS
from nija_billing.domain.proration import Quote, refund, unused
from nija_common.values.times import DAY_MS, iso

START = 1_768_435_200_000  # 2026-01-15T00:00:00Z
prices = st.integers(0, 1_000_000)
lengths = st.integers(1, 400 * 86_400)
offsets = st.integers(-(10**10), 10**11)


@given(prices, lengths, offsets)
def test_the_unused_part_is_exact_to_half_a_cent_and_never_more_than_the_price(
    price: int, seconds: int, offset: int
) -> None:
    period = Period(START, START + seconds * 1000)
    part = unused(price, period, START + offset)
    left = min(max(Fraction(seconds - offset // 1000, seconds), Fraction(0)), Fraction(1))
    assert abs(part - price * left) <= Fraction(1, 2)
    assert 0 <= part <= price


@given(prices, lengths, st.lists(offsets, min_size=2))
def test_waiting_never_makes_the_unused_part_larger(price: int, seconds: int, moments: list[int]) -> None:
    period = Period(START, START + seconds * 1000)
    parts = [unused(price, period, START + moment) for moment in sorted(moments)]
    assert parts == sorted(parts, reverse=True)


def test_a_half_cent_goes_to_the_customer() -> None:
    assert unused(1, Period(START, START + 2000), START + 1000) == 1


def test_a_second_is_used_up_when_it_is_over() -> None:
    period = Period(START, START + 10_000)
    assert [unused(10, period, START + ms) for ms in (0, 999, 1000, 9_999, 10_000)] == [10, 10, 9, 1, 0]


@given(prices, prices, lengths, offsets)
def test_a_refund_is_never_above_what_was_paid(price: int, paid: int, seconds: int, offset: int) -> None:
    period = Period(START, START + seconds * 1000)
    given_back = refund(price, paid, period, START + offset)
    assert 0 <= given_back <= min(paid, unused(price, period, START + offset))


@given(prices, prices, prices)
def test_a_quote_adds_up_and_nothing_in_it_is_negative_but_the_credit(amount: int, part: int, balance: int) -> None:
    quote = Quote(amount, part, balance)
    assert quote.proration_credit <= 0 <= quote.due
    assert quote.due == max(0, amount + quote.proration_credit)
    assert quote.due - quote.balance_after == amount - part - balance
    assert quote.due == 0 or quote.balance_after == 0


def test_a_period_ends_on_the_same_day_or_the_last_of_a_shorter_month() -> None:
    anchor = 1_769_817_600_000  # 2026-01-31T00:00:00Z
    ends, start = [], anchor
    for _ in range(3):
        start = period_from(anchor, start, "monthly").end_ms
        ends.append(iso(start))
    assert ends == ["2026-02-28T00:00:00Z", "2026-03-31T00:00:00Z", "2026-04-30T00:00:00Z"]
    assert iso(later_by_months(1_709_164_800_000, 12)) == "2025-02-28T00:00:00Z"  # from 29 February 2024


@given(st.integers(START, START + 4_000 * DAY_MS).map(lambda ms: ms // 1000 * 1000), st.integers(0, 60))
def test_periods_follow_each_other_without_gap_or_overlap(anchor: int, count: int) -> None:
    start = anchor
    for _ in range(count):
        period = period_from(anchor, start, "monthly")
        assert period.start_ms == start and 28 * DAY_MS <= period.end_ms - start <= 31 * DAY_MS
        start = period.end_ms
    assert start == later_by_months(anchor, count)


@given(st.integers(START, START + 4_000 * DAY_MS))
def test_a_moment_lies_in_its_month(ms: int) -> None:
    month = month_of(ms)
    assert month.start_ms <= ms < month.end_ms
    assert month_of(month.end_ms - 1) == month and month_of(month.end_ms).start_ms == month.end_ms


def test_a_year_costs_less_than_twelve_months_and_a_higher_tier_more() -> None:
    for lower, higher in pairwise(PLANS):
        assert lower.monthly < higher.monthly and lower.yearly < higher.yearly
        assert higher.yearly < 12 * higher.monthly
