"""Keeps standings: in the store from shared subscriptions, in memory from broadcasts, by revision either way."""

from __future__ import annotations

from nija_common.events.base import Received
from nija_common.events.identity import SessionRevoked, UserSnapshot
from nija_common.events.subscriptions import SubscriptionSnapshot
from nija_common.storage.unit_of_work import UnitOfWork
from nija_gateway.deps import Deps
from nija_gateway.domain.standing import Account, Allowance
from nija_gateway.store import AllowanceDocument, StandingDocument


async def keep_account(deps: Deps, received: Received[UserSnapshot], uow: UnitOfWork) -> None:
    """Stores auth's half, unless a newer one is there."""
    user = received.event
    known = await deps.store.standing_of(user.user_id)
    if known is not None and (known.incarnation, known.number) >= received.revision:
        return
    incarnation, number = received.revision
    uow.save(
        StandingDocument(
            id=user.user_id,
            version=known.version if known is not None else 0,
            incarnation=incarnation,
            number=number,
            role=user.role,
            status=user.status,
            tokens_valid_after_ms=user.tokens_valid_after_ms,
        )
    )


async def keep_allowance(deps: Deps, received: Received[SubscriptionSnapshot], uow: UnitOfWork) -> None:
    """Stores billing's half, unless a newer one is there."""
    user_id = received.event.user_id
    known = await deps.store.allowance_of(user_id)
    if known is not None and (known.incarnation, known.number) >= received.revision:
        return
    incarnation, number = received.revision
    uow.save(
        AllowanceDocument(
            id=user_id,
            version=known.version if known is not None else 0,
            incarnation=incarnation,
            number=number,
            effective=received.event.effective,
        )
    )


def see_account(deps: Deps, received: Received[UserSnapshot]) -> None:
    """Takes auth's half into memory."""
    user = received.event
    account = Account(received.revision, user.role, user.status, user.tokens_valid_after_ms)
    deps.standings.put(user.user_id, account=account)


def see_allowance(deps: Deps, received: Received[SubscriptionSnapshot]) -> None:
    """Takes billing's half into memory."""
    deps.standings.put(received.event.user_id, allowance=Allowance(received.revision, received.event.effective))


def see_revocation(deps: Deps, received: Received[SessionRevoked]) -> None:
    """From here on tokens of the session are refused."""
    deps.revocations.add(received.event, received.time_ms)
