"""One member of the pool of workers: which shards it has, how they step, which commands wait.

Leases alone decide who trades for whom. Take-over, start and crash recovery are one path: epochs raised, what was
on its way settled, committed steps folded, then steps and commands. `loops.py` says when each of these is done.
"""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass, field, replace

import structlog

from nija_common.errors import Conflict, NijaError
from nija_common.events.trading import MarketMarked
from nija_common.storage.port import Lease
from nija_common.storage.unit_of_work import UnitOfWork
from nija_common.telemetry import metrics
from nija_common.values.shards import PARTITIONS
from nija_trading.deps import Deps
from nija_trading.domain.commands import Command
from nija_trading.domain.controls import GlobalSwitch, MarketClock, Shard, shard_id
from nija_trading.handlers import execution
from nija_trading.handlers.memory import Bot, HeldShard, ShardLost
from nija_trading.ports import Market

log = structlog.get_logger(__name__)

WORKERS = "worker/"
BOTS_AT_ONCE = 32
REFRESH_S = 1.0


@dataclass(slots=True)
class Worker:
    """A worker's memory: its shards, the clock it has read, and what it has told."""

    deps: Deps
    market: Market
    shards: dict[int, HeldShard] = field(default_factory=dict)
    leases: dict[int, Lease] = field(default_factory=dict)
    clock: MarketClock | None = None
    anchored: bool = False
    refresh_at: float = 0.0
    told: dict[str, int] = field(default_factory=dict)
    moved: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when there is a reason to step at once: a bot has started, a shard has come."""

    def held(self) -> frozenset[int]:
        return frozenset(self.shards)

    def bots(self) -> list[Bot]:
        return [bot for shard in self.shards.values() for bot in shard.bots.values()]


# -- leases ------------------------------------------------------------------------------------------------


async def renew(worker: Worker) -> None:
    """Renews the heartbeat and the leases, gives up what is too much, claims what is free up to the fair share."""
    deps = worker.deps
    ttl_ms = deps.settings.trading_lease_ms
    if not worker.anchored and not await deps.storage.leases(WORKERS):
        await _anchor(worker)
    started = deps.clock.monotonic()
    await deps.storage.take(WORKERS + deps.holder, deps.holder, ttl_ms)
    alive = await deps.storage.leases(WORKERS)
    share = math.ceil(PARTITIONS / max(1, len(alive)))
    await _gathered(_renew_one(worker, number, started) for number in list(worker.shards))
    for number in sorted(worker.shards)[share:]:
        await give_up(worker, number)
    taken = {lease.name for lease in await deps.storage.leases("shard/")}
    if not worker.anchored and len(alive) == 1 and not taken:
        await _anchor(worker)
    wanted = [n for n in _order(deps.holder) if n not in worker.shards and shard_id(n) not in taken]
    await _gathered(_claim(worker, number) for number in wanted[: max(0, share - len(worker.shards))])
    worker.anchored = worker.anchored or bool(worker.shards)
    metrics.SHARDS_HELD.set(len(worker.shards))


def _order(holder: str) -> list[int]:
    """Where a worker begins to claim, so that several do not fight over the same shards."""
    first = sum(holder.encode()) % PARTITIONS
    return [(first + i) % PARTITIONS for i in range(PARTITIONS)]


async def _renew_one(worker: Worker, number: int, started: float) -> None:
    deps = worker.deps
    shard = worker.shards[number]
    lease = await deps.storage.take(shard_id(number), deps.holder, deps.settings.trading_lease_ms)
    if lease is None or lease.epoch != shard.epoch or shard.lost:
        drop(worker, number)
        return
    worker.leases[number] = lease
    shard.valid_until = started + deps.settings.trading_lease_ms / 1000


async def _claim(worker: Worker, number: int) -> None:
    deps = worker.deps
    started = deps.clock.monotonic()
    lease = await deps.storage.take(shard_id(number), deps.holder, deps.settings.trading_lease_ms)
    if lease is None:
        return
    try:
        await take_over(worker, number, lease, started + deps.settings.trading_lease_ms / 1000)
    except (NijaError, ShardLost) as error:
        log.warning("take_over_failed", shard=number, reason=str(error))
        drop(worker, number)


async def take_over(worker: Worker, number: int, lease: Lease, valid_until: float) -> HeldShard:
    """Makes a shard this worker's: its document and its active accounts get the lease's epoch, then it steps."""
    deps = worker.deps
    document = await deps.work.run(_claim_shard, deps, (number, lease.epoch), queue=shard_id(number))
    now_ms = document.step_ms if document.step_ms is not None else worker.market.first_ms - 1
    shard = HeldShard(number, lease.epoch, valid_until, document, now_ms, now_ms)
    for account in await deps.store.active_accounts(number):
        bot = Bot(account.id, shard)
        await execution.claim(deps, bot)
        shard.bots[bot.user_id] = bot
    reached = [at for bot in shard.bots.values() if bot.memory and (at := bot.memory.reached_ms()) is not None]
    if reached:
        shard.now_ms = shard.doing_ms = max(shard.now_ms, min(reached))
    worker.shards[number], worker.leases[number] = shard, lease
    worker.clock = None  # somebody may have put it on again since we read it
    worker.moved.set()
    deps.looks.set()
    return shard


async def _claim_shard(deps: Deps, claim: tuple[int, int], uow: UnitOfWork) -> Shard:
    number, epoch = claim
    document = await deps.store.shard(number)
    if document.epoch > epoch:
        raise ShardLost(document.id)
    if document.epoch == epoch:
        return document
    claimed = document.model_copy(update={"epoch": epoch})
    uow.save(claimed)
    return claimed.model_copy(update={"version": claimed.version + 1})


def drop(worker: Worker, number: int) -> None:
    """Forgets a shard that is not ours any more."""
    shard = worker.shards.pop(number, None)
    worker.leases.pop(number, None)
    if shard is not None:
        shard.lost = True
        log.warning("shard_lost", shard=number)


async def give_up(worker: Worker, number: int) -> None:
    """Gives a shard back so that another worker can have it at once."""
    lease = worker.leases.get(number)
    shard = worker.shards.pop(number, None)
    worker.leases.pop(number, None)
    if shard is not None:
        shard.lost = True
    if lease is not None:
        await worker.deps.storage.release(lease)


async def leave(worker: Worker) -> None:
    """Gives everything back: the process ends."""
    deps = worker.deps
    await _gathered(give_up(worker, number) for number in list(worker.shards))
    heartbeat = await deps.storage.take(WORKERS + deps.holder, deps.holder, 1)
    if heartbeat is not None:
        await deps.storage.release(heartbeat)


async def _anchor(worker: Worker) -> None:
    """Nobody has stepped for a while: the clock goes on from the last committed step, as if no time had passed."""
    worker.clock = await worker.deps.work.run(_re_anchor, worker.deps, worker.market, queue="clock")
    worker.anchored = True


async def _re_anchor(deps: Deps, market: Market, uow: UnitOfWork) -> MarketClock | None:
    clock = await deps.store.clock()
    if clock is None:
        return None
    steps = [shard.step_ms for shard in await deps.store.shards(range(PARTITIONS)) if shard.step_ms is not None]
    reached = max([market.first_ms, *steps])
    anchored = clock.model_copy(update={"anchor_wall_ms": await deps.storage.now_ms(), "anchor_step_ms": reached})
    uow.save(anchored)
    return anchored.model_copy(update={"version": anchored.version + 1})


# -- steps -------------------------------------------------------------------------------------------------


async def step(worker: Worker) -> float:
    """Brings every shard to the step that is due. Answers in how many seconds the next one comes."""
    deps = worker.deps
    now_ms = await deps.storage.now_ms()
    clock = worker.clock or await deps.store.clock()
    if clock is None:
        return 1.0
    worker.clock = clock  # a take-over may forget it while we are at it: this turn goes on with the one it has
    due = worker.market.due(clock, now_ms)
    await _gathered(_catch_up(worker, shard, due) for shard in list(worker.shards.values()))
    await _tell_marks(worker, due)
    metrics.BOTS_RUNNING.set(len(worker.bots()))
    following = worker.market.after(due)
    if following is None:
        return 1.0
    return max(0.0, (worker.market.comes_at(clock, following) - await deps.storage.now_ms()) / 1000)


async def _catch_up(worker: Worker, shard: HeldShard, due: int) -> None:
    """Step by step to the one that is due, whoever of its bots is how far."""
    deps = worker.deps
    try:
        while shard.now_ms < due:
            shard.check(deps.clock.monotonic())
            following = worker.market.after(shard.now_ms)
            if following is None or not shard.bots:
                shard.now_ms = shard.doing_ms = due
                return
            with metrics.STEP_SECONDS.time():
                await _step_shard(worker, shard, following)
        if shard.now_ms == worker.market.last_ms:
            await _end_replay(deps, shard)
    except ShardLost:
        drop(worker, shard.number)


async def _step_shard(worker: Worker, shard: HeldShard, step_ms: int) -> None:
    deps = worker.deps
    shard.doing_ms = step_ms
    slots = asyncio.Semaphore(BOTS_AT_ONCE)
    behind: dict[str, int] = {}

    async def one(bot: Bot) -> None:
        async with slots:
            try:
                await execution.advance(deps, bot, step_ms)
            except NijaError as error:
                behind[bot.user_id] = shard.document.behind.get(bot.user_id, shard.now_ms)
                log.warning("bot_behind", user_id=bot.user_id, step_ms=step_ms, reason=error.message)

    await _gathered(one(bot) for bot in list(shard.bots.values()))
    scanned = deps.clock.now_ms()
    following = worker.market.after(step_ms)
    comes = None if following is None or worker.clock is None else worker.market.comes_at(worker.clock, following)
    update = {"step_ms": step_ms, "scanned_at_ms": scanned, "next_scan_ms": comes, "behind": behind}
    shard.document = await deps.work.run(
        _save_shard, deps, shard.document.model_copy(update=update), queue=shard_id(shard.number)
    )
    shard.now_ms = step_ms
    for bot in list(shard.bots.values()):
        if bot.memory is not None and not bot.memory.account.active:
            del shard.bots[bot.user_id]


async def _save_shard(deps: Deps, document: Shard, uow: UnitOfWork) -> Shard:
    """By version: whoever took the shard over has written it since, and this step is not ours to record."""
    known = await deps.store.shard(int(document.id.split("/")[1]))
    if known.version != document.version:
        raise ShardLost(document.id)
    uow.save(document)
    return document.model_copy(update={"version": document.version + 1})


async def _end_replay(deps: Deps, shard: HeldShard) -> None:
    for bot in list(shard.bots.values()):
        if bot.memory is None or bot.memory.account.status == "running":
            await execution.finish(deps, bot)


async def _tell_marks(worker: Worker, due: int) -> None:
    """The last price of every market that somebody here looks at, once a step."""
    symbols: set[tuple[str, str]] = set()
    for bot in worker.bots():
        if bot.memory is not None and bot.memory.account.broker is not None:
            pairs = bot.memory.allowance.preferences.trading.allowed_pairs
            symbols |= {(bot.memory.account.broker, symbol) for symbol in pairs}
            symbols |= {(desk.ledger.broker, symbol) for desk in bot.memory.desks.values() for symbol in desk.positions}
    now_ms = worker.deps.clock.now_ms()
    events = []
    for broker, symbol in sorted(symbols):
        mark = worker.market.mark(symbol, due)
        name = f"{broker}/{symbol}"
        if mark is not None and worker.told.get(name, 0) < mark.time_ms:
            worker.told[name] = mark.time_ms
            events.append(
                MarketMarked(broker=broker, symbol=symbol, price=mark.price, at_ms=now_ms, market_time_ms=mark.time_ms)
            )
    if events:
        await worker.deps.work.publish(*events)


# -- commands and switches -----------------------------------------------------------------------------------


async def refresh(worker: Worker) -> None:
    """Settings, standing and switch of every bot, in three reads. A bot in the middle of a turn is met the next time."""
    bots = worker.bots()
    allowances = await worker.deps.store.allowances([bot.user_id for bot in bots])
    for bot in bots:
        if bot.memory is not None and bot.memory.allowance != allowances[bot.user_id]:
            bot.memory = replace(bot.memory, allowance=allowances[bot.user_id])


async def look(worker: Worker) -> None:
    """The global switch, then every waiting command of the shards held here, each user's in order."""
    deps = worker.deps
    switch = await deps.store.switch()
    metrics.KILL_SWITCH_ACTIVE.set(int(switch.active))
    if switch.generation:
        await _gathered(_halted(worker, bot, switch) for bot in worker.bots())
    if deps.clock.monotonic() >= worker.refresh_at:
        worker.refresh_at = deps.clock.monotonic() + REFRESH_S
        await refresh(worker)
    waiting = [row for row in await deps.store.waiting_commands() if row.shard in worker.shards]
    metrics.COMMANDS_WAITING.set(len(waiting))
    by_user: dict[str, list[Command]] = defaultdict(list)
    for row in sorted(waiting, key=lambda row: (row.at_ms, row.id)):
        by_user[row.user_id].append(row)
    await _gathered(_obey_all(worker, rows) for rows in by_user.values())


