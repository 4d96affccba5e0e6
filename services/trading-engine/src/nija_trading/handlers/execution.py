"""The worker's work on one account: its steps, its commands, its orders. Every commit guards the account.

An order leaves in two units of work: the intent (`advance`, `obey`), the outcome (`settle`). Order paths: ACTIVE;
REDUCING, where `Terms.blocked` names what forbids entries; HALTED, without a valid lease, where nothing leaves.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass, replace
from typing import TypeVar

import structlog

from nija_common.errors import ErrorCode, NijaError, unavailable
from nija_common.events.base import Event
from nija_common.storage.unit_of_work import UnitOfWork
from nija_common.telemetry.context import continued
from nija_trading.deps import Deps
from nija_trading.domain import account as accounts
from nija_trading.domain import facts
from nija_trading.domain.apex.reasons import Denial
from nija_trading.domain.brokering import orders_cancelled, outcome, refused, stops_moved
from nija_trading.domain.commands import Command
from nija_trading.domain.controls import REPLAY, MarketClock
from nija_trading.domain.desk import Desk, Terms, Turn
from nija_trading.domain.records import PAPER_CASH, Order
from nija_trading.domain.stepping import meet_open, next_turn
from nija_trading.domain.trading import Mark, close_positions, open_by_alert
from nija_trading.handlers import watching
from nija_trading.handlers.commands import story_of
from nija_trading.handlers.memory import Bot, Memory, mark_of, recall, seen, step_seen
from nija_trading.ports import Market

log = structlog.get_logger(__name__)

R = TypeVar("R")

OUTCOME_S = 0.4
"""An opening order is with the broker within half a second of the reading of the switches, or it does not leave."""


FAILURES = (ErrorCode.BROKER_ERROR, ErrorCode.SERVICE_UNAVAILABLE)


class BrokerFailed(NijaError):
    """The broker failed or could not be reached over this order; a refusal of an order is no failure."""

    def __init__(self, error: NijaError, order: Order) -> None:
        super().__init__(error.code, error.message, error.details, retry_after=error.retry_after)
        self.order = order


@dataclass(frozen=True, slots=True)
class Target:
    """A step to which an account is to be brought."""

    bot: Bot
    step_ms: int


@dataclass(frozen=True, slots=True)
class Failure:
    """A failure of an account's broker."""

    bot: Bot
    message: str


@dataclass(frozen=True, slots=True)
class Errand:
    """A command for an account."""

    bot: Bot
    command_id: str


async def advance(deps: Deps, bot: Bot, step_ms: int) -> None:
    """Brings an account to a step, commit by commit; what waits for the broker is settled first. Raises ShardLost."""
    more = True
    while more:
        await settle(deps, bot)
        bot.memory, more = await deps.work.run(_advance, deps, Target(bot, step_ms), queue=bot.user_id)


async def settle(deps: Deps, bot: Bot) -> None:
    """Sends what is to be sent, looks up what may have been, and records the answers. A failure of the broker is
    counted in a commit of its own before it is raised: the bot may end with it."""
    while bot.memory is not None and bot.memory.waits_for_broker():
        try:
            bot.memory, answered = await deps.work.run(_settle, deps, bot, queue=bot.user_id, deadline_s=OUTCOME_S)
            watching.answered(answered, deps.clock.now_ms())
        except BrokerFailed as error:
            watching.broker_failed(error.order)
            bot.memory = await deps.work.run(_failed, deps, Failure(bot, error.message), queue=bot.user_id)
            raise


async def obey(deps: Deps, bot: Bot, command: Command) -> None:
    """Takes a command; row and effect end in one unit of work, then what it sent is settled."""
    with continued(f"command {command.kind}", story_of(command), user_id=bot.user_id):
        bot.memory = await deps.work.run(_obey, deps, Errand(bot, command.id), queue=bot.user_id)
        await settle(deps, bot)
        log.debug("command_obeyed", command=command.kind, command_id=command.id)


