"""Counts what accounts use, from what other services tell; and reads it for the user.

Every event is counted once: the counters are in the same commit as the consumer's progress.
"""

from __future__ import annotations

from nija_billing.deps import Deps
from nija_billing.domain.subscription import at_time
from nija_billing.domain.usage import Report, Usage, new_usage, period_of, report
from nija_billing.handlers import accounts
from nija_common.events.administration import ApiUsageCounted
from nija_common.events.base import Received
from nija_common.events.trading import BrokerConnected, BrokerRemoved, PositionClosed, PositionOpened, TradeOpened
from nija_common.storage.unit_of_work import UnitOfWork
from nija_common.values.tiers import effective_at, for_administrators

GLOBAL = "global"


async def count_calls(deps: Deps, received: Received[ApiUsageCounted], uow: UnitOfWork) -> None:
    """Calls of one account; those without an account (`global`) belong to nobody."""
    event = received.event
    if event.user_id == GLOBAL or event.calls == 0:
        return
    usage = await _counters(deps, event.user_id, event.from_ms)
    if usage is not None:
        uow.save(usage.model_copy(update={"api_calls": usage.api_calls + event.calls}))


async def count_trade(deps: Deps, received: Received[TradeOpened], uow: UnitOfWork) -> None:
    """A trade, on paper or not."""
    usage = await _counters(deps, received.event.user_id, received.event.at_ms)
    if usage is not None:
        uow.save(usage.model_copy(update={"trades": usage.trades + 1}))


async def count_position(deps: Deps, received: Received[PositionOpened], uow: UnitOfWork) -> None:
    """A position opened, and how many are open at the same time now."""
    event = received.event
    holdings = await deps.usages.holdings(event.user_id)
    usage = await _counters(deps, event.user_id, event.at_ms)
    now_open = holdings.open_positions + 1
    uow.save(holdings.model_copy(update={"open_positions": now_open}))
    if usage is not None:
        update = {"positions_opened": usage.positions_opened + 1, "max_open": max(usage.max_open, now_open)}
        uow.save(usage.model_copy(update=update))


async def position_closed(deps: Deps, received: Received[PositionClosed], uow: UnitOfWork) -> None:
    """One open position less."""
    holdings = await deps.usages.holdings(received.event.user_id)
    uow.save(holdings.model_copy(update={"open_positions": max(0, holdings.open_positions - 1)}))


async def broker_connected(deps: Deps, received: Received[BrokerConnected], uow: UnitOfWork) -> None:
    """One broker connection more."""
    holdings = await deps.usages.holdings(received.event.user_id)
    if received.event.broker_id not in holdings.brokers:
        uow.save(holdings.model_copy(update={"brokers": (*holdings.brokers, received.event.broker_id)}))


async def broker_removed(deps: Deps, received: Received[BrokerRemoved], uow: UnitOfWork) -> None:
    """One broker connection less."""
    holdings = await deps.usages.holdings(received.event.user_id)
    left = tuple(broker for broker in holdings.brokers if broker != received.event.broker_id)
    if left != holdings.brokers:
        uow.save(holdings.model_copy(update={"brokers": left}))


async def _counters(deps: Deps, user_id: str, at_ms: int) -> Usage | None:
    """The counters of the period in which something happened.

    News of a period that is over goes to its own counters; None where that period was never counted.
    """
    subscription = await deps.subscriptions.of(user_id)
    now_ms = max(at_ms, deps.clock.now_ms())
    if subscription is not None:
        period = period_of(at_time(subscription, now_ms), now_ms)
        if period.start_ms <= at_ms < period.end_ms:
            known = await deps.usages.of(user_id, period.start_ms)
            holdings = await deps.usages.holdings(user_id)
            return known or new_usage(user_id, period, holdings.open_positions)
    earlier = await deps.usages.latest_before(user_id, at_ms)
    return earlier if earlier is not None and at_ms < earlier.period_end_ms else None


async def read(deps: Deps, user_id: str, registered_at_ms: int, *, administrator: bool) -> Report:
    """The running period against the limits of the tier in force. Raises SERVICE_UNAVAILABLE as `current` does."""
    now_ms = deps.clock.now_ms()
    subscription = await accounts.present(deps, user_id, registered_at_ms)
    own = effective_at(subscription.effective, now_ms)
    limits = (for_administrators(own) if administrator else own).limits
    period = period_of(subscription, now_ms)
    holdings = await deps.usages.holdings(user_id)
    usage = await deps.usages.of(user_id, period.start_ms) or new_usage(user_id, period, holdings.open_positions)
    return report(usage, holdings, limits)
