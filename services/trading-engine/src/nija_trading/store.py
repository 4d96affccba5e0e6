"""How trading keeps its documents: every query has a name here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from nija_common.storage.port import Storage
from nija_common.storage.remembered import IdempotentRequest
from nija_common.values.document import Document, Scalar
from nija_trading.domain.account import Account
from nija_trading.domain.alerts import SeenAlert, WebhookKey
from nija_trading.domain.commands import Command
from nija_trading.domain.connections import BrokerConnection, KeyCheck
from nija_trading.domain.controls import GLOBAL, REPLAY, UNTRIPPED, GlobalSwitch, MarketClock, Shard, shard_id
from nija_trading.domain.desk import Desk
from nija_trading.domain.gates import Allowance
from nija_trading.domain.matching.book import PaperBook
from nija_trading.domain.records import Order, PaperAccount, Position, Trade, new_paper_account, paper_id
from nija_trading.domain.standing import Preferences, Standing

COLLECTIONS: tuple[type[Document], ...] = (
    Account,
    BrokerConnection,
    Command,
    GlobalSwitch,
    IdempotentRequest,
    KeyCheck,
    MarketClock,
    Order,
    PaperAccount,
    Position,
    Preferences,
    SeenAlert,
    Shard,
    Standing,
    Trade,
    WebhookKey,
)
PAGE = 500

D = TypeVar("D", bound=Document)


@dataclass(frozen=True, slots=True)
class TradingStore:
    """Named reads of trading's database."""

    storage: Storage

    async def account(self, user_id: str) -> Account | None:
        return await self.storage.get(Account, user_id)

    async def active_accounts(self, shard: int) -> list[Account]:
        """Accounts of a shard that a worker has to look after."""
        return await self._all(Account, "by_shard", (shard, True))

    async def count_active(self) -> int:
        return await self.storage.count(Account, "by_active", (True,))

    async def switch(self) -> GlobalSwitch:
        return await self.storage.get_latest(GlobalSwitch, GLOBAL) or UNTRIPPED

    async def standing(self, user_id: str) -> Standing | None:
        return await self.storage.get(Standing, user_id)

    async def preferences(self, user_id: str) -> Preferences:
        return await self.storage.get(Preferences, user_id) or Preferences(id=user_id)

    async def allowance(self, user_id: str) -> Allowance:
        """What holds for a user now. A user whose standing is not known enters nothing."""
        return (await self.allowances([user_id]))[user_id]

    async def allowances(self, user_ids: Sequence[str]) -> dict[str, Allowance]:
        """The same for many users, in three reads."""
        switch = await self.switch()
        standings = await self.storage.get_many(Standing, user_ids)
        preferences = await self.storage.get_many(Preferences, user_ids)
        return {
            user_id: Allowance(
                standings.get(user_id) or Standing(id=user_id, status="suspended"),
                preferences.get(user_id) or Preferences(id=user_id),
                switch,
            )
            for user_id in user_ids
        }

    async def changed_allowances(self, known: Mapping[str, Allowance]) -> dict[str, Allowance]:
        """Those of these that are not any more as they are known: only what has another version is read."""
        switch = await self.switch()
        standings = await self.storage.versions(Standing, list(known))
        preferences = await self.storage.versions(Preferences, list(known))
        changed = [
            user_id
            for user_id, allowance in known.items()
            if allowance.switch.version != switch.version
            or allowance.standing.version != standings.get(user_id, 0)
            or allowance.preferences.version != preferences.get(user_id, 0)
        ]
        return await self.allowances(changed) if changed else {}

    async def positions(self, user_id: str) -> list[Position]:
        """Open positions of a user, of every ledger."""
        return await self._all(Position, "by_user", (user_id,))

    async def count_positions(self, user_id: str) -> int:
        return await self.storage.count(Position, "by_user", (user_id,))

    async def count_all_positions(self) -> int:
        papers = [await self.storage.count(Position, "by_ledger", (paper,)) for paper in (True, False)]
        return sum(papers)

    async def position(self, position_id: str) -> Position | None:
        return await self.storage.get(Position, position_id)

    async def open_orders(self, user_id: str) -> list[Order]:
        return await self._all(Order, "by_user", (user_id, True))

    async def trade(self, trade_id: str) -> Trade | None:
        return await self.storage.get(Trade, trade_id)

    async def trades(self, user_id: str, status: str) -> list[Trade]:
        return await self._all(Trade, "by_user", (user_id, status))

    async def waiting_commands(self) -> list[Command]:
        """Every waiting command, by shard and time."""
        return await self._all(Command, "by_shard", ())

    async def command(self, command_id: str) -> Command | None:
        return await self.storage.get(Command, command_id)

    async def shard(self, number: int) -> Shard:
        return await self.storage.get(Shard, shard_id(number)) or Shard(id=shard_id(number))

    async def shards(self, numbers: Sequence[int]) -> list[Shard]:
        found = await self.storage.get_many(Shard, [shard_id(number) for number in numbers])
        return list(found.values())

    async def clock(self) -> MarketClock | None:
        return await self.storage.get(MarketClock, REPLAY)

    async def webhook_key(self, user_id: str) -> WebhookKey | None:
        return await self.storage.get(WebhookKey, user_id)

    async def key_by_hash(self, key_hash: str) -> WebhookKey | None:
        page = await self.storage.find(WebhookKey, "by_hash", (key_hash,), limit=1)
        return page.items[0] if page.items else None

    async def seen_alert(self, alert_id: str) -> SeenAlert | None:
        return await self.storage.get(SeenAlert, alert_id)

    async def connection(self, broker_id: str) -> BrokerConnection | None:
        return await self.storage.get(BrokerConnection, broker_id)

    async def connections(self, user_id: str) -> list[BrokerConnection]:
        """A user's connections, oldest first."""
        return await self._all(BrokerConnection, "by_user", (user_id,))

    async def key_check(self, check_id: str) -> KeyCheck | None:
        return await self.storage.get(KeyCheck, check_id)

    async def _all(self, kind: type[D], index: str, equals: Sequence[Scalar]) -> list[D]:
        found: list[D] = []
        after: str | None = None
        while True:
            page = await self.storage.find(kind, index, equals, limit=PAGE, after=after)
            found += page.items
            after = page.after
            if after is None:
                return found

    async def desk(self, account: Account, key: str) -> Desk:
        """One ledger of an account with all that belongs to it. The account must have been read before."""
        ledger = account.ledgers[key]
        return await self._desk(account, key, ledger.broker, ledger.paper)

    async def _desk(self, account: Account, key: str, broker: str, paper: bool) -> Desk:
        book = await self.storage.get(PaperAccount, paper_id(account.id, broker)) or new_paper_account(
            account.id, broker
        )
        mine = (broker, paper)
        positions = (
            [p for p in await self.positions(account.id) if (p.broker, p.paper) == mine] if account.positions else []
        )
        orders = (
            [o for o in await self.open_orders(account.id) if (o.broker, o.paper) == mine] if account.orders else []
        )
        ids = {position.trade_id for position in positions} | {order.trade_id for order in orders}
        trades = await self.storage.get_many(Trade, sorted(ids)) if ids else {}
        return Desk(
            account=account,
            key=key,
            paper=book,
            book=PaperBook.from_dict(book.book),
            positions={position.symbol: position for position in positions},
            orders={order.id: order for order in orders},
            trades=trades,
        )
