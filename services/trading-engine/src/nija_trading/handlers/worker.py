"""What a worker does with the shards that it holds: steps them with the market, and obeys commands and switches.

`pool.py` says which shards those are, `loops.py` when each of these is done, `execution.py` what is done to an account.
"""

from __future__ import annotations

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
from nija_trading.handlers import execution, key_checks, watching
from nija_trading.handlers.memory import Bot, HeldShard, ShardLost
from nija_trading.handlers.pool import Worker, drop, gathered
from nija_trading.handlers.rest import lie_down
from nija_trading.ports import Look

log = structlog.get_logger(__name__)

REFRESH_S = 1.0
AWAITED_S = 0.1
"""A live step that has come and waits for candles is looked at again after this long, if there is no news before."""


async def step(worker: Worker) -> float:
    """Brings every shard to the step that is due. Answers in how many seconds the next one comes."""
    deps = worker.deps
    if not worker.clock_read:
        worker.clock = await deps.store.clock()
        worker.clock_read = worker.clock is not None
    clock = worker.clock
    worker.asked = {}
    worker.market.watch(looks_of(worker))
    if clock is None and worker.market.paced:
        return 1.0
    due = worker.market.due(clock, await deps.storage.now_ms())
    await gathered(_catch_up(worker, shard, due) for shard in list(worker.shards.values()))
    await _tell_marks(worker, due)
    following = worker.market.after(due)
    if following is None:
        return 1.0
    wait_s = (worker.market.comes_at(clock, following) - await deps.storage.now_ms()) / 1000
    return max(wait_s, 0.0 if worker.market.paced else AWAITED_S)


async def _catch_up(worker: Worker, shard: HeldShard, due: int) -> None:
    """Step by step to the one that is due, whoever of its bots is how far."""
    deps = worker.deps
    try:
        while shard.now_ms < due and not deps.finishing.is_set():
            shard.check(deps.clock.monotonic())
            following = worker.market.after(shard.now_ms)
            if following is None or not shard.steps():
                shard.now_ms = shard.doing_ms = due
                _forget_idle(shard)
                break
            with metrics.STEP_SECONDS.time():
                # Where steps come with the time of day, each ledger goes through those that it missed by itself.
                await _step_shard(worker, shard, following if worker.market.paced else due)
        if worker.market.look_ms is not None:
            await _look_between(worker, shard, worker.market.look_ms)
        # Beyond the last candle too: the data folder may have traded on later ones before.
        if worker.market.last_ms is not None and shard.now_ms >= worker.market.last_ms:
            await _end_replay(deps, shard)
    except ShardLost:
        drop(worker, shard)


async def _step_shard(worker: Worker, shard: HeldShard, step_ms: int) -> None:
    """One step of every bot, then the shard's own record of it. A bot that fails stands in `behind` and harms no other."""
    shard.doing_ms = step_ms
    asking = worker.asking(shard.now_ms, step_ms)
    called = [bot for bot in shard.bots.values() if not asking.passes_over(bot)]
    behind = await _advance(worker, shard, called, step_ms)
    scanned = worker.deps.clock.now_ms()
    next_ms = _next_scan(worker, step_ms, scanned)
    update = {"step_ms": step_ms, "scanned_at_ms": scanned, "next_scan_ms": next_ms, "behind": behind}
    await _record(worker, shard, **update)
    shard.now_ms = step_ms
    _forget_idle(shard)


async def _advance(worker: Worker, shard: HeldShard, bots: list[Bot], step_ms: int) -> dict[str, int]:
    """Brings bots to a step. Answers which could not come so far, with the last step that each has committed."""
    deps = worker.deps
    behind: dict[str, int] = {}

    async def one(bot: Bot) -> None:
        before = shard.document.behind.get(bot.user_id, shard.now_ms)
        shard.waiting.discard(bot.user_id)
        async with worker.slots:
            try:
                await execution.advance(deps, bot, step_ms)
            except ShardLost:
                raise
            except Exception as error:
                behind[bot.user_id] = before
                unexpected = None if isinstance(error, NijaError) else error
                log.error("bot_behind", user_id=bot.user_id, step_ms=step_ms, reason=str(error), exc_info=unexpected)
                return
        reached = None if bot.memory is None else bot.memory.reached_ms()
        if reached is not None and reached < step_ms:
            shard.waiting.add(bot.user_id)
            behind[bot.user_id] = max(before, reached)
        lie_down(bot, step_ms)

    await gathered(one(bot) for bot in bots)
    return behind


