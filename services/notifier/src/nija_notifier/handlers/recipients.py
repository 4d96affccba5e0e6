"""Keeps whom mails go to, by the newest snapshots."""

from __future__ import annotations

from nija_common.events.base import Received
from nija_common.events.identity import UserSnapshot
from nija_common.events.preferences import SettingsSnapshot
from nija_common.storage.unit_of_work import UnitOfWork
from nija_notifier.deps import Deps
from nija_notifier.domain.recipients import Recipient


async def user_changed(deps: Deps, received: Received[UserSnapshot], uow: UnitOfWork) -> None:
    """Address, name and standing."""
    known = await _of(deps, received.event.user_id)
    _save_if_new(known, known.with_user(received.event, received.revision), uow)


async def settings_changed(deps: Deps, received: Received[SettingsSnapshot], uow: UnitOfWork) -> None:
    """Which mails the user wants."""
    known = await _of(deps, received.event.user_id)
    _save_if_new(known, known.with_settings(received.event, received.revision), uow)


async def _of(deps: Deps, user_id: str) -> Recipient:
    return await deps.recipients.get(user_id) or Recipient(id=user_id)


def _save_if_new(known: Recipient, now: Recipient, uow: UnitOfWork) -> None:
    if now is not known:
        uow.save(now)
