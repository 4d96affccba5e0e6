"""What a worker remembers of an account between its commits, and how that becomes a commit.

Memory is only ever a shortcut: it is taken out before a handler works on it and put back after the commit, so a
conflict, a failure or an unknown outcome leaves nothing to trust, and the next look reads the documents again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from nija_common.events.base import Event
from nija_common.storage.unit_of_work import UnitOfWork
from nija_common.values.document import Document, slim
from nija_trading.deps import Deps
from nija_trading.domain.account import Account
from nija_trading.domain.apex.step import SymbolClose
from nija_trading.domain.controls import Shard
from nija_trading.domain.desk import Desk, Terms, Turn, changes, committed
from nija_trading.domain.gates import Allowance, terms_of
from nija_trading.domain.stepping import Step, fold, fold_flat
from nija_trading.domain.trading import Mark
from nija_trading.handlers.balances import compared
from nija_trading.ports import Market


class ShardLost(Exception):
    """Another worker has the shard, or this one's lease has run out: nothing more may be done for it."""


@dataclass(frozen=True, slots=True)
class Memory:
    """An account and its ledgers: as stored, and as they are now. The allowance is refreshed every second for all bots
    together, and read anew wherever something is opened."""

    account: Account
    stored: Mapping[str, Desk]
    desks: Mapping[str, Desk]
    allowance: Allowance
    market: Market
    owes: bool = False
    """Whether reading it has found something that the same unit of work must write."""

    def desk(self, key: str) -> Desk:
        """A ledger's desk with the account as it is now."""
        return self.desks[key].with_account(self.account)

    def with_desk(self, desk: Desk) -> Memory:
        """The memory after a change of a desk, its account included."""
        return replace(self, account=desk.account, desks={**self.desks, desk.key: desk})

    def with_turn(self, turn: Turn) -> Memory:
        return self.with_desk(turn.desk)

    def live(self) -> list[str]:
        """Ledgers that are stepped: those that hold something, and that of a bot that runs."""
        keys = [key for key, desk in self.desks.items() if desk.positions or desk.open_orders()]
        current = self.account.current
        runs = self.account.status in ("running", "paused")
        if runs and current is not None and current in self.desks and current not in keys:
            keys.append(current)
        return keys

    def waits_for_broker(self) -> bool:
        return any(self.desk(key).waits_for_broker() for key in self.desks)

    def reached_ms(self) -> int | None:
        """The last step that every live ledger has decided."""
        return min((self.account.ledgers[key].decided_ms for key in self.live()), default=None)

    def terms(self, key: str, now_ms: int) -> Terms:
        desk = self.desks[key]
        venue = desk.book.ruled(self.market.venue(desk.ledger.broker))
        return terms_of(self.account, key, self.allowance, venue, now_ms)

    def written(self, uow: UnitOfWork, events: tuple[Event, ...]) -> Memory:
        """Collects everything that differs from what is stored, and the cash that this commit leaves; answers the
        memory as it will be stored."""
        saves: dict[tuple[type[Document], str], Document] = {}
        deletes: list[Document] = []
        after: dict[str, Desk] = {}
        now = self._with_cash()
        account = now.model_copy(update={"version": now.version + 1})
        for key in self.desks:
            desk = self.desks[key].with_account(now)
            written = changes(self.stored[key], desk)
            saves.update({(type(document), document.id): document for document in written.saves})
            deletes += written.deletes
            after[key] = replace(committed(desk, written), account=account)
        uow.save(now, *saves.values())
        uow.delete(*deletes)
        uow.emit(*events)
        return replace(self, account=account, stored=after, desks=after, owes=False)

    def kept(self, uow: UnitOfWork) -> Memory:
        """The memory of a look that has changed nothing: written all the same where reading it owes that."""
        return self.written(uow, ()) if self.owes else self

    def as_stored(self) -> Memory:
        """The memory as it would be read now, in little space: what has not been written is forgotten, to be folded again."""
        account = next(iter(self.stored.values())).account
        slim(account, self.allowance.standing, self.allowance.preferences)
        slim(*(desk.paper for desk in self.stored.values()))
        return replace(self, account=account, desks=self.stored)

    def _with_cash(self) -> Account:
        account = self.account
        for key, desk in self.desks.items():
            ledger = account.ledgers[key]
            if ledger.cash != desk.book.cash:
                account = account.with_ledger(ledger.model_copy(update={"cash": desk.book.cash}))
        return account


@dataclass(slots=True)
class HeldShard:
    """A shard that this worker has a lease on. `now_ms`: the step that it has reached; `doing_ms`: the one it is at."""

    number: int
    epoch: int
    valid_until: float
    document: Shard
    now_ms: int
    doing_ms: int
    lost: bool = False
    waiting: set[str] = field(default_factory=set)
    """Users whose ledgers wait for candles."""
    bots: dict[str, Bot] = field(default_factory=dict)

    def steps(self) -> bool:
        """Whether any of its bots has something that steps."""
        return any(bot.memory is None or bot.memory.live() for bot in self.bots.values())

    def check(self, monotonic: float) -> None:
        """Raises ShardLost where nothing may be done for this shard any more (HALTED)."""
        if self.lost or monotonic >= self.valid_until:
            self.lost = True
            raise ShardLost(self.document.id)


