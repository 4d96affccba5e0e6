"""Size: score, profile and week make the fraction; room, caps and minimums clamp it or refuse."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nija_trading.domain.apex.guarding import first_stop_of
from nija_trading.domain.apex.parameters import PROFILES, Limits, Parameters, RiskLevel
from nija_trading.domain.apex.reasons import Denial
from nija_trading.domain.apex.sizing import Room, Sizer, fraction_of
from nija_trading.domain.matching.money import portion, quantity_for, units
from nija_trading.domain.matching.terms import FeeSchedule, MarketRules, Venue

PARAMS = Parameters()


@pytest.mark.parametrize(("level", "factor"), [("low", 0.5), ("medium", 1.0), ("high", 1.5)])
def test_the_fraction_is_the_score_in_per_cent_times_the_profiles_factor(level: str, factor: float) -> None:
    profile = PROFILES[RiskLevel(level)]
    for score in (3, 4, 5):
        assert fraction_of(score, PARAMS, profile, 1.0) == pytest.approx(score / 100 * factor)
        assert fraction_of(score, PARAMS, profile, 0.5) == pytest.approx(score / 200 * factor)


def value(
    wanted: str,
    *,
    equity: str = "10000",
    exposure: str = "0",
    cash: str = "10000",
    limits: Limits | None = None,
    fee: float = 0.0,
    level: RiskLevel = RiskLevel.MEDIUM,
    atr: float = 1.0,
    **market: Any,
) -> int | Denial:
    venue = Venue("test", FeeSchedule(fee, fee), MarketRules(**{"market_cost": 0.0, **market}))
    sizer = Sizer("BTC-USD", PARAMS, PROFILES[level], limits or Limits(), venue)
    return sizer.value(units(wanted), Room(units(equity), units(exposure), units(cash)), 100.0, atr)


def test_what_fits_everywhere_is_not_clamped() -> None:
    assert value("300") == units(300)


@pytest.mark.parametrize(("level", "cap"), [("low", 4000), ("medium", 6000), ("high", 8000)])
def test_total_exposure_is_capped_by_the_profile(level: str, cap: int) -> None:
    chosen = RiskLevel(level)
    assert value("500", exposure=str(cap - 300), level=chosen) == units(300)
    assert value("500", exposure=str(cap - 200), level=chosen) == units(200), "2 % of room is enough"
    assert value("500", exposure=str(cap - 199), level=chosen) is Denial.EXPOSURE
    assert value("500", exposure=str(cap), level=chosen) is Denial.EXPOSURE


def test_the_accounts_own_cap_clamps() -> None:
    assert value("500", limits=Limits(position_value=units(120))) == units(120)


def test_the_platforms_hard_cap_is_a_tenth_of_equity_and_ten_thousand() -> None:
    assert value("5000") == units(1000)
    assert value("50000", equity="1000000", cash="1000000") == units(10_000)


def test_below_the_brokers_minimum_there_is_no_order() -> None:
    assert value("300", minimum_cost=units(290)) == units(300)
    assert value("289", minimum_cost=units(290)) is Denial.BELOW_MINIMUM
    assert value("300", minimum_quantity=units("3.1")) is Denial.BELOW_MINIMUM
    assert value("50", step=units(1)) is Denial.BELOW_MINIMUM
    assert value("300", limits=Limits(position_value=0)) is Denial.BELOW_MINIMUM


def test_the_exit_at_the_stop_must_be_above_the_brokers_minimum() -> None:
    assert value("300", minimum_cost=units("295.5")) == units(300), "the stop is 1.5 % away: worth 295.50"
    assert value("300", minimum_cost=units("295.6")) is Denial.EXIT_BELOW_MINIMUM
    assert value("300", minimum_cost=units(294), atr=50.0) == units(300), "2 % at most: worth 294"
    assert value("300", minimum_cost=units("294.1"), atr=50.0) is Denial.EXIT_BELOW_MINIMUM


def test_value_and_fee_must_fit_the_cash() -> None:
    assert value("300", cash="301.8", fee=0.006) == units(300)
    assert value("300", cash="301.79", fee=0.006) is Denial.INSUFFICIENT_CASH


MARKETS = st.builds(
    MarketRules,
    tick=st.sampled_from([None, 0.01, 5.0]),
    step=st.sampled_from([1, 1_000, units("0.01"), units(1)]),
    minimum_quantity=st.sampled_from([0, units("0.02"), units(3)]),
    minimum_cost=st.integers(0, units(400)),
    market_cost=st.sampled_from([0.0, 0.0005, 0.02]),
)


@given(
    market=MARKETS,
    level=st.sampled_from(RiskLevel),
    equity=st.one_of(st.integers(-10, 1_000), st.integers(1, units(20_000)), st.integers(1, units(500_000))),
    score=st.integers(0, 5),
    price=st.floats(0.01, 60_000.0),
    atr=st.floats(0.0, 2_000.0),
    own=st.one_of(st.none(), st.integers(0, units(500))),
)
@settings(max_examples=300)
def test_an_account_that_holds_nothing_has_the_same_sizes(
    market: MarketRules, level: RiskLevel, equity: int, score: int, price: float, atr: float, own: int | None
) -> None:
    """`flat` is a shorter way to `value`; and neither skips a check of the venue's minimums that would refuse."""
    profile, limits = PROFILES[level], Limits(position_value=own)
    sizer = Sizer("BTC-USD", PARAMS, profile, limits, Venue("test", FeeSchedule(0.006, 0.004), market))
    fraction = fraction_of(score, PARAMS, profile, 1.0)
    found = sizer.value(portion(equity, fraction), Room(equity, 0, equity), price, atr)
    assert sizer.flat(fraction, equity, price, atr) == found
    assert sizer.flat(fraction, equity, price, atr) == found, "also from what the first call kept"
    if not isinstance(found, Denial):
        entry = price * (1 + market.market_cost)
        quantity = quantity_for(found, entry, market.step)
        assert not market.too_small(quantity, entry)
        assert not market.too_small(quantity, first_stop_of(entry, atr, PARAMS, market))