async def resume(deps: Deps, bot: Bot) -> None:
    """Goes on with what a failure has left: reads the account anew and settles what it finds."""
    bot.memory = await deps.work.run(_recalled, deps, bot, queue=bot.user_id)
    await settle(deps, bot)


async def claim(deps: Deps, bot: Bot) -> None:
    """A take-over's first commit for an account: the epoch raised, so that whoever had it before can write no more."""
    bot.memory = await deps.work.run(_claim, deps, bot, queue=bot.user_id)
    await settle(deps, bot)


async def halt(deps: Deps, bot: Bot) -> None:
    """What the global switch asks of an account: stopped, entries cancelled, closed where it says so."""
    bot.memory = await deps.work.run(_halt, deps, bot, queue=bot.user_id)
    await settle(deps, bot)


async def finish(deps: Deps, bot: Bot) -> None:
    """The replay has reached its last candle: the bot pauses, and nothing waits for an open that will not come."""
    bot.memory = await deps.work.run(_finish, deps, bot, queue=bot.user_id)


async def _recalled(deps: Deps, bot: Bot, uow: UnitOfWork) -> Memory:
    return (await recall(deps, bot, uow)).kept(uow)


async def _claim(deps: Deps, bot: Bot, uow: UnitOfWork) -> Memory:
    memory = await recall(deps, bot, uow)
    return memory.written(uow, ())


async def _advance(deps: Deps, target: Target, uow: UnitOfWork) -> tuple[Memory, bool]:
    """Turns until one has to be written or something waits for the broker (then there is more to do), or the step is
    done, or has to wait for candles."""
    market = deps.market
    memory = await recall(deps, target.bot, uow)
    for key in memory.live():
        terms = memory.terms(key, deps.clock.now_ms())  # until a turn is written
        while not (desk := memory.desk(key)).waits_for_broker():
            turn = _next(market, desk, terms, target.step_ms, deps.clock.now_ms())
            if turn is None:
                break
            if turn.write and _opens(desk, turn.desk):
                allowance = await deps.store.allowance(memory.account.id)
                if allowance != memory.allowance:
                    memory = replace(memory, allowance=allowance)
                    terms = memory.terms(key, deps.clock.now_ms())
                    continue
            memory = memory.with_turn(turn)
            if turn.write:
                return memory.written(uow, turn.events), True
    return memory.kept(uow), memory.waits_for_broker()


def _next(market: Market, desk: Desk, terms: Terms, target_ms: int, at_ms: int) -> Turn | None:
    """The next turn on the way to a step; None at its end, or where its candles are awaited."""
    ledger = desk.ledger
    if ledger.decided_ms == ledger.matched_ms >= target_ms and not desk.book.orders:
        return None
    if ledger.decided_ms < ledger.matched_ms or ledger.decided_ms >= target_ms:
        return next_turn(desk, step_seen(market, desk, ledger.matched_ms, terms), terms, at_ms)
    step_ms = market.after(ledger.decided_ms)
    if step_ms is None:
        return None
    if step_ms > target_ms or market.waits(ledger.broker, seen(desk, terms), step_ms):
        return meet_open(desk, step_seen(market, desk, ledger.decided_ms, terms).openings, terms, at_ms)
    return next_turn(desk, step_seen(market, desk, step_ms, terms), terms, at_ms)


def _opens(before: Desk, after: Desk) -> bool:
    return any(order.side == "buy" and order.id not in before.orders for order in after.submitting())


