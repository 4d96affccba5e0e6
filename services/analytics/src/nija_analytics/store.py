"""How analytics keeps its aggregates; each read is by id or a named query over a declared index."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TypeVar

from nija_analytics.domain.aggregates import Cash, LastRun, Ledger
from nija_analytics.domain.audit import CHAINS, AuditHead, AuditRow, head_id
from nija_analytics.domain.cards import AccountCard, Activity, SearchWord, TradingCard
from nija_analytics.domain.digests import DigestMail, DigestRun
from nija_analytics.domain.exports import Export
from nija_analytics.domain.people import Preferences, SubscriptionCard, UserCard
from nija_analytics.domain.platform_totals import (
    SHARDS,
    ActivityTotals,
    SubscriptionTotals,
    TradingTotals,
    TrafficTotals,
    UptimeDay,
    UserTotals,
    shard_id,
)
from nija_analytics.domain.results import EVERY, ResultDay, ResultMonth, period_id
from nija_analytics.domain.trades import PositionRecord, TradeRecord
from nija_common.events.identity import AccountStatus
from nija_common.storage.port import Page, Range, Storage
from nija_common.storage.remembered import IdempotentRequest
from nija_common.values.document import Document, Scalar
from nija_common.values.tiers import Tier

CARDS = (AccountCard, SearchWord, TradingCard, Activity)
TOTALS = (UserTotals, SubscriptionTotals, TradingTotals, ActivityTotals, TrafficTotals, UptimeDay)
AUDIT = (AuditRow, AuditHead)
COLLECTIONS = (
    LastRun,
    Ledger,
    ResultDay,
    ResultMonth,
    TradeRecord,
    PositionRecord,
    Cash,
    UserCard,
    SubscriptionCard,
    Preferences,
    Export,
    DigestRun,
    DigestMail,
    IdempotentRequest,
    *CARDS,
    *TOTALS,
    *AUDIT,
)
PAGE = 500

D = TypeVar("D", bound=Document)


@dataclass(frozen=True, slots=True)
class Results:
    """Ledgers, their days and months."""

    storage: Storage

    async def last_run(self, user_id: str) -> LastRun | None:
        return await self.storage.get(LastRun, user_id)

    async def ledger(self, ledger: str) -> Ledger | None:
        return await self.storage.get(Ledger, ledger)

    async def day(self, ledger: str, symbol: str, day: int) -> ResultDay:
        """The day as stored, else an empty one (version 0)."""
        name = period_id(ledger, symbol, day)
        return await self.storage.get(ResultDay, name) or ResultDay(id=name, ledger=ledger, symbol=symbol, day=day)

    async def month(self, ledger: str, symbol: str, month: int) -> ResultMonth:
        """The month as stored, else an empty one (version 0)."""
        name = period_id(ledger, symbol, month)
        return await self.storage.get(ResultMonth, name) or ResultMonth(
            id=name, ledger=ledger, symbol=symbol, month=month
        )

    async def days(self, ledger: str, symbol: str, first: int, end: int) -> list[ResultDay]:
        """The days from `first` to before `end` that there is anything of, oldest first."""
        pages = _pages(self.storage, ResultDay, "by_symbol", (ledger, symbol), Range(first, end))
        return [document async for page in pages for document in page]

    async def months(self, ledger: str, symbol: str, first: int | None) -> list[ResultMonth]:
        """The months from `first` on that there is anything of, oldest first."""
        within = None if first is None else Range(first)
        pages = _pages(self.storage, ResultMonth, "by_symbol", (ledger, symbol), within)
        return [document async for page in pages for document in page]

    async def traders(self, first: int, end: int, *, limit: int, after: str | None) -> Page[ResultDay]:
        """Days from `first` to before `end` of everybody who traded then, day by day."""
        return await self.storage.find(ResultDay, "by_day", (EVERY,), Range(first, end), limit=limit, after=after)

    async def cash(self, ledger: str, broker: str) -> Cash | None:
        return await self.storage.get(Cash, f"{ledger}/{broker}")


@dataclass(frozen=True, slots=True)
class Rows:
    """Trades and positions one by one."""

    storage: Storage

    async def trade(self, trade_id: str) -> TradeRecord | None:
        return await self.storage.get(TradeRecord, trade_id)

    async def position(self, position_id: str) -> PositionRecord | None:
        return await self.storage.get(PositionRecord, position_id)

    async def open_count(self, ledger: str) -> int:
        return await self.storage.count(PositionRecord, "by_status", (ledger, "open"))

    async def open_positions(self, ledger: str) -> list[PositionRecord]:
        """What a ledger holds, oldest first."""
        pages = _pages(self.storage, PositionRecord, "by_status", (ledger, "open"), None)
        return [document async for page in pages for document in page]

    def trades(self, ledger: str, within: Range) -> AsyncIterator[tuple[TradeRecord, ...]]:
        """Trades opened in a span (UTC milliseconds), oldest first, page by page."""
        return _pages(self.storage, TradeRecord, "by_ledger", (ledger,), within)

    def positions(self, ledger: str, within: Range) -> AsyncIterator[tuple[PositionRecord, ...]]:
        """Positions opened in a span, oldest first, page by page."""
        return _pages(self.storage, PositionRecord, "by_ledger", (ledger,), within)


@dataclass(frozen=True, slots=True)
class People:
    """Users, their subscriptions and preferences."""

    storage: Storage

    async def user(self, user_id: str) -> UserCard | None:
        return await self.storage.get(UserCard, user_id)

    async def subscription(self, user_id: str) -> SubscriptionCard | None:
        return await self.storage.get(SubscriptionCard, user_id)

    async def preferences(self, user_id: str) -> Preferences:
        """As last told, else the defaults of a new account (version 0)."""
        return await self.storage.get(Preferences, user_id) or Preferences(id=user_id)


@dataclass(frozen=True, slots=True)
class Exports:
    """Files that were made for users."""

    storage: Storage

    async def get(self, name: str) -> Export | None:
        return await self.storage.get(Export, name)

    async def alive(self, user_id: str, now_ms: int) -> int:
        """How many of a user's exports have not expired."""
        return await self.storage.count(Export, "by_user", (user_id,), Range(now_ms + 1))

    async def expired(self, before_ms: int, limit: int) -> tuple[Export, ...]:
        """Some that expired before a moment, oldest first."""
        return (await self.storage.find(Export, "by_expiry", (), Range(None, before_ms), limit=limit)).items