async def _look_between(worker: Worker, shard: HeldShard, look_ms: int) -> None:
    """What is done between two steps: the look at prices, bots that waited for candles, orders that wait for an open,
    and what is to be told of the data. Nothing is opened that was not decided at a close."""
    look_at_ms = shard.now_ms + look_ms
    if shard.steps() and (shard.document.scanned_at_ms or 0) < look_at_ms <= worker.deps.clock.now_ms():
        await _step_shard(worker, shard, shard.now_ms)
        return
    bots = [bot for bot in shard.bots.values() if bot.user_id in shard.waiting or _waits_for_open(bot)]
    behind = await _advance(worker, shard, bots, shard.now_ms)
    untouched = {bot.user_id for bot in bots}
    behind |= {user: step for user, step in shard.document.behind.items() if user not in untouched}
    notes = dict(worker.market.notes())
    if shard.bots and (behind, notes) != (shard.document.behind, shard.document.notes):
        await _record(worker, shard, behind=behind)


def _waits_for_open(bot: Bot) -> bool:
    return bot.memory is not None and any(desk.book.orders for desk in bot.memory.desks.values())


def _next_scan(worker: Worker, step_ms: int, now_ms: int) -> int | None:
    """When this shard is looked at next: between two steps, or at the next one."""
    look_ms, following = worker.market.look_ms, worker.market.after(step_ms)
    if look_ms is not None and now_ms < step_ms + look_ms:
        return step_ms + look_ms
    if following is None or (worker.market.paced and worker.clock is None):
        return None
    return worker.market.comes_at(worker.clock, following)


async def _record(worker: Worker, shard: HeldShard, **update: object) -> None:
    """Writes the shard's document, with what there is to say of the data."""
    update["notes"] = dict(worker.market.notes())
    document = shard.document.model_copy(update=update)
    shard.document = await worker.deps.work.run(_save_shard, worker.deps, document, queue=shard_id(shard.number))


def _forget_idle(shard: HeldShard) -> None:
    for bot in list(shard.bots.values()):
        if bot.memory is not None and not bot.memory.account.active:
            del shard.bots[bot.user_id]


def looks_of(worker: Worker) -> list[Look]:
    """Every market that a bot of this worker trades or holds something in."""
    traded: set[tuple[str, tuple[str, ...]]] = set()
    looks: list[Look] = []
    for bot in worker.bots():
        memory = bot.memory
        if memory is None:
            continue
        account = memory.account
        if account.broker is not None and account.status in ("starting", "running", "paused"):
            traded.add((account.broker, memory.allowance.preferences.trading.allowed_pairs))
        if memory is bot.rests:
            continue
        for key in memory.live():
            desk = memory.desk(key)
            waiting = {order.symbol for order in desk.book.orders}
            since_ms = desk.ledger.decided_ms
            looks += [Look(desk.ledger.broker, name, since_ms, name in waiting) for name in sorted(desk.symbols())]
    markets = {(broker, symbol) for broker, pairs in traded for symbol in pairs}
    return [*(Look(broker, symbol) for broker, symbol in sorted(markets)), *looks]


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
    traded: set[tuple[str, tuple[str, ...]]] = set()
    for bot in worker.bots():
        if bot.memory is not None and bot.memory.account.broker is not None:
            traded.add((bot.memory.account.broker, bot.memory.allowance.preferences.trading.allowed_pairs))
            if bot.memory is not bot.rests:
                traded |= {(desk.ledger.broker, tuple(desk.positions)) for desk in bot.memory.desks.values()}
    symbols = {(broker, symbol) for broker, pairs in traded for symbol in pairs}
    now_ms = worker.deps.clock.now_ms()
    events = []
    for broker, symbol in sorted(symbols):
        mark = worker.market.price(broker, symbol, due)
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
    """Settings, standing and switch of every bot, where they have changed. A bot in the middle of a turn is met the next
    time."""
    known = {bot.user_id: bot.memory.allowance for bot in worker.bots() if bot.memory is not None}
    changed = await worker.deps.store.changed_allowances(known)
    for bot in worker.bots() if changed else ():
        allowance = changed.get(bot.user_id)
        if bot.memory is not None and allowance is not None and bot.memory.allowance != allowance:
            bot.memory = replace(bot.memory, allowance=allowance)


