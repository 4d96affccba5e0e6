"""How analytics keeps its aggregates; each read is by id or a named query over a declared index."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TypeVar

from nija_analytics.domain.aggregates import Cash, LastRun, Ledger
from nija_analytics.domain.digests import DigestMail, DigestRun
from nija_analytics.domain.exports import Export
from nija_analytics.domain.people import AuditRow, Preferences, SubscriptionCard, UserCard
from nija_analytics.domain.results import EVERY, ResultDay, ResultMonth, period_id
from nija_analytics.domain.trades import PositionRecord, TradeRecord
from nija_common.storage.port import Page, Range, Storage
from nija_common.storage.remembered import IdempotentRequest
from nija_common.values.document import Document, Scalar

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
    AuditRow,
    Export,
    DigestRun,
    DigestMail,
    IdempotentRequest,
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
    """Users, their subscriptions and preferences, and the audit log."""

    storage: Storage

    async def user(self, user_id: str) -> UserCard | None:
        return await self.storage.get(UserCard, user_id)

    async def subscription(self, user_id: str) -> SubscriptionCard | None:
        return await self.storage.get(SubscriptionCard, user_id)

    async def preferences(self, user_id: str) -> Preferences:
        """As last told, else the defaults of a new account (version 0)."""
        return await self.storage.get(Preferences, user_id) or Preferences(id=user_id)

    async def audit_row(self, log_id: str) -> AuditRow | None:
        return await self.storage.get(AuditRow, log_id)


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
