"""The account's transitions and the gates that follow from them."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from nija_common.events.preferences import TradingSettings
from nija_common.values.tiers import Tier, effective
from nija_trading.domain.account import Account, begin, end, latch, new_account, release, run, status_of
from nija_trading.domain.apex.reasons import Denial
from nija_trading.domain.controls import UNTRIPPED, GlobalSwitch
from nija_trading.domain.gates import Allowance, terms_of
from nija_trading.domain.matching.terms import COINBASE
from nija_trading.domain.records import PAPER_CASH
from nija_trading.domain.standing import Preferences, Standing, limits_of

KEY = "paper/coinbase"


def started(account: Account, switch: GlobalSwitch) -> Account:
    asked, _ = begin(
        account, broker="coinbase", paper=True, strategy="APEX_V72", risk_profile="medium", switch=switch, at_ms=1
    )
    running, _ = run(asked, cash=PAPER_CASH, step_ms=0, live=False, at_ms=2)
    return running


def tripped(switch: GlobalSwitch) -> GlobalSwitch:
    return switch.tripped(reason="r", by="adm", close=False, notify=False, at_ms=3)


actions = st.lists(st.sampled_from(["start", "stop", "latch", "release", "trip", "untrip"]), max_size=12)


@given(actions)
def test_a_bot_enters_only_while_it_runs_and_no_switch_was_tripped_since_its_start(steps: list[str]) -> None:
    account, switch = new_account("usr_a"), UNTRIPPED
    may = False
    for step in steps:
        killed = account.kill is not None or switch.active
        if step == "start" and not killed and status_of(account, switch) == "stopped":
            account, may = started(account, switch), True
        elif step == "stop":
            account, may = end(account, by="user", reason=None, at_ms=4)[0], False
        elif step == "latch":
            account, may = latch(account, reason="r", by="u", close_positions=False, at_ms=4)[0], False
        elif step == "release":
            account = release(account, by="u", at_ms=4)[0]
        elif step == "trip":
            switch, may = tripped(switch), False
        elif step == "untrip":
            switch = switch.released()
    standing = Standing(id="usr_a", effective=(effective(Tier.PRO, from_ms=0, live=True),))
    terms = terms_of(account, KEY, Allowance(standing, Preferences(id="usr_a"), switch), COINBASE, 5)
    assert (terms.blocked is None) == may
    assert (status_of(account, switch) == "running") == may


def test_a_suspended_account_enters_nothing_and_its_positions_are_still_managed() -> None:
    account = started(new_account("usr_a"), UNTRIPPED)
    standing = Standing(id="usr_a", past_due=True, effective=(effective(Tier.PRO, from_ms=0, live=True),))
    terms = terms_of(account, KEY, Allowance(standing, Preferences(id="usr_a"), UNTRIPPED), COINBASE, 5)
    assert terms.blocked is Denial.SUSPENDED
    assert terms.signal_exits


def test_an_account_is_active_exactly_while_a_worker_has_something_to_do() -> None:
    account: Any = new_account("usr_a")
    assert not account.active
    assert started(account, UNTRIPPED).active
    stopped, _ = end(started(account, UNTRIPPED), by="user", reason=None, at_ms=1)
    assert not stopped.active
    assert stopped.changed(positions=1).active
    assert not stopped.changed(positions=1).changed(positions=0).active


def test_repeating_the_emergency_stop_keeps_the_first_moment_and_adds_the_closing() -> None:
    once, _ = latch(new_account("usr_a"), reason="first", by="u", close_positions=False, at_ms=1)
    twice, _ = latch(once, reason="second", by="u", close_positions=True, at_ms=2)
    assert twice.kill is not None
    assert (twice.kill.reason, twice.kill.at_ms, twice.kill.close_positions) == ("first", 1, True)


def test_limits_are_the_lower_of_settings_and_tier_and_frees_zero_limits_nothing() -> None:
    settings = TradingSettings(max_position_size_usd=5000, max_concurrent_positions=20, max_daily_loss_usd=100)
    pro = limits_of(settings, effective(Tier.PRO, from_ms=0, live=True))
    assert (pro.position_value, pro.positions, pro.daily_trades, pro.daily_loss) == (2000 * 10**8, 10, 100, 100 * 10**8)
    free = limits_of(settings, effective(Tier.FREE, from_ms=0, live=False))
    assert (free.position_value, free.positions, free.daily_trades) == (5000 * 10**8, 3, 10)
