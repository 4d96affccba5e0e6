"""Kill switches: a user's own and the global one. They change documents only, so they work without any worker.

Once a call has answered no opening order leaves: the user's latch lies in the account that every intent guards;
the global switch is read before each intent, which may be written within 500 ms of that reading, and tripping
waits 600 ms before it answers.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from nija_common.events.trading import CommandsWaiting
from nija_common.storage.unit_of_work import UnitOfWork
from nija_trading.deps import Deps
from nija_trading.domain.account import latch, new_account, release
from nija_trading.domain.controls import GLOBAL
from nija_trading.handlers import commands
from nija_trading.handlers.audit import Actor, audited

SETTLE_S = 0.6
"""Longer than an intent may be on its way after it has read the switches."""
CLOSED_WITHIN_S = 5.0
LOOK_EVERY_S = 0.02


@dataclass(frozen=True, slots=True)
class EmergencyStop:
    """A user's emergency stop."""

    user_id: str
    reason: str
    close_positions: bool
    by: Actor


@dataclass(frozen=True, slots=True)
class Halted:
    """What an emergency stop closed within its time, and what is left."""

    closed: int
    remaining: int


@dataclass(frozen=True, slots=True)
class TripSwitch:
    """The global switch, by an administrator."""

    reason: str
    close_positions: bool
    notify_users: bool
    by: Actor


@dataclass(frozen=True, slots=True)
class Tripped:
    """Whom the global switch met."""

    accounts: int
    positions: int
    at_ms: int


async def emergency_stop(deps: Deps, cmd: EmergencyStop) -> Halted:
    """Latches, waits until no opening order can be on its way, and counts what has been closed."""
    before = await deps.work.run(trip_own, deps, cmd, queue=cmd.user_id)
    await _settled(deps, cmd.user_id)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + (CLOSED_WITHIN_S if cmd.close_positions else 0.0)
    remaining = await deps.store.count_positions(cmd.user_id)
    while remaining and loop.time() < deadline:
        await asyncio.sleep(LOOK_EVERY_S)
        remaining = await deps.store.count_positions(cmd.user_id)
    return Halted(max(before - remaining, 0) if cmd.close_positions else 0, remaining)


async def _settled(deps: Deps, user_id: str) -> None:
    """Waits until no opening order can be on its way. The worker is woken meanwhile: a bus that says nothing costs the
    stop button no time."""
    wake_up = asyncio.ensure_future(deps.work.publish(CommandsWaiting(user_id=user_id)))
    try:
        await deps.clock.sleep(SETTLE_S)
    finally:
        wake_up.cancel()
        await asyncio.wait({wake_up})
    if not wake_up.cancelled():
        wake_up.result()


async def trip_own(deps: Deps, cmd: EmergencyStop, uow: UnitOfWork) -> int:
    """The latch, and the command that cancels and closes. Answers how many positions were open."""
    now_ms = deps.clock.now_ms()
    account = await deps.store.account(cmd.user_id) or new_account(cmd.user_id)
    latched, events = latch(
        account, reason=cmd.reason, by=cmd.by.user_id, close_positions=cmd.close_positions, at_ms=now_ms
    )
    uow.save(latched)
    commands.leave_unsaid(uow, cmd.user_id, "halt", now_ms, close=cmd.close_positions, reason="emergency_stop")
    told: dict[str, str | bool] = {"reason": cmd.reason, "close_positions": cmd.close_positions}
    uow.emit(*events, audited(cmd.user_id, "emergency_stop", cmd.by, now_ms, **told))
    return await deps.store.count_positions(cmd.user_id)


async def reset_own(deps: Deps, by: Actor, uow: UnitOfWork) -> bool:
    """Lifts the user's own latch, whatever tripped it; nothing starts by itself. Answers whether there was one."""
    now_ms = deps.clock.now_ms()
    account = await deps.store.account(by.user_id)
    if account is None or account.kill is None:
        return False
    freed, events = release(account, by=by.user_id, at_ms=now_ms)
    uow.save(freed)
    uow.emit(*events, audited(by.user_id, "emergency_reset", by, now_ms))
    return True


async def trip_global(deps: Deps, cmd: TripSwitch) -> Tripped:
    """Trips the switch and waits until no opening order can be on its way; closing goes on in the background."""
    tripped = await deps.work.run(trip_switch, deps, cmd, queue=GLOBAL)
    deps.looks.set()
    await deps.clock.sleep(SETTLE_S)
    return tripped


async def trip_switch(deps: Deps, cmd: TripSwitch, uow: UnitOfWork) -> Tripped:
    """The switch's document; repeating it may add the closing of positions. Answers whom it meets."""
    now_ms = deps.clock.now_ms()
    met = Tripped(await deps.store.count_active(), await deps.store.count_all_positions(), now_ms)
    switch = await deps.store.switch()
    tripped = switch.tripped(
        reason=cmd.reason, by=cmd.by.user_id, close=cmd.close_positions, notify=cmd.notify_users, at_ms=now_ms
    )
    uow.save(tripped)
    told: dict[str, str | bool] = {
        "reason": cmd.reason,
        "close_all_positions": cmd.close_positions,
        "notify_users": cmd.notify_users,
    }
    uow.emit(
        tripped.snapshot(by=cmd.by.user_id, at_ms=now_ms),
        audited(GLOBAL, "kill_switch_tripped", cmd.by, now_ms, **told),
    )
    return met


async def release_switch(deps: Deps, release: tuple[Actor, str], uow: UnitOfWork) -> bool:
    """Releases the global switch; what it stopped stays stopped. Answers whether it was tripped."""
    by, reason = release
    now_ms = deps.clock.now_ms()
    switch = await deps.store.switch()
    if not switch.active:
        return False
    freed = switch.released()
    uow.save(freed)
    uow.emit(
        freed.snapshot(by=by.user_id, at_ms=now_ms),
        audited(GLOBAL, "kill_switch_released", by, now_ms, **{"reason": reason}),
    )
    return True
