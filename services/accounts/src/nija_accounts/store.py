"""How accounts keeps settings and its read models; each read is a named query over a declared index."""

from __future__ import annotations

from dataclasses import dataclass

from nija_accounts.domain.allowance import Allowance
from nija_accounts.domain.calendar import DayOfTrades, MonthOfTrades, period_id
from nija_accounts.domain.ledger import Balance, LastRun, balance_id
from nija_accounts.domain.positions import OpenPosition
from nija_accounts.domain.settings import Settings
from nija_accounts.domain.trades import Status, Trade
from nija_common.storage.port import Range, Storage
from nija_common.storage.remembered import IdempotentRequest
from nija_common.values.document import Scalar

COLLECTIONS = (
    Settings,
    Allowance,
    IdempotentRequest,
    LastRun,
    Balance,
    OpenPosition,
    Trade,
    MonthOfTrades,
    DayOfTrades,
)
PAGE = 200


@dataclass(frozen=True, slots=True)
class UserSettings:
    """Settings by user, and the tier that bounds them."""

    storage: Storage

    async def of(self, user_id: str) -> Settings:
        """The stored settings, else the defaults of a new account (version 0)."""
        return await self.storage.get(Settings, user_id) or Settings(id=user_id)

    async def allowance(self, user_id: str) -> Allowance | None:
        return await self.storage.get(Allowance, user_id)


@dataclass(frozen=True, slots=True)
class Ledgers:
    """Where bots ran, cash, and open positions."""

    storage: Storage

    async def last_run(self, user_id: str) -> LastRun | None:
        return await self.storage.get(LastRun, user_id)

    async def balance(self, user_id: str, paper: bool, broker: str) -> Balance | None:
        return await self.storage.get(Balance, balance_id(user_id, paper, broker))

    async def position(self, position_id: str) -> OpenPosition | None:
        return await self.storage.get(OpenPosition, position_id)

    async def positions(self, user_id: str, paper: bool) -> list[OpenPosition]:
        """Every open position of a ledger, oldest first."""
        found: list[OpenPosition] = []
        after: str | None = None
        while True:
            page = await self.storage.find(OpenPosition, "by_ledger", (user_id, paper), limit=PAGE, after=after)
            found.extend(page.items)
            after = page.after
            if after is None:
                return found


@dataclass(frozen=True, slots=True)
class TradeFilter:
    """Which trades of a ledger: of one symbol, of one status, opened within a half-open span (UTC milliseconds)."""

    user_id: str
    paper: bool
    symbol: str | None = None
    status: Status | None = None
    from_ms: int | None = None
    to_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Trades:
    """The history, by the one index that fits the filter: what is not asked for is not read."""

    storage: Storage

    async def get(self, trade_id: str) -> Trade | None:
        return await self.storage.get(Trade, trade_id)

    async def count(self, wanted: TradeFilter) -> int:
        index, equals, within = _query(wanted)
        return await self.storage.count(Trade, index, equals, within)

    async def page(self, wanted: TradeFilter, *, skip: int, limit: int) -> list[Trade]:
        """Newest first."""
        index, equals, within = _query(wanted)
        page = await self.storage.find(Trade, index, equals, within, limit=limit, descending=True, skip=skip)
        return list(page.items)


@dataclass(frozen=True, slots=True)
class Calendar:
    """How many trades there are, by month and day."""

    storage: Storage

    async def month(self, ledger: str, month: int) -> MonthOfTrades:
        """The month as stored, else one without trades (version 0)."""
        name = period_id(ledger, month)
        return await self.storage.get(MonthOfTrades, name) or MonthOfTrades(
            id=name, ledger=ledger, month=month, counts={}
        )

    async def day(self, ledger: str, day: int) -> DayOfTrades:
        """The day as stored, else one without trades (version 0)."""
        name = period_id(ledger, day)
        return await self.storage.get(DayOfTrades, name) or DayOfTrades(id=name, ledger=ledger, day=day, counts={})

    async def months(self, ledger: str) -> list[MonthOfTrades]:
        """All of them, newest first."""
        found: list[MonthOfTrades] = []
        after: str | None = None
        while True:
            page = await self.storage.find(
                MonthOfTrades, "by_ledger", (ledger,), limit=PAGE, descending=True, after=after
            )
            found.extend(page.items)
            after = page.after
            if after is None:
                return found

    async def days(self, ledger: str, first: int, end: int) -> list[DayOfTrades]:
        """Days from `first` to before `end` (of one month, at most), newest first."""
        within = Range(first, end)
        page = await self.storage.find(DayOfTrades, "by_ledger", (ledger,), within, limit=PAGE, descending=True)
        return list(page.items)


def _query(wanted: TradeFilter) -> tuple[str, tuple[Scalar, ...], Range | None]:
    ledger: tuple[Scalar, ...] = (wanted.user_id, wanted.paper)
    within = None if wanted.from_ms is None and wanted.to_ms is None else Range(wanted.from_ms, wanted.to_ms)
    if wanted.symbol is not None and wanted.status is not None:
        return "by_symbol_and_status", (*ledger, wanted.symbol, wanted.status), within
    if wanted.symbol is not None:
        return "by_symbol", (*ledger, wanted.symbol), within
    if wanted.status is not None:
        return "by_status", (*ledger, wanted.status), within
    return "by_ledger", ledger, within