@dataclass(frozen=True, slots=True)
class Digests:
    """Which summaries have been sent."""

    storage: Storage

    async def run(self, name: str) -> DigestRun:
        return await self.storage.get(DigestRun, name) or DigestRun(id=name)

    async def sent(self, mail_id: str) -> bool:
        return await self.storage.get(DigestMail, mail_id) is not None


async def _pages(
    storage: Storage, kind: type[D], index: str, equals: tuple[Scalar, ...], within: Range | None
) -> AsyncIterator[tuple[D, ...]]:
    after: str | None = None
    while True:
        page = await storage.find(kind, index, equals, within, limit=PAGE, after=after)
        yield page.items
        after = page.after
        if after is None:
            return


@dataclass(frozen=True, slots=True)
class Known:
    """What there is of some accounts, by user."""

    accounts: dict[str, AccountCard]
    users: dict[str, UserCard]
    subscriptions: dict[str, SubscriptionCard]
    trading: dict[str, TradingCard]
    activity: dict[str, Activity]


@dataclass(frozen=True, slots=True)
class Cards:
    """Accounts as administrators list and search them."""

    storage: Storage

    async def account(self, user_id: str) -> AccountCard:
        """As stored, else an empty one (version 0)."""
        return await self.storage.get(AccountCard, user_id) or AccountCard(id=user_id)

    async def words(self, card: AccountCard) -> dict[str, SearchWord]:
        """The card's search rows, by id."""
        return await self.storage.get_many(SearchWord, [row.id for row in card.search_rows()])

    async def trading(self, user_id: str) -> TradingCard:
        """As stored, else an empty one (version 0)."""
        return await self.storage.get(TradingCard, user_id) or TradingCard(id=user_id)

    async def activity(self, user_id: str) -> Activity | None:
        return await self.storage.get(Activity, user_id)

    async def listed(
        self, tier: Tier | None, status: AccountStatus | None, skip: int, limit: int
    ) -> tuple[tuple[AccountCard, ...], int]:
        """Some accounts, newest first, and how many there are."""
        index, equals = _filtered("by_age", tier, status)
        known = Range(low=0)
        total = await self.storage.count(AccountCard, index, equals, known)
        page = await self.storage.find(AccountCard, index, equals, known, limit=limit, descending=True, skip=skip)
        return page.items, total

    async def found(
        self, search: str, tier: Tier | None, status: AccountStatus | None, skip: int, limit: int
    ) -> tuple[list[str], int]:
        """Users one of whose words begins with `search`, in a fixed order, and how many there are.

        Rows that share as many characters as the search has with another row of their user say nothing new; the others
        are one query for each number of shared characters, nearly all of them empty.
        """
        index, equals = _filtered("by_text", tier, status)
        ids: list[str] = []
        total = 0
        for shared in range(len(search)):
            query = ((*equals, shared), Range.prefix(search))
            here = await self.storage.count(SearchWord, index, *query)
            before = max(0, skip - total)
            total += here
            if before < here and len(ids) < limit:
                page = await self.storage.find(SearchWord, index, *query, limit=limit - len(ids), skip=before)
                ids += [row.user_id for row in page.items]
        return ids, total

    async def all_of(self, ids: list[str]) -> Known:
        """Everything there is of these users."""
        return Known(
            accounts=await self.storage.get_many(AccountCard, ids),
            users=await self.storage.get_many(UserCard, ids),
            subscriptions=await self.storage.get_many(SubscriptionCard, ids),
            trading=await self.storage.get_many(TradingCard, ids),
            activity=await self.storage.get_many(Activity, ids),
        )