async def look(worker: Worker) -> None:
    """The global switch, then every waiting command of the shards held here, each user's in order."""
    deps = worker.deps
    switch = await deps.store.switch()
    metrics.KILL_SWITCH_ACTIVE.set(int(switch.active))
    if switch.generation:
        await gathered(
            _halted(worker, bot, close=switch.close_positions) for bot in worker.bots() if _to_halt(bot, switch)
        )
    await gathered(_resumed(worker, bot) for bot in worker.bots() if _left_waiting(bot))
    if deps.clock.monotonic() >= worker.refresh_at:
        worker.refresh_at = deps.clock.monotonic() + REFRESH_S
        await refresh(worker)
        watching.look_at(worker.bots(), deps.clock.now_ms())
    waiting = [row for row in await deps.store.waiting_commands() if row.shard in worker.shards]
    metrics.COMMANDS_WAITING.set(len(waiting))
    waiting.sort(key=lambda row: (row.at_ms, row.id))
    key_checks.begin(worker, [row for row in waiting if row.kind == "check_key"])
    by_user: dict[str, list[Command]] = defaultdict(list)
    for row in waiting:
        if row.kind != "check_key":
            by_user[row.user_id].append(row)
    await gathered(_obey_all(worker, rows) for rows in by_user.values())


def _to_halt(bot: Bot, switch: GlobalSwitch) -> bool:
    """Whether the switch asks anything of an account that is not done yet."""
    if bot.memory is None:
        return True
    account = bot.memory.account
    runs = account.status != "stopped" and account.switch_generation < switch.generation
    rests = switch.active and account.orders > 0
    holds = switch.active and switch.close_positions and account.positions > 0
    return runs or rests or holds


def _left_waiting(bot: Bot) -> bool:
    """Whether a failure has left an account to be read anew, or an order to be settled."""
    return bot.memory is None or (bot.memory is not bot.rests and bot.memory.waits_for_broker())


async def _halted(worker: Worker, bot: Bot, *, close: bool) -> None:
    """Does to one account what the switch asks."""
    try:
        if close:
            await _ask_prices(worker, bot, None)
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
    """A user's commands in their order; one that cannot be obeyed now waits, and those behind it. Behind a start that
    waits for data only alerts wait: what stops and closes is obeyed."""
    starting = False
    for row in rows:
        shard = worker.shards.get(row.shard)
        if shard is None:
            return
        bot = shard.bots.setdefault(row.user_id, Bot(row.user_id, shard))
        try:
            starting = starting or (row.kind == "start" and not await _data_there(worker, bot))
            if starting and row.kind in ("start", "open"):
                continue
            if row.kind in ("open", "close") or row.close:
                await _ask_prices(worker, bot, row.symbol if row.kind == "open" else None)
            await execution.obey(worker.deps, bot, row)
        except ShardLost:
            drop(worker, shard)
            return
        except Exception as error:
            unexpected = None if isinstance(error, NijaError) else error
            log.error("command_waits", command=row.kind, user_id=row.user_id, reason=str(error), exc_info=unexpected)
            return
        worker.moved.set()


async def _data_there(worker: Worker, bot: Bot) -> bool:
    """Whether a bot that is to start finds candles."""
    if bot.memory is None:
        await execution.resume(worker.deps, bot)
    memory = bot.memory
    if memory is None or memory.account.status != "starting" or memory.account.broker is None:
        return True
    there = worker.market.loaded(memory.account.broker, memory.allowance.preferences.trading.allowed_pairs)
    if not there:
        worker.moved.set()  # its markets are watched from the next step on
    return there


async def _ask_prices(worker: Worker, bot: Bot, symbol: str | None) -> None:
    """Quotes for orders that no close decides: of one market, or of all that the bot holds something in."""
    if bot.memory is None:
        await execution.resume(worker.deps, bot)
    memory = bot.memory
    if memory is None:
        return
    if symbol is not None and memory.account.broker is not None:
        await worker.market.ask(memory.account.broker, (symbol,))
    elif symbol is None:
        desks = [desk for desk in memory.desks.values() if desk.positions]
        await gathered(worker.market.ask(desk.ledger.broker, tuple(desk.positions)) for desk in desks)
