"""A subscription as time alone moves it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nija_billing.domain.subscription import at_time, new_subscription
from nija_common.values.tiers import TRIAL_DAYS, Tier, effective_at, registration_defaults
from nija_common.values.times import DAY_MS

REGISTERED = 1_769_683_320_000
END = REGISTERED + TRIAL_DAYS * DAY_MS


def test_a_new_account_has_what_everybody_assumes_of_it_before_the_first_snapshot() -> None:
    subscription = new_subscription("usr_a", REGISTERED, REGISTERED)
    assert subscription.snapshot().effective == registration_defaults(REGISTERED)
    assert (subscription.status, subscription.tier, subscription.next_change_ms) == ("trialing", Tier.FREE, END)


def test_the_trial_ends_to_the_millisecond() -> None:
    subscription = new_subscription("usr_a", REGISTERED, REGISTERED)
    assert at_time(subscription, END - 1).status == "trialing"
    ended = at_time(subscription, END)
    assert (ended.status, ended.next_change_ms) == ("none", None)


def test_an_account_met_after_its_trial_does_not_get_another() -> None:
    late = new_subscription("usr_a", REGISTERED, END + DAY_MS)
    assert (late.status, late.next_change_ms) == ("none", None)
    assert effective_at(late.effective, END + DAY_MS).tier is Tier.FREE


@given(st.lists(st.integers(0, 30 * DAY_MS), min_size=1, max_size=6))
def test_looking_often_or_once_gives_the_same_subscription(offsets: list[int]) -> None:
    moments = [REGISTERED + offset for offset in sorted(offsets)]
    stepwise = new_subscription("usr_a", REGISTERED, REGISTERED)
    for moment in moments:
        stepwise = at_time(stepwise, moment)
    assert stepwise == new_subscription("usr_a", REGISTERED, moments[-1])
