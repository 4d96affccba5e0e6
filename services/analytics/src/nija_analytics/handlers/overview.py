"""Where an account stands: its dashboard, its statistics of all time, and its trades of a period broken down."""

from __future__ import annotations

from dataclasses import dataclass

from nija_analytics.deps import Deps
from nija_analytics.domain.aggregates import Ledger, Mode
from nija_analytics.domain.figures import (
    BestMonth,
    Group,
    Stretch,
    SymbolRow,
    TradesOfPeriod,
    best_month,
    leverage,
    percent_of,
    stretch,
    top_symbol,
    trades_of_period,
)
from nija_analytics.domain.people import Preferences
from nija_analytics.domain.results import EVERY, Breakdown
from nija_analytics.handlers import reading
from nija_analytics.handlers.reading import Days, Period
from nija_common.values.money import Units
from nija_common.values.tiers import (
    EffectiveTier,
    Tier,
    effective_at,
    for_administrators,
    registration_defaults,
)
from nija_common.values.times import DAY_MS

NOTHING = stretch(0, ())


@dataclass(frozen=True, slots=True)
class Person:
    """Who asks, as the access token says."""

    user_id: str
    registered_at_ms: int
    administrator: bool


@dataclass(frozen=True, slots=True)
class Dashboard:
    """Today, the last 7 and the last 30 UTC days, today included. `top`: the symbol of the 30 days with the highest
    profit, `top_pct` that in per cent of the equity they began with. `balance`: realised equity."""

    today: Stretch
    week: Stretch
    month: Stretch
    active_positions: int
    balance: Units
    top: SymbolRow | None
    top_pct: float


@dataclass(frozen=True, slots=True)
class Stats:
    """An account's whole time. `ledger` is None where there is none yet."""

    user_id: str
    stored_tier: Tier
    age_days: int
    ledger: Ledger | None
    best_month: BestMonth | None
    preferences: Preferences
    tier: EffectiveTier
    leverage: float


async def dashboard(deps: Deps, ledger: Ledger | None, held: int, today: int) -> Dashboard:
    """The dashboard of a ledger with so many open positions."""
    if ledger is None:
        return Dashboard(NOTHING, NOTHING, NOTHING, held, 0, None, 0.0)
    results, breakdown = await reading.broken_down(deps, ledger, EVERY, today - 29)
    days = reading.with_equity(ledger, today - 29, results)
    top = top_symbol(breakdown)
    base = days.equity_before + sum(result.deposits for result in days.results)
    return Dashboard(
        today=_short(days.since(today)),
        week=_short(days.since(today - 6)),
        month=_short(days),
        active_positions=held,
        balance=ledger.equity,
        top=top,
        top_pct=0.0 if top is None else percent_of(top.pnl, base),
    )


async def trades(
    deps: Deps, ledger: Ledger | None, period: Period, symbol: str | None, group: Group | None, today: int
) -> TradesOfPeriod:
    """A period's trades, all of them or those of one symbol."""
    chosen = symbol or EVERY
    if ledger is None:
        return trades_of_period(chosen, (), Breakdown(), group)
    days, breakdown = await reading.broken_down(deps, ledger, chosen, reading.first_day(period, today))
    return trades_of_period(chosen, days, breakdown, group)


async def stats(deps: Deps, person: Person, mode: Mode | None) -> Stats:
    """An account's whole time, and the risk it may take and takes now."""
    name = await reading.ledger_name(deps, person.user_id, mode)

    ledger = await deps.results.ledger(name)
    exposure = sum(position.size_usd for position in await deps.rows.open_positions(name))
    user = await deps.people.user(person.user_id)
    subscription = await deps.people.subscription(person.user_id)
    now_ms = deps.clock.now_ms()
    registered = person.registered_at_ms if user is None else user.registered_at_ms
    stretches = registration_defaults(registered) if subscription is None else subscription.effective
    own = effective_at(stretches, now_ms)
    return Stats(
        user_id=person.user_id,
        stored_tier=Tier.FREE if subscription is None else subscription.tier,
        age_days=max(0, now_ms - registered) // DAY_MS,
        ledger=ledger,
        best_month=None if ledger is None else best_month(ledger.months),
        preferences=await deps.people.preferences(person.user_id),
        tier=for_administrators(own) if person.administrator else own,
        leverage=0.0 if ledger is None else leverage(exposure, ledger.equity),
    )


def _short(days: Days) -> Stretch:
    return stretch(days.equity_before, days.results)
