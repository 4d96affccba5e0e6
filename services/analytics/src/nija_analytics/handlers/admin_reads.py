"""What administrators read: accounts, the platform's figures, the audit log."""

from __future__ import annotations

from dataclasses import dataclass

from nija_analytics.deps import Deps
from nija_analytics.domain import platform_figures as figures
from nija_analytics.domain.audit import AuditRow
from nija_analytics.domain.cards import AccountCard, Activity, TradingCard, search_text
from nija_analytics.domain.people import SubscriptionCard, UserCard
from nija_common.errors import ErrorCode, NijaError
from nija_common.events.identity import AccountStatus
from nija_common.values.tiers import Tier
from nija_common.values.times import DAY_MS


@dataclass(frozen=True, slots=True)
class Person:
    """All that is known of an account; None or an empty card where nothing has been told."""

    card: AccountCard
    user: UserCard
    subscription: SubscriptionCard | None
    trading: TradingCard
    activity: Activity | None


@dataclass(frozen=True, slots=True)
class People:
    """Whose accounts are asked for, and which page of them."""

    search: str | None
    tier: Tier | None
    status: AccountStatus | None
    skip: int
    limit: int


@dataclass(frozen=True, slots=True)
class Rows:
    """Which rows of the audit log are asked for, and which page of them. The span is in UTC milliseconds."""

    user_id: str | None
    event_type: str | None
    start_ms: int | None
    end_ms: int | None
    skip: int
    limit: int


@dataclass(frozen=True, slots=True)
class Metrics:
    """The figures of the platform."""

    users: figures.Users
    trading: figures.Trading
    system: figures.System
    revenue: figures.Revenue


async def people(deps: Deps, asked: People) -> tuple[list[Person], int]:
    """One page of accounts, and how many there are in all.

    A search that is exactly a user's id finds that user. Any other finds the accounts one of whose e-mail's words
    begins with it. Without one, the newest accounts come first.
    """
    search = search_text(asked.search or "")
    if not search:
        cards, total = await deps.cards.listed(asked.tier, asked.status, asked.skip, asked.limit)
        return await _persons(deps, [card.id for card in cards]), total
    exact = await deps.cards.account((asked.search or "").strip())
    if exact.registered_at_ms is not None:
        fits = asked.tier in (None, exact.tier) and asked.status in (None, exact.status)
        chosen = [exact.id] if fits and asked.skip == 0 else []
        return await _persons(deps, chosen), int(fits)
    ids, total = await deps.cards.found(search, asked.tier, asked.status, asked.skip, asked.limit)
    return await _persons(deps, ids), total


async def person(deps: Deps, user_id: str) -> Person:
    """One account. Raises NOT_FOUND."""
    found = await _persons(deps, [user_id])
    if not found:
        raise NijaError(ErrorCode.NOT_FOUND, "There is no account with this id.")
    return found[0]


async def metrics(deps: Deps) -> Metrics:
    """The platform's figures, as they are now."""
    now_ms = deps.clock.now_ms()
    totals = deps.totals
    subscriptions = await totals.all_subscriptions()
    today = now_ms // DAY_MS
    days = await totals.uptime(today - figures.UPTIME_DAYS - 1, today)
    return Metrics(
        users=figures.users(await totals.all_users(), subscriptions, await totals.all_activity(), now_ms),
        trading=figures.trading(await totals.all_trading(), now_ms),
        system=figures.system(await totals.all_traffic(), days, await totals.first_uptime(), now_ms),
        revenue=figures.revenue(subscriptions, now_ms),
    )


async def audit_rows(deps: Deps, asked: Rows) -> tuple[tuple[AuditRow, ...], int]:
    """One page of the audit log, newest first, and how many rows there are in all."""
    span = (asked.start_ms, asked.end_ms)
    return await deps.audit_log.newest(asked.user_id, asked.event_type, span, asked.skip, asked.limit)


async def _persons(deps: Deps, ids: list[str]) -> list[Person]:
    """Those of the accounts that auth has told of, in the order of the ids."""
    known = await deps.cards.all_of(ids)
    return [
        Person(
            card=known.accounts.get(each) or AccountCard(id=each),
            user=known.users[each],
            subscription=known.subscriptions.get(each),
            trading=known.trading.get(each) or TradingCard(id=each),
            activity=known.activity.get(each),
        )
        for each in ids
        if each in known.users
    ]
