"""The read model of open positions, moved by trading's facts; the runner has put them in order already."""

from __future__ import annotations

from nija_common.events.base import Received
from nija_common.events.trading import PositionChanged, PositionClosed, PositionOpened
from nija_common.storage.unit_of_work import UnitOfWork
from nija_notifier.deps import Deps
from nija_notifier.domain.positions import open_position


async def remember(deps: Deps, received: Received[PositionOpened | PositionChanged], uow: UnitOfWork) -> None:
    """Keeps a position as it is now."""
    stored = await deps.positions.get(received.event.position_id)
    uow.save(open_position(received.event, received.offset, 0 if stored is None else stored.version))


async def forget(deps: Deps, received: Received[PositionClosed], uow: UnitOfWork) -> None:
    """Drops a closed position."""
    stored = await deps.positions.get(received.event.position_id)
    if stored is not None:
        uow.delete(stored)
