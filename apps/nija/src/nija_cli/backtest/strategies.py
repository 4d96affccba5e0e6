"""Which strategy runs, with which constants and costs: APEX, a strategy of the platform, or a user's own file."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from nija_cli.backtest.options import Options
from nija_cli.backtest.own_strategy import OwnStrategy, strategy_of
from nija_cli.backtest.parameters import apex_defaults, apex_parameters, read, shown
from nija_cli.endings import WrongUsage
from nija_trading.domain.apex.parameters import PROFILES, Limits, RiskLevel, RiskProfile
from nija_trading.domain.apex.step import Rulebook
from nija_trading.domain.backtest.apex_run import run_apex
from nija_trading.domain.backtest.result import Result
from nija_trading.domain.backtest.signal_run import run_signals
from nija_trading.domain.backtest.strategies import SIGNAL_STRATEGIES
from nija_trading.domain.backtest.strategy import SignalStrategy
from nija_trading.domain.market.candles import Candles
from nija_trading.domain.matching.money import units
from nija_trading.domain.matching.terms import MARKET_COST, VENUES, FeeSchedule, Venue

APEX = "apex_v72"
APEX_ONLY = ("risk_profile", "max_position_usd", "max_positions", "max_daily_loss_usd", "max_daily_trades")

Class = Callable[..., SignalStrategy]
"""A strategy of signals; calling it with parameters by keyword makes one."""


class Signals(NamedTuple):
    """A strategy of signals and the venue that it trades on."""

    strategy: SignalStrategy
    venue: Venue


class Plan(NamedTuple):
    """A run that only lacks its candles, and all that it was set to, by name. `cash` in units of 1e-8."""

    strategy: str
    rule: Rulebook | Signals
    cash: int
    settings: dict[str, Any]

    def run(self, feeds: Mapping[str, Candles]) -> Result:
        """The run over `{symbol: candles}`."""
        if isinstance(self.rule, Rulebook):
            return run_apex(feeds, self.rule, self.cash)
        return run_signals(self.rule.strategy, feeds, self.rule.venue, self.cash)


def class_for(options: Options) -> Class | None:
    """The strategy of signals that the options name; None for APEX. Raises WrongUsage, and Failed for its file."""
    if options.strategy.lower() == APEX:  # the API writes it in capitals
        return None
    given = [f"--{name.replace('_', '-')}" for name in APEX_ONLY if getattr(options, name) is not None]
    if given:
        raise WrongUsage(f"{', '.join(given)}: only {APEX} has risk rules; {options.strategy} trades all its cash")
    made = SIGNAL_STRATEGIES.get(options.strategy)
    if made is not None:
        return made
    if not options.strategy.endswith(".py"):
        names = ", ".join((APEX, *SIGNAL_STRATEGIES))
        raise WrongUsage(f"--strategy {options.strategy}: there are {names}, or name a file of your own, PATH.py")
    return strategy_of(Path(options.strategy))


def plan_for(options: Options) -> Plan:
    """The run that the options describe. Raises WrongUsage, and Failed for a strategy's file that cannot be used."""
    return plan_of(options, class_for(options))


def plan_of(options: Options, made: Class | None) -> Plan:
    """`plan_for`, where `class_for` has been asked already. Raises WrongUsage."""
    return _apex(options) if made is None else _signals(made, options)


def defaults_of(options: Options, made: Class | None) -> dict[str, Any]:
    """Every parameter that `--param` can set, with its default. Raises WrongUsage."""
    return apex_defaults(_profile(options)) if made is None else _fields(made)


def _apex(options: Options) -> Plan:
    params, profile = apex_parameters(options.params, _profile(options))
    limits = Limits(
        position_value=_units(options.max_position_usd),
        positions=options.max_positions,
        daily_trades=options.max_daily_trades,
        daily_loss=_units(options.max_daily_loss_usd),
    )
    venue = _venue(options, MARKET_COST)
    settings = _costs(venue) | {
        "risk_profile": profile.level.value,
        "max_position_usd": options.max_position_usd,
        "max_positions": options.max_positions,
        "max_daily_loss_usd": options.max_daily_loss_usd,
        "max_daily_trades": options.max_daily_trades,
        "params": shown(params) | {name: value for name, value in shown(profile).items() if name != "level"},
    }
    return Plan(APEX, Rulebook(params, profile, limits, venue), units(options.cash), settings)


def _profile(options: Options) -> RiskProfile:
    try:
        return PROFILES[RiskLevel(options.risk_profile or RiskLevel.MEDIUM)]
    except ValueError:
        raise WrongUsage(f"--risk-profile {options.risk_profile}: there are {', '.join(RiskLevel)}") from None


def _signals(made: Class, options: Options) -> Plan:
    values = read(options.params, _fields(made), options.strategy)
    try:
        strategy = made(**values)
    except ValueError as error:
        raise WrongUsage(f"--param: {error}") from error
    venue = _venue(options, 0.0)
    settings = _costs(venue) | {"params": shown(strategy)}
    own = options.strategy not in SIGNAL_STRATEGIES
    trusted = OwnStrategy(strategy, options.strategy) if own else strategy
    return Plan(strategy.name, Signals(trusted, venue), units(options.cash), settings)


def _fields(made: Class) -> dict[str, Any]:
    return {field.name: field.default for field in dataclasses.fields(made)}  # type: ignore[arg-type]


def _venue(options: Options, slippage: float) -> Venue:
    if options.broker not in VENUES:
        raise WrongUsage(f"--broker {options.broker}: there are {', '.join(VENUES)}")
    venue = VENUES[options.broker]
    cost = slippage if options.slippage is None else options.slippage
    fees = venue.fees if options.fee is None else FeeSchedule(options.fee, options.fee)
    return dataclasses.replace(
        venue, fees=fees, default_rules=dataclasses.replace(venue.default_rules, market_cost=cost)
    )


def _costs(venue: Venue) -> dict[str, Any]:
    return {
        "broker": venue.name,
        "fee_taker": venue.fees.taker,
        "fee_maker": venue.fees.maker,
        "slippage": venue.default_rules.market_cost,
    }


def _units(amount: float | None) -> int | None:
    return None if amount is None else units(amount)
