"""What a worker does about keys: tries them at the exchange, beside everything else that it does.

A check is a command: what is wanted is committed (with the row of the audit log that says the key was used), then the
exchange is asked, then the outcome is committed together with the command's end. A worker that dies in between leaves
the command, and the next one takes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from nija_common.errors import ErrorCode, NijaError
from nija_common.events.trading import BrokerConnected
from nija_common.security.sealing import Sealer, Unsealable
from nija_common.storage.unit_of_work import UnitOfWork
from nija_common.telemetry.context import continued
from nija_trading.deps import Deps
from nija_trading.domain.commands import Command
from nija_trading.domain.connections import (
    BrokerConnection,
    BrokerKey,
    KeyCheck,
    KeyReport,
    Refusal,
    refuse_withdrawals,
)
from nija_trading.handlers.audit import Actor, audited
from nija_trading.handlers.commands import story_of
from nija_trading.handlers.memory import HeldShard
from nija_trading.handlers.pool import TRANSIENT, Worker, drop

log = structlog.get_logger(__name__)

CHECKS_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a check."""

    check_id: str
    result: KeyReport | Refusal


def begin(worker: Worker, rows: Sequence[Command]) -> None:
    """Starts the checks that wait, the oldest first, beside the loops: an exchange that is slow holds up no order."""
    for row in rows:
        shard = worker.shards.get(row.shard)
        if shard is None or row.id in worker.checking or len(worker.checking) >= CHECKS_AT_ONCE:
            continue
        worker.checking.add(row.id)
        worker.spawn(_checked(worker, shard, row), name=f"check {row.broker_id}")


async def _checked(worker: Worker, shard: HeldShard, row: Command) -> None:
    """One check to its end; what fails leaves the command for the next look."""
    try:
        with continued(f"command {row.kind}", story_of(row), user_id=row.user_id):
            await check(worker.deps, shard, row.id)
    except TRANSIENT as error:
        log.warning("key_check_waits", broker_id=row.broker_id, reason=type(error).__name__)
        if shard.lost:
            drop(worker, shard)
    except Exception as error:  # noqa: BLE001 - told by its name alone: its text might hold a part of a key
        log.error("key_check_failed", broker_id=row.broker_id, error=type(error).__name__)
    finally:
        worker.checking.discard(row.id)


async def check(deps: Deps, shard: HeldShard, check_id: str) -> None:
    """The three parts: intent, call, outcome. Raises ShardLost where the shard is not ours any more."""
    shard.check(deps.clock.monotonic())
    connection = await deps.work.run(intend, deps, check_id)
    if connection is None:
        return
    shard.check(deps.clock.monotonic())
    outcome = Outcome(check_id, await _asked(deps, connection))
    await deps.work.run(record, deps, outcome)


async def intend(deps: Deps, check_id: str, uow: UnitOfWork) -> BrokerConnection | None:
    """Notes that the key is about to be used. None where there is nothing to try: it was done, given up, or removed."""
    command, wanted = await deps.store.command(check_id), await deps.store.key_check(check_id)
    if command is None:
        return None
    connection = await deps.store.connection(command.broker_id or "")
    if connection is None or wanted is None:
        uow.delete(command)
        if wanted is not None:
            uow.save(wanted.failed(_removed()))
        return None
    told = {"broker_id": connection.id, "broker": connection.broker, "purpose": wanted.purpose}
    uow.emit(audited(connection.user_id, "broker_key_used", Actor(connection.user_id), deps.clock.now_ms(), **told))
    return connection


async def _asked(deps: Deps, connection: BrokerConnection) -> KeyReport | Refusal:
    """What the exchange says of the key."""
    try:
        opened = deps.sealer.open(connection.sealed, bound_to=connection.place)
    except Unsealable:
        log.error("broker_key_cannot_be_opened", broker_id=connection.id)
        message = "The stored key cannot be opened here; the operator has to look at NIJA_KEY_ENCRYPTION_KEY."
        return Refusal(ErrorCode.SERVICE_UNAVAILABLE, message)
    try:
        report = await deps.keys.check(connection.broker, BrokerKey.model_validate_json(opened))
        refuse_withdrawals(report)
    except NijaError as error:
        return Refusal(error.code, error.message)
    return report


async def record(deps: Deps, outcome: Outcome, uow: UnitOfWork) -> None:
    """The outcome, for the API that waits for it. A new connection whose key did not pass goes, its key with it; a
    known one stays, with the status `error` where the exchange refused the key."""
    command, wanted = await deps.store.command(outcome.check_id), await deps.store.key_check(outcome.check_id)
    if command is None or wanted is None:
        return
    uow.delete(command)
    connection = await deps.store.connection(wanted.broker_id)
    if connection is None:
        uow.save(wanted.failed(_removed()))
    elif isinstance(outcome.result, KeyReport):
        _passed(deps, wanted, connection, outcome.result, uow)
    else:
        _failed(deps, wanted, connection, outcome.result, uow)


def _passed(deps: Deps, wanted: KeyCheck, connection: BrokerConnection, report: KeyReport, uow: UnitOfWork) -> None:
    now_ms = deps.clock.now_ms()
    uow.save(wanted.passed(report), connection.connected(report, now_ms))
    if connection.status != "checking":
        return
    user_id, told = connection.user_id, {"broker_id": connection.id, "broker": connection.broker}
    uow.emit(
        BrokerConnected(
            user_id=user_id,
            broker_id=connection.id,
            broker=connection.broker,
            permissions=report.permissions,
            at_ms=now_ms,
        ),
        audited(user_id, "broker_connected", Actor(user_id), now_ms, **told),
    )


def _failed(deps: Deps, wanted: KeyCheck, connection: BrokerConnection, refusal: Refusal, uow: UnitOfWork) -> None:
    uow.save(wanted.failed(refusal))
    if connection.status == "checking":
        uow.delete(connection)
    elif refusal.code is ErrorCode.INVALID_API_KEY:
        uow.save(connection.refused())
    user_id = connection.user_id
    told = {"broker_id": connection.id, "broker": connection.broker, "code": refusal.code.value}
    uow.emit(audited(user_id, "broker_key_refused", Actor(user_id), deps.clock.now_ms(), **told))


def rewrapped(connection: BrokerConnection, sealer: Sealer) -> BrokerConnection:
    """The connection with its key under the key-encryption key that seals now. Raises Unsealable."""
    return connection.model_copy(update={"sealed": sealer.rewrap(connection.sealed, bound_to=connection.place)})


def _removed() -> Refusal:
    return Refusal(ErrorCode.NOT_FOUND, "The connection was removed while its key was being checked.")
