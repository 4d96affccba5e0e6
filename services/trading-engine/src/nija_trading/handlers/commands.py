"""Leaving a command for the worker: the row, and the wake-up behind the commit. The story goes on with it: row and
everything that comes of it carry the correlation and the trace of the request."""

from __future__ import annotations

from typing import Any

from nija_common.events.trading import CommandsWaiting
from nija_common.storage.unit_of_work import UnitOfWork
from nija_common.telemetry.context import Context, current_context
from nija_common.values.ids import new_id
from nija_trading.domain.commands import Command, Kind, command


def leave(uow: UnitOfWork, user_id: str, kind: Kind, at_ms: int, row_id: str | None = None, **fields: Any) -> None:
    """Collects a command for a user's worker, and the wake-up."""
    leave_unsaid(uow, user_id, kind, at_ms, row_id, **fields)
    uow.emit(CommandsWaiting(user_id=user_id))


def leave_unsaid(
    uow: UnitOfWork, user_id: str, kind: Kind, at_ms: int, row_id: str | None = None, **fields: Any
) -> None:
    """Collects a command alone: whoever leaves it sends the wake-up, or the worker finds it at its next look."""
    context = current_context()
    row = command(
        row_id or new_id("cmd"),
        user_id,
        kind,
        at_ms,
        correlation_id=context.correlation_id,
        traceparent=context.traceparent,
        **fields,
    )
    uow.save(row)


def story_of(row: Command) -> Context:
    """The context in which a command is obeyed."""
    return Context(correlation_id=row.correlation_id, causation_id=row.id, traceparent=row.traceparent)