async def _settle(deps: Deps, bot: Bot, uow: UnitOfWork) -> tuple[Memory, list[Order]]:
    """The outcomes of everything that waits, in one commit; the orders that have one. Opening orders leave only if the
    switches, read now, allow."""
    memory = await recall(deps, bot, uow)
    read_at = deps.clock.monotonic()
    opening = any(order.side == "buy" for key in memory.desks for order in memory.desk(key).submitting())
    if opening:
        memory = replace(memory, allowance=replace(memory.allowance, switch=await deps.store.switch()))
    events: list[Event] = []
    answered: list[Order] = []
    if any(memory.desk(key).submitting() for key in memory.desks):
        memory = replace(memory, account=accounts.broker_answered(memory.account))
    for key in memory.desks:
        terms = memory.terms(key, deps.clock.now_ms())
        for order in memory.desk(key).submitting():
            turn = await _sent(deps, memory.desk(key), order, terms)
            answered.append(turn.desk.orders[order.id])
            memory = memory.with_turn(turn)
            events += turn.events
        if memory.desk(key).stops_differ():
            turn = stops_moved(memory.desk(key), deps.clock.now_ms())
            memory = memory.with_turn(turn)
            events += turn.events
    if opening and deps.clock.monotonic() - read_at > OUTCOME_S:
        raise unavailable("An opening order took too long to leave; the switches are read again first.")
    return memory.written(uow, tuple(events)), answered


async def _sent(deps: Deps, desk: Desk, order: Order, terms: Terms) -> Turn:
    now_ms = deps.clock.now_ms()
    reply = await _asked(order, deps.broker.look_up(desk, order))
    if reply is None:
        if order.side == "buy" and terms.blocked not in (None, Denial.SIGNALS_ONLY):
            return refused(desk, order, terms.blocked.value, terms, now_ms)
        reply = await _asked(order, deps.broker.submit(desk, order))
    return outcome(desk, reply, terms, now_ms)


async def _asked(order: Order, answer: Awaitable[R]) -> R:
    """What the broker answers. Raises BrokerFailed where it could not be reached or failed."""
    try:
        return await answer
    except NijaError as error:
        if error.code not in FAILURES:
            raise
        raise BrokerFailed(error, order) from error


async def _failed(deps: Deps, failure: Failure, uow: UnitOfWork) -> Memory:
    """One more failure in the account's count."""
    memory = await recall(deps, failure.bot, uow)
    account, events = accounts.broker_failed(memory.account, message=failure.message, at_ms=deps.clock.now_ms())
    if account is memory.account:
        return memory.kept(uow)
    return replace(memory, account=account).written(uow, events)


async def _obey(deps: Deps, order: Errand, uow: UnitOfWork) -> Memory:
    """One command. A row that is gone has had its effect."""
    bot = order.bot
    memory = await recall(deps, bot, uow)
    command = await deps.store.command(order.command_id)
    if command is None:
        return memory.kept(uow)
    uow.delete(command)
    events: list[Event] = []
    if command.kind == "start":
        memory = await _start(deps, bot, memory, uow, events)
    elif command.kind == "open":
        memory = await _open(deps, bot, memory, command, events)
    elif command.kind in ("close", "halt"):
        memory = _close(deps, bot, memory, command, events)
    return memory.written(uow, tuple(events))


async def _start(deps: Deps, bot: Bot, memory: Memory, uow: UnitOfWork, events: list[Event]) -> Memory:
    account = memory.account
    key = account.current
    if account.status != "starting" or key is None:
        return memory
    now_ms = deps.clock.now_ms()
    market = deps.market
    if market.paced and await deps.store.clock() is None:
        uow.save(MarketClock(id=REPLAY, anchor_wall_ms=await deps.storage.now_ms(), anchor_step_ms=market.first_ms))
    live = key in memory.live()
    running, event = accounts.run(account, cash=PAPER_CASH, step_ms=bot.shard.doing_ms, live=live, at_ms=now_ms)
    events.append(event)
    if key in memory.desks:
        return replace(memory, account=running)
    desk = await deps.store.desk(running, key)
    if desk.paper.version == 0:
        events.append(facts.balance_read(desk, now_ms, initial=True))
    return replace(memory, account=running, stored={**memory.stored, key: desk}, desks={**memory.desks, key: desk})