async def _halted(worker: Worker, bot: Bot, switch: GlobalSwitch) -> None:
    """Does to one account what the switch asks, where anything is left to do."""
    if bot.memory is not None:
        account = bot.memory.account
        runs = account.status != "stopped" and account.switch_generation < switch.generation
        rests = switch.active and account.orders > 0
        holds = switch.active and switch.close_positions and account.positions > 0
        if not (runs or rests or holds):
            return
    try:
        await execution.halt(worker.deps, bot)
    except NijaError as error:
        log.warning("halt_failed", user_id=bot.user_id, reason=error.message)
    except ShardLost:
        drop(worker, bot.shard.number)


async def _obey_all(worker: Worker, rows: list[Command]) -> None:
    for row in rows:
        shard = worker.shards.get(row.shard)
        if shard is None:
            return
        bot = shard.bots.get(row.user_id) or Bot(row.user_id, shard)
        try:
            await execution.obey(worker.deps, bot, row)
        except NijaError as error:
            log.warning("command_waits", command=row.kind, user_id=row.user_id, reason=error.message)
            return
        except ShardLost:
            drop(worker, row.shard)
            return
        if bot.memory is not None and bot.memory.account.active:
            shard.bots[bot.user_id] = bot
            worker.moved.set()


async def _gathered(awaitables: Iterable[Awaitable[None]]) -> None:
    """All of them together; the first failure is raised once the others have ended."""
    results = await asyncio.gather(*awaitables, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result


TRANSIENT = (NijaError, Conflict, ShardLost)
