"""Whether a bot may enter now, and by which rules it trades: what account, switch, standing and settings add up to."""

from __future__ import annotations

from dataclasses import dataclass

from nija_trading.domain.account import Account, status_of
from nija_trading.domain.apex.parameters import PROFILES, Parameters, RiskLevel
from nija_trading.domain.apex.reasons import Denial
from nija_trading.domain.apex.step import Rulebook
from nija_trading.domain.controls import GlobalSwitch
from nija_trading.domain.desk import Terms
from nija_trading.domain.matching.terms import Venue
from nija_trading.domain.standing import Preferences, Standing, limits_of, may_enter

PARAMETERS = Parameters()


@dataclass(frozen=True, slots=True)
class Allowance:
    """What other documents say about a user at a moment."""

    standing: Standing
    preferences: Preferences
    switch: GlobalSwitch


def terms_of(account: Account, key: str, allowance: Allowance, venue: Venue, now_ms: int) -> Terms:
    """The terms of one ledger of the account, at its venue."""
    tier = allowance.standing.tier(now_ms)
    rules = Rulebook(
        PARAMETERS,
        PROFILES[RiskLevel(account.risk_profile)],
        limits_of(allowance.preferences.trading, tier),
        venue,
    )
    status = status_of(account, allowance.switch)
    signals = account.strategy == "APEX_V72" and key == account.current
    return Terms(
        rules=rules,
        pairs=allowance.preferences.trading.allowed_pairs,
        blocked=_blocked(account, key, allowance, status),
        signal_exits=signals and (status == "running" or account.stopped_by == "drawdown"),
    )


def _blocked(account: Account, key: str, allowance: Allowance, status: str) -> Denial | None:
    if allowance.switch.active or account.kill is not None or account.switch_generation < allowance.switch.generation:
        return Denial.KILL_SWITCH
    if not may_enter(allowance.standing):
        return Denial.SUSPENDED
    if status == "paused":
        return Denial.PAUSED
    if status != "running" or key != account.current:
        return Denial.NOT_RUNNING
    if account.strategy == "SIGNALS_ONLY":
        return Denial.SIGNALS_ONLY
    return None
