"""The pool of workers: who holds which shard. Leases alone decide who trades for whom.

Take-over, start and crash recovery are one path: the shard and its active accounts get the lease's epoch, what was
on its way is settled, committed steps are folded; then the shard steps (`worker.py`). Take-overs run beside the
renewals, so that a large shard loses no other its lease.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

import structlog

from nija_common.errors import Conflict, NijaError
from nija_common.storage.port import Lease
from nija_common.storage.unit_of_work import UnitOfWork
from nija_common.values.shards import PARTITIONS
from nija_trading.deps import Deps
from nija_trading.domain.controls import MarketClock, Shard, shard_id
from nija_trading.handlers import execution
from nija_trading.handlers.memory import Bot, HeldShard, ShardLost
from nija_trading.handlers.rest import Asking
from nija_trading.ports import Market

log = structlog.get_logger(__name__)

WORKERS = "worker/"
SHARDS = "shard/"
BOTS_AT_ONCE = 32
"""So many bots of a worker commit at the same time: more would only wait for each other, and an opening order that waits
has its switches read again."""
TRANSIENT = (NijaError, Conflict, ShardLost)
"""What waiting can heal; the next look tries again."""


@dataclass(slots=True)
class Worker:
    """A worker's memory: its shards, those that it is taking over, the clock it has read, and what it has told."""

    deps: Deps
    market: Market
    spawn: Callable[..., object] = asyncio.create_task
    """Starts what runs beside the loops; the worker's task group, so that its failure is the worker's."""
    shards: dict[int, HeldShard] = field(default_factory=dict)
    coming: dict[int, HeldShard] = field(default_factory=dict)
    leases: dict[int, Lease] = field(default_factory=dict)
    clock: MarketClock | None = None
    clock_read: bool = False
    anchored: bool = False
    refresh_at: float = 0.0
    told: dict[str, int] = field(default_factory=dict)
    checking: set[str] = field(default_factory=set)
    """Checks of keys that are under way here."""
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(BOTS_AT_ONCE))
    asked: dict[tuple[int, int], Asking] = field(default_factory=dict)
    """What markets ask for at the steps from one to another; shards that go the same way share it."""
    moved: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when there is a reason to step at once: a bot has started, a shard has come."""

    def held(self) -> frozenset[int]:
        """Shards that step here."""
        return frozenset(self.shards)

    def ours(self) -> dict[int, HeldShard]:
        """Shards with a lease of ours."""
        return {**self.coming, **self.shards}

    def asking(self, after_ms: int, step_ms: int) -> Asking:
        """What markets ask for at the steps behind one up to another."""
        found = self.asked.get((after_ms, step_ms))
        if found is None:
            found = self.asked[(after_ms, step_ms)] = Asking(self.market, after_ms, step_ms)
        return found

    def bots(self) -> list[Bot]:
        return [bot for shard in self.shards.values() for bot in shard.bots.values()]


async def renew(worker: Worker) -> None:
    """Renews the heartbeat and the leases, gives up what is too much, claims what is free up to the fair share."""
    deps = worker.deps
    worker.anchored = worker.anchored or not worker.market.paced
    if not worker.anchored and not await deps.storage.leases(WORKERS):
        await _anchor(worker)
    started = deps.clock.monotonic()
    await deps.storage.take(WORKERS + deps.holder, deps.holder, deps.settings.trading_lease_ms)
    alive = await deps.storage.leases(WORKERS)
    share = math.ceil(PARTITIONS / max(1, len(alive)))
    await gathered(_renew_one(worker, shard, started) for shard in worker.ours().values())
    for number in sorted(worker.shards)[share:]:
        await give_up(worker, number)
    leases = await deps.storage.leases(SHARDS)
    others = {lease.name for lease in leases if lease.holder != deps.holder}
    if not worker.anchored and len(alive) == 1 and not leases:
        await _anchor(worker)
    ours = worker.ours()
    wanted = [number for number in _order(deps.holder) if number not in ours and shard_id(number) not in others]
    await gathered(_claim(worker, number) for number in wanted[: max(0, share - len(ours))])
    worker.anchored = worker.anchored or bool(worker.ours())


def _order(holder: str) -> list[int]:
    """Where a worker begins to claim, so that several do not fight over the same shards."""
    first = sum(holder.encode()) % PARTITIONS
    return [(first + i) % PARTITIONS for i in range(PARTITIONS)]


async def _renew_one(worker: Worker, shard: HeldShard, started: float) -> None:
    deps = worker.deps
    lease = await deps.storage.take(shard_id(shard.number), deps.holder, deps.settings.trading_lease_ms)
    if lease is None or lease.epoch != shard.epoch or shard.lost:
        drop(worker, shard)
        return
    worker.leases[shard.number] = lease
    shard.valid_until = started + deps.settings.trading_lease_ms / 1000


async def _claim(worker: Worker, number: int) -> None:
    """Takes a free lease; the take-over goes on beside everything else."""
    deps = worker.deps
    started = deps.clock.monotonic()
    lease = await deps.storage.take(shard_id(number), deps.holder, deps.settings.trading_lease_ms)
    if lease is None:
        return
    valid_until = started + deps.settings.trading_lease_ms / 1000
    shard = HeldShard(number, lease.epoch, valid_until, Shard(id=shard_id(number)), 0, 0)
    worker.coming[number], worker.leases[number] = shard, lease
    worker.spawn(_take_over(worker, shard), name=f"take over {shard_id(number)}")


async def _take_over(worker: Worker, shard: HeldShard) -> None:
    """Makes a shard this worker's: its document and its active accounts get the lease's epoch, then it steps."""
    deps = worker.deps
    try:
        shard.document = await deps.work.run(_claim_shard, deps, shard, queue=shard_id(shard.number))
        for account in await deps.store.active_accounts(shard.number):
            bot = Bot(account.id, shard)
            await execution.claim(deps, bot)
            shard.bots[bot.user_id] = bot
        shard.check(deps.clock.monotonic())
    except TRANSIENT as error:
        log.warning("take_over_failed", shard=shard.number, reason=str(error))
        drop(worker, shard)
        return
    done = shard.document.step_ms
    reached = [at for bot in shard.bots.values() if bot.memory and (at := bot.memory.reached_ms()) is not None]
    shard.now_ms = max(worker.market.first_ms - 1 if done is None else done, min(reached, default=0))
    shard.doing_ms = shard.now_ms
    del worker.coming[shard.number]
    worker.shards[shard.number] = shard
    worker.clock_read = False  # somebody may have put the clock on again since we read it
    worker.moved.set()
    deps.looks.set()


async def _claim_shard(deps: Deps, shard: HeldShard, uow: UnitOfWork) -> Shard:
    document = await deps.store.shard(shard.number)
    if document.epoch > shard.epoch:
        raise ShardLost(document.id)
    if document.epoch == shard.epoch:
        return document
    claimed = document.model_copy(update={"epoch": shard.epoch})
    uow.save(claimed)
    return claimed.model_copy(update={"version": claimed.version + 1})


def drop(worker: Worker, shard: HeldShard) -> None:
    """Forgets a shard that is not ours any more."""
    shard.lost = True
    for held in (worker.shards, worker.coming):
        if held.get(shard.number) is shard:
            del held[shard.number]
            worker.leases.pop(shard.number, None)
            log.warning("shard_lost", shard=shard.number)


async def give_up(worker: Worker, number: int) -> None:
    """Gives a shard back so that another worker can have it at once."""
    shard = worker.ours().get(number)
    lease = worker.leases.pop(number, None)
    worker.shards.pop(number, None)
    worker.coming.pop(number, None)
    if shard is not None:
        shard.lost = True
    if lease is not None:
        await worker.deps.storage.release(lease)


async def leave(worker: Worker) -> None:
    """Gives everything back: the process ends. A store that is away gives it back by itself, in time."""
    deps = worker.deps
    try:
        await gathered(give_up(worker, number) for number in worker.ours())
        heartbeat = await deps.storage.take(WORKERS + deps.holder, deps.holder, 1)
        if heartbeat is not None:
            await deps.storage.release(heartbeat)
    except NijaError as error:
        log.warning("leases_not_given_back", reason=error.message)


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


async def gathered(awaitables: Iterable[Awaitable[None]]) -> None:
    """All of them together; the first failure is raised once the others have ended."""
    results = await asyncio.gather(*awaitables, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
