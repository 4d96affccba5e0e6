"""Money: integers of 1e-8 and their written rounding."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from nija_trading.domain.matching.money import (
    ONE,
    as_decimal,
    as_float,
    cut,
    fee_of,
    portion,
    quantity_for,
    reaches,
    units,
    value_of,
)

amounts = st.integers(min_value=0, max_value=10**15)
prices = st.floats(min_value=1e-6, max_value=1e6)


def test_units_are_exact_for_what_a_person_writes() -> None:
    assert units("0.1") == units(0.1) == 10_000_000
    assert units(10_000) == 10_000 * ONE
    assert as_decimal(units("123.45678901")) == Decimal("123.45678901")
    assert as_float(units(0.25)) == 0.25


def test_a_value_and_a_fee_go_to_the_nearest_unit_and_halves_to_even() -> None:
    assert value_of(0.1, 3) == 0
    assert value_of(0.5, 1) == 0
    assert value_of(0.5, 3) == 2
    assert fee_of(units(100), 0.006) == units("0.6")


@given(amounts)
def test_shares_are_exact_and_never_rounded_up(amount: int) -> None:
    for rate in ("0.1", "0.15", "0.25", "0.5", "0.29", "0.01"):
        exact = Decimal(amount) * Decimal(rate)
        assert portion(amount, float(rate)) == int(exact)


@given(amounts, st.integers(min_value=1, max_value=10**9))
def test_a_quantity_is_cut_down_to_the_step(quantity: int, step: int) -> None:
    kept = cut(quantity, step)
    assert kept % step == 0
    assert 0 <= quantity - kept < step


@given(st.integers(min_value=0, max_value=10**13), prices)
def test_what_is_bought_never_costs_more_than_its_value(value: int, price: float) -> None:
    assert value_of(price, quantity_for(value, price, 1)) <= value + 1


def test_a_threshold_is_reached_exactly_at_it() -> None:
    assert reaches(800, 10_000, 0.08)
    assert not reaches(799, 10_000, 0.08)
    assert reaches(units(3), units(100), 0.03)
