"""Answers of `/admin/*`, field for field as the API reference has them: USD to 2 places, ratios and per cents to 4."""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

from pydantic import BaseModel, ConfigDict

from nija_analytics.domain.audit import AuditRow
from nija_analytics.domain.cards import AccountCard, LedgerResults
from nija_analytics.handlers.admin_reads import Metrics, Person
from nija_common.events.identity import AccountStatus, Role
from nija_common.events.subscriptions import SubscriptionStatus
from nija_common.http.pagination import Pagination
from nija_common.values.money import usd
from nija_common.values.tiers import Tier
from nija_common.values.times import day_of, iso, iso_or_none


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class UserRow(_Answer):
    """One account of the list. Trades and profit are of the ledger that the bot last ran on; `total_pnl` is net."""

    user_id: str
    email: str
    full_name: str
    subscription_tier: Tier
    status: AccountStatus
    total_trades: int
    total_pnl: float
    joined_at: str
    last_active: str | None


class UsersAnswer(_Answer):
    """`GET /admin/users`."""

    users: list[UserRow]
    pagination: Pagination


class UserSubscription(_Answer):
    """The stored tier. `started` and `renews`: the days on which the period began and the next one will; null where
    nothing is paid, `renews` also where it ends instead."""

    tier: Tier
    status: SubscriptionStatus
    started: str | None
    renews: str | None


class UserTrading(_Answer):
    """Of the ledger that the bot last ran on. `win_rate` is a fraction, null without a closed trade."""

    total_trades: int
    total_pnl: float
    win_rate: float | None
    active_positions: int


class UserBroker(_Answer):
    """One broker connection; one that was removed is not listed."""

    name: str
    status: Literal["connected"]


class UserDetails(_Answer):
    """One account. `status` and `role` are not in the reference."""

    user_id: str
    email: str
    full_name: str
    role: Role
    status: AccountStatus
    subscription: UserSubscription
    trading: UserTrading
    brokers: list[UserBroker]
    joined_at: str
    last_active: str | None


class UserAnswer(_Answer):
    """`GET /admin/users/{user_id}`."""

    user: UserDetails


class UserFigures(_Answer):
    """Accounts, by stored tier as well; `active_today`: those that called or signed in on this UTC day."""

    total: int
    active_today: int
    free: int
    basic: int
    pro: int
    enterprise: int


class TradingFigures(_Answer):
    """Both ledgers together. Volume and trades: entries filled in this hour and the 23 before it."""

    bots_running: int
    total_positions: int
    total_volume_24h: float
    total_trades_24h: int


class SystemFigures(_Answer):
    """Of the last five minutes reported; `error_rate` is a fraction. Null: nothing has been reported."""

    api_requests_per_second: float | None
    avg_response_time_ms: float | None
    error_rate: float | None
    uptime_pct: float | None


class RevenueFigures(_Answer):
    """USD. `churn_rate` is a fraction, null where no paid subscription ran 30 days ago."""

    mrr: float
    arr: float
    churn_rate: float | None


class MetricsAnswer(_Answer):
    """`GET /admin/metrics`."""

    users: UserFigures
    trading: TradingFigures
    system: SystemFigures
    revenue: RevenueFigures


class LogEntry(_Answer):
    """One row of the audit log. Address and user agent are left out where they are not known; `actor`, who did it, is
    not in the reference."""

    log_id: str
    event_type: str
    user_id: str
    actor: str
    ip_address: str | None = None
    user_agent: str | None = None
    metadata: dict[str, str | int | float | bool | None]
    timestamp: str


class AuditLogsAnswer(_Answer):
    """`GET /admin/audit-logs`."""

    logs: list[LogEntry]
    pagination: Pagination


def user_row(person: Person) -> UserRow:
    """A row of the list."""
    results = person.trading.results
    return UserRow(
        user_id=person.user.id,
        email=person.user.email,
        full_name=person.user.full_name,
        subscription_tier=person.card.tier,
        status=person.card.status,
        total_trades=results.trades,
        total_pnl=usd(results.net),
        joined_at=iso(person.user.registered_at_ms),
        last_active=_last_active(person),
    )


def user_answer(person: Person) -> UserAnswer:
    """One account in full."""
    trading = person.trading
    names = sorted(trading.brokers.values())
    return UserAnswer(
        user=UserDetails(
            user_id=person.user.id,
            email=person.user.email,
            full_name=person.user.full_name,
            role=person.user.role,
            status=person.card.status,
            subscription=_subscription(person),
            trading=UserTrading(
                total_trades=trading.results.trades,
                total_pnl=usd(trading.results.net),
                win_rate=_win_rate(trading.results),
                active_positions=trading.positions_shown,
            ),
            brokers=[UserBroker(name=name, status="connected") for name in names],
            joined_at=iso(person.user.registered_at_ms),
            last_active=_last_active(person),
        )
    )


def metrics_answer(metrics: Metrics) -> MetricsAnswer:
    """The platform's figures."""
    users, trading, system, revenue = metrics.users, metrics.trading, metrics.system, metrics.revenue
    return MetricsAnswer(
        users=UserFigures(
            total=users.total,
            active_today=users.active_today,
            **{tier.value: number for tier, number in users.tiers.items()},
        ),
        trading=TradingFigures(
            bots_running=trading.bots_running,
            total_positions=trading.positions,
            total_volume_24h=usd(trading.volume),
            total_trades_24h=trading.trades,
        ),
        system=SystemFigures(
            api_requests_per_second=_rounded(system.requests_per_second),
            avg_response_time_ms=_rounded(system.response_time_ms),
            error_rate=_rounded(system.error_rate),
            uptime_pct=_rounded(system.uptime_pct),
        ),
        revenue=RevenueFigures(
            mrr=_dollars(revenue.mrr_cents),
            arr=_dollars(revenue.arr_cents),
            churn_rate=_rounded(revenue.churn_rate),
        ),
    )


def log_entry(row: AuditRow) -> LogEntry:
    """A row of the audit log, without what is not known."""
    origin = {"ip_address": row.ip_address, "user_agent": row.user_agent}
    return LogEntry(
        log_id=row.id,
        event_type=row.event_type,
        user_id=row.user_id,
        actor=row.actor,
        metadata=row.metadata,
        timestamp=iso(row.at_ms),
        **{name: value for name, value in origin.items() if value is not None},
    )


def _subscription(person: Person) -> UserSubscription:
    card: AccountCard = person.card
    paid = person.subscription
    if paid is None:
        return UserSubscription(tier=card.tier, status="none", started=None, renews=None)
    renews = None if paid.cancel_at_period_end or paid.status == "cancelled" else paid.period_end_ms
    return UserSubscription(tier=card.tier, status=paid.status, started=_day(paid.period_start_ms), renews=_day(renews))


def _win_rate(results: LedgerResults) -> float | None:
    return round(results.wins / results.trades, 4) if results.trades else None


def _last_active(person: Person) -> str | None:
    return iso_or_none(None if person.activity is None else person.activity.last_ms)


def _day(at_ms: int | None) -> str | None:
    return None if at_ms is None else day_of(at_ms)


def _dollars(cents: Fraction) -> float:
    return round(cents) / 100


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