def _filtered(without: str, tier: Tier | None, status: AccountStatus | None) -> tuple[str, tuple[Scalar, ...]]:
    """The index for these filters, and what its leading fields equal."""
    if tier is not None and status is not None:
        return "by_tier_and_status", (tier.value, status)
    if tier is not None:
        return "by_tier", (tier.value,)
    return (without, ()) if status is None else ("by_status", (status,))


@dataclass(frozen=True, slots=True)
class Totals:
    """The platform's running totals: one document a shard and kind. A user's are those that the user is counted in."""

    storage: Storage

    async def users(self, user_id: str) -> UserTotals:
        return await self._of(UserTotals, user_id)

    async def subscriptions(self, user_id: str) -> SubscriptionTotals:
        return await self._of(SubscriptionTotals, user_id)

    async def trading(self, user_id: str) -> TradingTotals:
        return await self._of(TradingTotals, user_id)

    async def activity(self, user_id: str) -> ActivityTotals:
        return await self._of(ActivityTotals, user_id)

    async def traffic(self, user_id: str) -> TrafficTotals:
        return await self._of(TrafficTotals, user_id)

    async def all_users(self) -> list[UserTotals]:
        return await self._all(UserTotals)

    async def all_subscriptions(self) -> list[SubscriptionTotals]:
        return await self._all(SubscriptionTotals)

    async def all_trading(self) -> list[TradingTotals]:
        return await self._all(TradingTotals)

    async def all_activity(self) -> list[ActivityTotals]:
        return await self._all(ActivityTotals)

    async def all_traffic(self) -> list[TrafficTotals]:
        return await self._all(TrafficTotals)

    async def uptime_day(self, day: int) -> UptimeDay:
        """As stored, else an empty one (version 0)."""
        return await self.storage.get(UptimeDay, str(day)) or UptimeDay(id=str(day), day=day)

    async def uptime(self, first: int, last: int) -> tuple[UptimeDay, ...]:
        """The days from `first` to `last`, both included, that there is anything of."""
        return (await self.storage.find(UptimeDay, "by_day", (), Range(first, last + 1), limit=PAGE)).items

    async def first_uptime(self) -> UptimeDay | None:
        """The first day of all."""
        found = (await self.storage.find(UptimeDay, "by_day", limit=1)).items
        return found[0] if found else None

    async def _of(self, kind: type[D], user_id: str) -> D:
        shard = shard_id(user_id)
        return await self.storage.get(kind, shard) or kind(id=shard)

    async def _all(self, kind: type[D]) -> list[D]:
        return list((await self.storage.get_many(kind, SHARDS)).values())


@dataclass(frozen=True, slots=True)
class AuditLog:
    """Rows of the audit log and the heads of its chains. Nothing here changes or removes a row."""

    storage: Storage

    async def row(self, log_id: str) -> AuditRow | None:
        return await self.storage.get(AuditRow, log_id)

    async def stored_head(self, chain: int) -> AuditHead | None:
        return await self.storage.get(AuditHead, head_id(chain))

    async def head(self, chain: int) -> AuditHead:
        """As stored, else that of an empty chain (version 0)."""
        return await self.stored_head(chain) or AuditHead(id=head_id(chain))

    async def newest(
        self,
        user_id: str | None,
        event_type: str | None,
        span: tuple[int | None, int | None],
        skip: int,
        limit: int,
    ) -> tuple[tuple[AuditRow, ...], int]:
        """Some rows, newest first, and how many there are: an index for each combination of filters."""
        equals = tuple(value for value in (user_id, event_type) if value is not None)
        names = {(False, False): "by_time", (True, False): "by_user", (False, True): "by_type"}
        index = names.get((user_id is not None, event_type is not None), "by_user_and_type")
        within = None if span == (None, None) else Range(*span)
        total = await self.storage.count(AuditRow, index, equals, within)
        page = await self.storage.find(AuditRow, index, equals, within, limit=limit, descending=True, skip=skip)
        return page.items, total

    async def along(self, chain: int, up_to: int | None) -> AsyncIterator[tuple[AuditRow, ...]]:
        """A chain's rows by number, page by page, to the number `up_to` or to its end."""
        within = None if up_to is None else Range(None, up_to + 1)
        after: str | None = None
        while True:
            page = await self.storage.find(AuditRow, "by_place", (chain,), within, limit=PAGE, after=after)
            yield page.items
            after = page.after
            if after is None:
                return

    async def last(self, chain: int) -> AuditRow | None:
        """The row with the highest number."""
        found = (await self.storage.find(AuditRow, "by_place", (chain,), limit=1, descending=True)).items
        return found[0] if found else None

    async def astray(self) -> int:
        """Rows of chains that there are not."""
        outside = [Range(None, CHAINS.start), Range(CHAINS.stop)]
        return sum([await self.storage.count(AuditRow, "by_place", (), within) for within in outside])
