"""Closing a single position by hand."""

from __future__ import annotations

from dataclasses import dataclass

from nija_common.errors import ErrorCode, NijaError
from nija_common.storage.unit_of_work import UnitOfWork
from nija_common.values.ids import derived_id
from nija_trading.deps import Deps
from nija_trading.domain.records import Position
from nija_trading.handlers import commands
from nija_trading.handlers.audit import Actor, audited


@dataclass(frozen=True, slots=True)
class ClosePosition:
    """A user closes one of their own positions."""

    position_id: str
    by: Actor


async def close_position(deps: Deps, cmd: ClosePosition, uow: UnitOfWork) -> Position:
    """Leaves the command for the worker; asking again changes nothing. Raises POSITION_NOT_FOUND."""
    position = await deps.store.position(cmd.position_id)
    if position is None or position.user_id != cmd.by.user_id:
        raise NijaError(ErrorCode.POSITION_NOT_FOUND, "There is no open position of yours with this id.")
    account = await deps.store.account(position.user_id)
    if account is not None:
        uow.guard(account)
    now_ms = deps.clock.now_ms()
    row_id = derived_id("cmd", "close", position.id)
    if await deps.store.command(row_id) is None:
        commands.leave(uow, position.user_id, "close", now_ms, row_id, position_id=position.id, reason="manual")
        told: dict[str, str | bool] = {"position_id": position.id, "symbol": position.symbol}
        uow.emit(audited(position.user_id, "position_close_requested", cmd.by, now_ms, **told))
    return position
