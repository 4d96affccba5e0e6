"""Connections to exchanges, as a user sees them: added, listed, tried, removed.

The key is sealed here and never opened here: only a worker uses it (`key_checks.py`). Who adds or tests a connection
waits on our own database for what the worker has found out, and is answered with what is known by then.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from nija_common.errors import ErrorCode, NijaError, unavailable
from nija_common.events.topics import SUBSCRIPTIONS, USERS
from nija_common.events.trading import BrokerRemoved
from nija_common.storage.unit_of_work import UnitOfWork
from nija_common.values.ids import new_id
from nija_trading.deps import Deps
from nija_trading.domain.account import end, new_account
from nija_trading.domain.connections import (
    CHECK_KEPT_MS,
    BrokerConnection,
    Credentials,
    KeyCheck,
    Purpose,
    connection_place,
    masked,
    refuse_one_more,
    refuse_unsupported,
)
from nija_trading.handlers import commands
from nija_trading.handlers.audit import Actor, audited
from nija_trading.handlers.bots import known_standing

LOOK_EVERY_S = 0.02


@dataclass(frozen=True, slots=True)
class Connect:
    """A user adds a key."""

    credentials: Credentials
    registered_at_ms: int
    by: Actor


@dataclass(frozen=True, slots=True)
class OwnConnection:
    """A user names one of their connections."""

    broker_id: str
    by: Actor


@dataclass(frozen=True, slots=True)
class Removed:
    """What a removal leaves: positions at that exchange that nothing here looks after any more."""

    open_positions: int


async def connect(deps: Deps, cmd: Connect) -> KeyCheck:
    """Adds a connection whose key the exchange has accepted; nothing is kept of any other.

    Raises UNSUPPORTED_BROKER, BROKER_ALREADY_CONNECTED, EXCEEDS_TIER_LIMIT, INVALID_API_KEY, BROKER_ERROR,
    SERVICE_UNAVAILABLE.
    """
    refuse_unsupported(cmd.credentials.broker)
    topics = (SUBSCRIPTIONS, USERS)
    if not all(await asyncio.gather(*(deps.freshness.caught_up(topic, cmd.by.user_id) for topic in topics))):
        raise unavailable("What your plan allows cannot be read right now. Try again.")
    return await _outcome(deps, await deps.work.run(begin_connecting, deps, cmd, queue=cmd.by.user_id))


async def begin_connecting(deps: Deps, cmd: Connect, uow: UnitOfWork) -> str:
    """The connection, `checking`, its key sealed; and the command that tries it. The account is written with it: two
    connections cannot both use the last that a plan allows."""
    user_id, broker = cmd.by.user_id, cmd.credentials.broker
    now_ms = deps.clock.now_ms()
    standing = await known_standing(deps, user_id, cmd.registered_at_ms)
    refuse_one_more(broker, await deps.store.connections(user_id), standing.tier(now_ms).limits.brokers)
    uow.save(await deps.store.account(user_id) or new_account(user_id))
    broker_id, key = new_id("brk"), cmd.credentials.key()
    connection = BrokerConnection(
        id=broker_id,
        user_id=user_id,
        broker=broker,
        sealed=deps.sealer.seal(key.model_dump_json().encode(), bound_to=connection_place(broker_id, user_id, broker)),
        masked=masked(key.api_key),
        created_at_ms=now_ms,
    )
    uow.save(connection)
    uow.emit(audited(user_id, "broker_added", cmd.by, now_ms, **{"broker_id": broker_id, "broker": broker}))
    return _ask(deps, connection, "connect", uow)


async def test(deps: Deps, cmd: OwnConnection) -> KeyCheck:
    """Tries the key of a connection anew. Raises NOT_FOUND, INVALID_API_KEY, BROKER_ERROR, SERVICE_UNAVAILABLE."""
    return await _outcome(deps, await deps.work.run(begin_testing, deps, cmd))


async def begin_testing(deps: Deps, cmd: OwnConnection, uow: UnitOfWork) -> str:
    """The command that tries the key."""
    connection = await _own(deps, cmd)
    uow.guard(connection)
    return _ask(deps, connection, "test", uow)


def _ask(deps: Deps, connection: BrokerConnection, purpose: Purpose, uow: UnitOfWork) -> str:
    """Leaves a check for the worker; its id."""
    check_id, now_ms = new_id("cmd"), deps.clock.now_ms()
    wanted = KeyCheck(
        id=check_id,
        user_id=connection.user_id,
        broker_id=connection.id,
        purpose=purpose,
        expires_at_ms=now_ms + CHECK_KEPT_MS,
    )
    uow.save(wanted)
    commands.leave(uow, connection.user_id, "check_key", now_ms, check_id, broker_id=connection.id)
    return check_id


async def _outcome(deps: Deps, check_id: str) -> KeyCheck:
    """Waits for what the worker finds out; raises what it was refused for. After the deadline the check is taken back."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + deps.settings.trading_key_check_ms / 1000
    wanted = await deps.store.key_check(check_id)
    while wanted is not None and wanted.state == "waiting":
        if loop.time() >= deadline:
            wanted = await deps.work.run(give_up, deps, check_id)
            break
        await asyncio.sleep(LOOK_EVERY_S)
        wanted = await deps.store.key_check(check_id)
    if wanted is None or wanted.state == "waiting":
        raise unavailable("The key could not be tried in time; nothing was changed. Try again.", 10)
    if wanted.state == "refused":
        raise NijaError(wanted.code or ErrorCode.BROKER_ERROR, wanted.message)
    return wanted


