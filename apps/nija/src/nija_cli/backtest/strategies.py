"""Which strategy runs, with which constants and costs: APEX, a strategy of the platform, or a user's own file."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from nija_cli.backtest.options import Options
from nija_cli.backtest.own_strategy import OwnStrategy, strategy_of
from nija_cli.backtest.parameters import apex_parameters, read, shown
from nija_cli.endings import WrongUsage
from nija_trading.domain.apex.parameters import PROFILES, Limits, RiskLevel
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

Run = Callable[[Mapping[str, Candles]], Result]


class Plan(NamedTuple):
    """A run that only lacks its candles, and all that it was set to, by name."""

    strategy: str
    run: Run
    settings: dict[str, Any]


def plan_for(options: Options) -> Plan:
    """The run that the options describe. Raises WrongUsage, and Failed for a strategy's file that cannot be used."""
    if options.strategy.lower() == APEX:  # the API writes it in capitals
        return _apex(options)
    given = [f"--{name.replace('_', '-')}" for name in APEX_ONLY if getattr(options, name) is not None]
    if given:
        raise WrongUsage(f"{', '.join(given)}: only {APEX} has risk rules; {options.strategy} trades all its cash")
    make = SIGNAL_STRATEGIES.get(options.strategy)
    if make is None:
        if not options.strategy.endswith(".py"):
            names = ", ".join((APEX, *SIGNAL_STRATEGIES))
            raise WrongUsage(f"--strategy {options.strategy}: there are {names}, or name a file of your own, PATH.py")
        return _signals(strategy_of(Path(options.strategy)), options, own=True)
    return _signals(make, options, own=False)


def _apex(options: Options) -> Plan:
    try:
        profile = PROFILES[RiskLevel(options.risk_profile or RiskLevel.MEDIUM)]
    except ValueError:
        raise WrongUsage(f"--risk-profile {options.risk_profile}: there are {', '.join(RiskLevel)}") from None
    params, profile = apex_parameters(options.params, profile)
    limits = Limits(
        position_value=_units(options.max_position_usd),
        positions=options.max_positions,
        daily_trades=options.max_daily_trades,
        daily_loss=_units(options.max_daily_loss_usd),
    )
    venue = _venue(options, MARKET_COST)
    rules = Rulebook(params, profile, limits, venue)
    settings = _costs(venue) | {
        "risk_profile": profile.level.value,
        "max_position_usd": options.max_position_usd,
        "max_positions": options.max_positions,
        "max_daily_loss_usd": options.max_daily_loss_usd,
        "max_daily_trades": options.max_daily_trades,
        "params": shown(params) | {name: value for name, value in shown(profile).items() if name != "level"},
    }
    cash = units(options.cash)
    return Plan(APEX, lambda feeds: run_apex(feeds, rules, cash), settings)


def _signals(make: Callable[..., SignalStrategy], options: Options, *, own: bool) -> Plan:
    defaults = {field.name: field.default for field in dataclasses.fields(make)}  # type: ignore[arg-type]
    values = read(options.params, defaults, options.strategy)
    try:
        strategy = make(**values)
    except ValueError as error:
        raise WrongUsage(f"--param: {error}") from error
    venue = _venue(options, 0.0)
    settings = _costs(venue) | {"params": shown(strategy)}
    cash = units(options.cash)
    trusted = OwnStrategy(strategy, options.strategy) if own else strategy
    return Plan(strategy.name, lambda feeds: run_signals(trusted, feeds, venue, cash), settings)


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