@dataclass(slots=True)
class Bot:
    """One account of a held shard. `memory` None: it has to be read. `rests`: the memory with which it lay down
    (`rest.py`); it rests as long as that is its memory."""

    user_id: str
    shard: HeldShard
    memory: Memory | None = None
    rests: Memory | None = None

    def taken(self) -> Memory | None:
        """The memory, which is not trusted again before it is put back."""
        memory, self.memory = self.memory, None
        return memory


async def recall(deps: Deps, bot: Bot, uow: UnitOfWork) -> Memory:
    """The account from memory, or read, its balances compared, and carried to the step that its shard has committed.

    Whoever writes nothing else answers `kept`. Raises ShardLost.
    """
    bot.shard.check(deps.clock.monotonic())
    memory = bot.taken()
    return await _read(deps, bot, uow) if memory is None else carried(deps, bot, memory, memory.live())


async def _read(deps: Deps, bot: Bot, uow: UnitOfWork) -> Memory:
    account = await deps.store.account(bot.user_id)
    if account is None or account.epoch > bot.shard.epoch:
        bot.shard.lost = account is not None
        raise ShardLost(bot.user_id)
    if account.epoch < bot.shard.epoch:
        account = account.changed(epoch=bot.shard.epoch)
    stored = {key: await deps.store.desk(account, key) for key in account.ledgers}
    allowance = await deps.store.allowance(bot.user_id)
    found, desks = await compared(deps, account, stored, uow)
    memory = Memory(found, stored, desks, allowance, deps.market, owes=found is not account)
    return carried(deps, bot, memory, memory.desks)


def carried(deps: Deps, bot: Bot, memory: Memory, keys: Iterable[str]) -> Memory:
    """Folds what happened to nobody: the steps that the shard has committed without a word of this account, as far as
    their candles are there."""
    shard = bot.shard.document
    target = shard.behind.get(bot.user_id, shard.step_ms)
    if target is None:
        return memory
    for key in keys:
        desk = memory.desk(key)
        if desk.ledger.decided_ms >= target:
            continue
        terms = memory.terms(key, deps.clock.now_ms())
        memory = memory.with_desk(carried_to(deps.market, desk, target, terms))
    return memory


def carried_to(market: Market, desk: Desk, target_ms: int, terms: Terms) -> Desk:
    """A desk folded over committed steps, from the middle of one where its last commit were fills. One that waits for its
    broker stays where it is, and one whose candles are still to be read."""
    broker = desk.ledger.broker
    while desk.ledger.decided_ms < target_ms >= desk.ledger.matched_ms and not desk.waits_for_broker():
        if not desk.positions and not desk.open_orders() and desk.ledger.state.equity == desk.book.cash:
            return fold_flat(desk, target_ms, market.last_open(broker, terms.pairs, target_ms), terms)
        met_ms = desk.ledger.matched_ms
        step_ms = met_ms if met_ms > desk.ledger.decided_ms else market.after(desk.ledger.decided_ms)
        if step_ms is None or step_ms > target_ms or market.waits(broker, seen(desk, terms), step_ms):
            break
        desk = fold(desk, step_seen(market, desk, step_ms, terms), terms)
    return desk


def step_seen(market: Market, desk: Desk, step_ms: int, terms: Terms) -> Step:
    """A step as this desk sees it: its pairs first, then what it holds besides."""
    broker, symbols = desk.ledger.broker, seen(desk, terms)
    marks = {symbol: mark_of(market, desk, symbol, step_ms).price for symbol in desk.positions}
    openings = market.openings(broker, symbols, step_ms) if desk.book.orders else ()
    closes = market.closes(broker, symbols, step_ms, terms.rules.profile)
    if desk.ledger.matched_ms < step_ms:
        unknown = tuple(symbol for symbol in sorted(desk.symbols()) if not market.known(broker, symbol, step_ms))
    else:  # the candles of this step have met the book: what was not there then has not
        unknown = tuple(symbol for symbol, (_, met_ms) in desk.ledger.late.items() if met_ms is None)
    closes = tuple(close for close in closes if close.symbol not in unknown)
    return Step(step_ms, closes, marks, openings, _late(market, desk, unknown, step_ms, terms), unknown)


def seen(desk: Desk, terms: Terms) -> tuple[str, ...]:
    """The markets that a desk looks at: its pairs first, then what it holds besides."""
    more = desk.symbols().difference(terms.pairs)
    return (*terms.pairs, *sorted(more)) if more else terms.pairs


def _late(market: Market, desk: Desk, unknown: Sequence[str], step_ms: int, terms: Terms) -> tuple[SymbolClose, ...]:
    """Candles from before this step, oldest first, that have not met the book at their own steps and are there now."""
    found: list[SymbolClose] = []
    for symbol, (since_ms, _) in desk.ledger.late.items():
        at_ms = market.after(since_ms)
        while symbol not in unknown and at_ms is not None and at_ms < step_ms:
            found += market.closes(desk.ledger.broker, (symbol,), at_ms, terms.rules.profile)
            at_ms = market.after(at_ms)
    return tuple(sorted(found, key=lambda close: close.candle.time_ms))


def mark_of(market: Market, desk: Desk, symbol: str, step_ms: int, *, now: bool = False) -> Mark:
    """The last close of a held market, or with `now` the price of the moment; where the market has none any more, the
    last that the position has seen."""
    find = market.price if now else market.mark
    mark = find(desk.ledger.broker, symbol, step_ms)
    if mark is not None:
        return mark
    state = desk.positions[symbol].value
    price = state.entry_price if state.best_close is None else state.best_close
    return Mark(symbol, price, state.opened_ms, state.atr_at_signal)
