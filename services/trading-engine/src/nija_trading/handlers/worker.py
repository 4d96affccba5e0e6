"""What a worker does with the shards that it holds: steps them with the market, and obeys commands and switches.

`pool.py` says which shards those are, `loops.py` when each of these is done, `execution.py` what is done to an account.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import replace

import structlog

from nija_common.errors import NijaError
from nija_common.events.trading import MarketMarked
from nija_common.storage.unit_of_work import UnitOfWork
from nija_common.telemetry import metrics
from nija_trading.deps import Deps
from nija_trading.domain.commands import Command
from nija_trading.domain.controls import GlobalSwitch, Shard, shard_id
from nija_trading.handlers import execution, key_checks
from nija_trading.handlers.memory import Bot, HeldShard, ShardLost
from nija_trading.handlers.pool import Worker, drop, gathered

log = structlog.get_logger(__name__)

BOTS_AT_ONCE = 32
REFRESH_S = 1.0


async def step(worker: Worker) -> float:
    """Brings every shard to the step that is due. Answers in how many seconds the next one comes."""
    deps = worker.deps
    if not worker.clock_read:
        worker.clock = await deps.store.clock()
        worker.clock_read = worker.clock is not None
    clock = worker.clock
    if clock is None:
        return 1.0
    due = worker.market.due(clock, await deps.storage.now_ms())
    await gathered(_catch_up(worker, shard, due) for shard in list(worker.shards.values()))
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
        drop(worker, shard)


async def _step_shard(worker: Worker, shard: HeldShard, step_ms: int) -> None:
    """One step of every bot, then the shard's own record of it. A bot that fails stands in `behind` and harms no other."""
    deps = worker.deps
    shard.doing_ms = step_ms
    slots = asyncio.Semaphore(BOTS_AT_ONCE)
    behind: dict[str, int] = {}

    async def one(bot: Bot) -> None:
        async with slots:
            try:
                await execution.advance(deps, bot, step_ms)
            except ShardLost:
                raise
            except Exception as error:
                behind[bot.user_id] = shard.document.behind.get(bot.user_id, shard.now_ms)
                unexpected = None if isinstance(error, NijaError) else error
                log.error("bot_behind", user_id=bot.user_id, step_ms=step_ms, reason=str(error), exc_info=unexpected)

    await gathered(one(bot) for bot in list(shard.bots.values()))
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
        await gathered(_halted(worker, bot, switch) for bot in worker.bots())
    left = [bot for bot in worker.bots() if bot.memory is None or bot.memory.waits_for_broker()]
    await gathered(_resumed(worker, bot) for bot in left)
    if deps.clock.monotonic() >= worker.refresh_at:
        worker.refresh_at = deps.clock.monotonic() + REFRESH_S
        await refresh(worker)
    waiting = [row for row in await deps.store.waiting_commands() if row.shard in worker.shards]
    metrics.COMMANDS_WAITING.set(len(waiting))
    waiting.sort(key=lambda row: (row.at_ms, row.id))
    key_checks.begin(worker, [row for row in waiting if row.kind == "check_key"])
    by_user: dict[str, list[Command]] = defaultdict(list)
    for row in waiting:
        if row.kind != "check_key":
            by_user[row.user_id].append(row)
    await gathered(_obey_all(worker, rows) for rows in by_user.values())


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
        drop(worker, bot.shard)


async def _resumed(worker: Worker, bot: Bot) -> None:
    try:
        await execution.resume(worker.deps, bot)
    except NijaError as error:
        log.warning("bot_waits", user_id=bot.user_id, reason=error.message)
    except ShardLost:
        drop(worker, bot.shard)


async def _obey_all(worker: Worker, rows: list[Command]) -> None:
    """A user's commands in their order; one that cannot be obeyed now waits, and those behind it."""
    for row in rows:
        shard = worker.shards.get(row.shard)
        if shard is None:
            return
        bot = shard.bots.setdefault(row.user_id, Bot(row.user_id, shard))
        try:
            await execution.obey(worker.deps, bot, row)
        except ShardLost:
            drop(worker, shard)
            return
        except Exception as error:
            unexpected = None if isinstance(error, NijaError) else error
            log.error("command_waits", command=row.kind, user_id=row.user_id, reason=str(error), exc_info=unexpected)
            return
        worker.moved.set()
