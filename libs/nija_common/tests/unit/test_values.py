"""Ids, shards, money, tiers and the manual clock."""

from __future__ import annotations

import asyncio
from decimal import ROUND_HALF_EVEN, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nija_common.events.preferences import TradingSettings
from nija_common.values.clock import ManualClock
from nija_common.values.document import slim
from nija_common.values.ids import derived_id, new_id
from nija_common.values.money import decimal_of, price, text_of, units, usd
from nija_common.values.shards import PARTITIONS, shard_of
from nija_common.values.tiers import LIMITS, Tier, effective, effective_at, registration_defaults
from nija_common.values.times import iso


def test_ids_carry_their_prefix_and_differ() -> None:
    ids = {new_id("usr") for _ in range(1000)}
    assert len(ids) == 1000
    assert all(i.startswith("usr_") and len(i) == 30 for i in ids)


def test_a_derived_id_depends_on_every_part_and_on_where_parts_end() -> None:
    assert derived_id("ord", "a", "b") == derived_id("ord", "a", "b")
    assert derived_id("ord", "ab", "") != derived_id("ord", "a", "b")


def test_shards_are_stable_across_versions() -> None:
    """Changing these numbers would move every user to another worker and another partition."""
    assert [shard_of(k) for k in ("global", "usr_1", "usr_2", "BTC-USD")] == [5, 17, 17, 12]
    spread = [0] * PARTITIONS
    for i in range(24_000):
        spread[shard_of(f"usr_{i}")] += 1
    assert min(spread) > 850


@given(st.integers(-(10**17), 10**17))
def test_amounts_come_back_exactly(amount: int) -> None:
    assert units(text_of(amount)) == amount
    assert units(decimal_of(amount)) == amount


def test_answers_round_half_to_even_at_two_places() -> None:
    assert [usd(units(text)) for text in ("0.005", "0.015", "-0.005", "1234.565")] == [0.0, 0.02, -0.0, 1234.56]


@pytest.mark.parametrize(
    ("value", "tick", "shown"),
    [(43210.123456, None, 43210.123), (0.0000712345678, None, 7.1234568e-05), (43210.126, 0.01, 43210.13)],
)
def test_prices_show_the_tick_or_eight_digits(value: float, tick: float | None, shown: float) -> None:
    assert price(value, tick) == shown


def test_the_effective_tier_is_the_last_that_has_begun() -> None:
    trial = registration_defaults(1_000)
    assert effective_at(trial, 1_000).tier is Tier.PRO
    assert effective_at(trial, 0).tier is Tier.PRO
    assert effective_at(trial, 1_000 + 14 * 86_400_000 - 1).tier is Tier.PRO
    assert effective_at(trial, 1_000 + 14 * 86_400_000).tier is Tier.FREE
    assert not effective_at(trial, 1_000).live
    with pytest.raises(ValueError, match="without"):
        effective_at((), 0)


def test_limits_rise_with_the_tier() -> None:
    ordered = [LIMITS[tier] for tier in Tier]
    assert [x.api_calls_per_minute for x in ordered] == [10, 30, 100, 500]
    assert [x.brokers for x in ordered] == [1, 2, 5, None]
    assert effective(Tier.ENTERPRISE, from_ms=0, live=True).features.gmig


def test_times_show_milliseconds_only_where_there_are_some() -> None:
    assert iso(1_769_683_320_000) == "2026-01-29T10:42:00Z"
    assert iso(1_769_683_320_120) == "2026-01-29T10:42:00.120Z"


async def test_sleepers_of_a_manual_clock_wake_in_order_and_not_before() -> None:
    clock, woken = ManualClock(), []

    async def sleeper(seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(seconds)

    tasks = [asyncio.create_task(sleeper(s)) for s in (3, 1, 2)]
    await asyncio.sleep(0)
    clock.advance(0.5)
    await asyncio.sleep(0)
    assert woken == []
    clock.advance(1.5)
    for _ in range(3):
        await asyncio.sleep(0)
    assert woken == [1, 2]
    clock.jump_wall(-3600)
    clock.advance(1)
    await asyncio.gather(*tasks)
    assert woken == [1, 2, 3]


@given(st.integers(-(10**17), 10**17))
def test_usd_is_the_nearest_cent_half_to_even(amount: int) -> None:
    assert usd(amount) == float(decimal_of(amount).quantize(Decimal("0.01"), ROUND_HALF_EVEN))


def test_slim_models_are_what_they_were_and_their_copies_are_their_own() -> None:
    one, other = (effective(Tier.PRO, from_ms=at_ms, live=False) for at_ms in (1, 2))
    before = one.model_copy(deep=True)
    slim(one, other)
    assert one == before
    assert one.model_dump_json() == before.model_dump_json()
    assert one.limits.model_fields_set is other.limits.model_fields_set
    part = TradingSettings(risk_level="low")
    slim(part)
    assert part.model_copy(update={"paper_trading": False}).model_fields_set == {"risk_level", "paper_trading"}
    assert part.model_fields_set == {"risk_level"}