async def _open(deps: Deps, bot: Bot, memory: Memory, command: Command, events: list[Event]) -> Memory:
    """An alert. Settings, standing and switches are read anew: nothing is opened on an old reading."""
    memory = replace(memory, allowance=await deps.store.allowance(memory.account.id))
    trade = await deps.store.trade(command.trade_id or "")
    now_ms = deps.clock.now_ms()
    if trade is None or trade.status != "pending" or command.symbol is None:
        return memory
    key = accounts.ledger_key(trade.broker, trade.paper)
    if key not in memory.desks:
        key = memory.account.current or key
    desk = memory.desk(key)
    desk = replace(desk, trades={**desk.trades, trade.id: trade})
    market, step_ms = deps.market, bot.shard.now_ms
    marks = {symbol: mark.price for symbol, mark in _marks(market, desk, step_ms).items()}
    turn = open_by_alert(
        desk,
        command,
        market.price(desk.ledger.broker, command.symbol, step_ms),
        marks,
        memory.terms(key, now_ms),
        now_ms,
        await deps.storage.now_ms(),
    )
    events += turn.events
    return memory.with_turn(turn)


def _close(deps: Deps, bot: Bot, memory: Memory, command: Command, events: list[Event]) -> Memory:
    """Closings of one position or of all, and for a halt the end of resting entries."""
    now_ms = deps.clock.now_ms()
    market = deps.market
    for key in list(memory.desks):
        if command.kind == "halt":
            terms = memory.terms(key, now_ms)
            turn = orders_cancelled(memory.desk(key), command.reason, terms, now_ms, targets=command.targets)
            memory = memory.with_turn(turn)
            events += turn.events
        desk = memory.desk(key)
        chosen = [
            position
            for position in desk.positions.values()
            if (command.kind == "halt" and command.close)
            or position.id == command.position_id
            or (command.kind == "close" and position.symbol == command.symbol)
        ]
        turn = close_positions(desk, command, chosen, _marks(market, desk, bot.shard.now_ms), now_ms)
        memory = memory.with_turn(turn)
    return memory


async def _halt(deps: Deps, bot: Bot, uow: UnitOfWork) -> Memory:
    memory = await recall(deps, bot, uow)
    switch = await deps.store.switch()
    memory = replace(memory, allowance=replace(memory.allowance, switch=switch))
    events: list[Event] = []
    now_ms = deps.clock.now_ms()
    if memory.account.switch_generation < switch.generation:
        account, told = accounts.end(memory.account, by="kill_switch", reason=switch.reason or None, at_ms=now_ms)
        memory = replace(memory, account=account)
        events += told
    order = Command(
        id=f"halt-{switch.generation}-{now_ms}",
        shard=memory.account.shard,
        user_id=memory.account.id,
        kind="halt",
        at_ms=now_ms,
        close=switch.active and switch.close_positions,
        reason="kill_switch",
    )
    before = memory
    memory = _close(deps, bot, memory, order, events)
    if memory == before and not events:
        return memory.kept(uow)
    return memory.written(uow, tuple(events))


async def _finish(deps: Deps, bot: Bot, uow: UnitOfWork) -> Memory:
    memory = await recall(deps, bot, uow)
    if memory.account.status != "running":
        return memory.kept(uow)
    now_ms = deps.clock.now_ms()
    reason = "The replay has reached its last candle; open positions stay as they are."
    account, event = accounts.pause(memory.account, reason=reason, at_ms=now_ms)
    memory = replace(memory, account=account)
    events: list[Event] = [event]
    for key in list(memory.desks):
        turn = orders_cancelled(memory.desk(key), "paused", memory.terms(key, now_ms), now_ms, exits=True)
        memory = memory.with_turn(turn)
        events += turn.events
    return memory.written(uow, tuple(events))


def _marks(market: Market, desk: Desk, step_ms: int) -> dict[str, Mark]:
    return {symbol: mark_of(market, desk, symbol, step_ms, now=True) for symbol in desk.positions}