async def give_up(deps: Deps, check_id: str, uow: UnitOfWork) -> KeyCheck | None:
    """Takes a check back that nobody has brought to an end: the command, and a connection that was to come of it."""
    wanted, command = await deps.store.key_check(check_id), await deps.store.command(check_id)
    if wanted is None or wanted.state != "waiting":
        return wanted
    uow.delete(wanted)
    if command is not None:
        uow.delete(command)
    connection = await deps.store.connection(wanted.broker_id)
    if connection is not None and connection.status == "checking":
        uow.delete(connection)
    return None


async def listed(deps: Deps, user_id: str) -> list[BrokerConnection]:
    """A user's connections, oldest first."""
    return await deps.store.connections(user_id)


async def remove(deps: Deps, cmd: OwnConnection, uow: UnitOfWork) -> Removed:
    """Destroys the key and stops a bot that trades live there. Raises NOT_FOUND."""
    connection = await _own(deps, cmd)
    user_id, broker, now_ms = connection.user_id, connection.broker, deps.clock.now_ms()
    uow.delete(connection)
    told = {"broker_id": connection.id, "broker": broker}
    if connection.status != "checking":
        uow.emit(BrokerRemoved(user_id=user_id, broker_id=connection.id, broker=broker, at_ms=now_ms))
    uow.emit(audited(user_id, "broker_removed", cmd.by, now_ms, **told))
    account = await deps.store.account(user_id)
    if account is None:
        return Removed(0)
    trades_there = account.broker == broker and not account.paper
    if trades_there and account.status != "stopped":
        reason = "The broker that the bot traded on was removed."
        stopped, events = end(account, by="broker_removed", reason=reason, at_ms=now_ms)
        uow.save(stopped)
        uow.emit(*events)
        commands.leave(uow, user_id, "stop", now_ms)
    else:
        uow.guard(account)
    positions = await deps.store.positions(user_id)
    return Removed(sum(position.broker == broker and not position.paper for position in positions))


async def _own(deps: Deps, cmd: OwnConnection) -> BrokerConnection:
    connection = await deps.store.connection(cmd.broker_id)
    if connection is None or connection.user_id != cmd.by.user_id:
        raise NijaError(ErrorCode.NOT_FOUND, "There is no broker connection of yours with this id.")
    return connection
