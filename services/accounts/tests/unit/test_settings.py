"""What may be set, and what is in force under a tier."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nija_accounts.domain.settings import Change, Settings, changed, in_force, normal_pair
from nija_common.errors import ErrorCode, NijaError
from nija_common.values.tiers import EffectiveTier, Tier, effective

tiers = st.sampled_from(list(Tier)).map(lambda tier: effective(tier, from_ms=0, live=True))
changes = st.builds(
    Change,
    trading=st.fixed_dictionaries(
        {},
        optional={
            "risk_level": st.sampled_from(["low", "medium", "high"]),
            "max_position_size_usd": st.floats(0.01, 20_000),
            "max_concurrent_positions": st.integers(1, 60),
            "max_daily_loss_usd": st.floats(0.01, 20_000),
            "paper_trading": st.booleans(),
        },
    ),
    notifications=st.fixed_dictionaries({}, optional={"email_enabled": st.booleans()}),
    advanced=st.fixed_dictionaries({}, optional={"enable_mmin": st.booleans(), "enable_gmig": st.booleans()}),
)


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("BTC-USD", "BTC-USD"),
        (" eth/usd ", "ETH-USD"),
        ("XBT-USD", "BTC-USD"),
        ("1INCH-USDT", "1INCH-USDT"),
    ],
)
def test_pairs_are_brought_into_one_form(text: str, pair: str) -> None:
    assert normal_pair(text) == pair
    assert normal_pair(pair) == pair


@pytest.mark.parametrize(
    "text", ["", "BTC", "BTCUSD", "BTC-", "-USD", "BTC-USD-EUR", "BTC USD", "USD-USD", "ß-USD", "BTC-USD\n-"]
)
def test_what_is_no_pair_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="pair"):
        normal_pair(text)


@given(st.lists(st.tuples(changes, tiers), max_size=6), tiers)
def test_whatever_was_set_before_nothing_in_force_is_above_the_tier(
    history: list[tuple[Change, EffectiveTier]], now: EffectiveTier
) -> None:
    settings = Settings(id="usr_a")
    for change, tier in history:
        try:
            settings, _ = changed(settings, change, tier)
        except NijaError as error:
            assert error.code is ErrorCode.EXCEEDS_TIER_LIMIT
    shown = in_force(settings, now)
    size_limit = now.limits.max_position_size_usd
    assert not size_limit or shown.trading.max_position_size_usd <= size_limit
    assert shown.trading.max_concurrent_positions <= now.limits.max_positions
    assert now.features.mmin or not shown.advanced.enable_mmin
    assert now.features.gmig or not shown.advanced.enable_gmig
    assert shown.trading.max_daily_loss_usd == settings.trading.max_daily_loss_usd


@given(changes, tiers)
def test_a_change_made_twice_changes_nothing_the_second_time(change: Change, tier: EffectiveTier) -> None:
    try:
        once, names = changed(Settings(id="usr_a"), change, tier)
    except NijaError:
        return
    twice, again = changed(once, change, tier)
    assert (twice, again) == (once, [])
    assert set(names) <= {*change.trading, *change.notifications, *change.advanced}


def test_an_amount_that_nobody_means_is_refused_where_no_tier_says_so() -> None:
    free = effective(Tier.FREE, from_ms=0, live=False)
    with pytest.raises(NijaError) as caught:
        changed(Settings(id="usr_a"), Change(trading={"max_position_size_usd": 1e12}), free)
    assert caught.value.code is ErrorCode.VALIDATION_ERROR
