"""Payment attempts: a call to the vendor between two units of work.

`begun` commits what is wanted, with a lease; `settle` calls the vendor and commits what came of it; `take_over` is how
whoever finds an attempt whose lease has run out goes on with it, under the same vendor key. Only the call is outside of
a unit of work, and it may be repeated: so a crash anywhere neither charges twice nor loses a payment.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import structlog

from nija_billing.deps import Deps
from nija_billing.domain.attempts import LEASE_MS, SEND_AGAIN_MS, Attempt, By
from nija_billing.domain.orders import (
    Arranged,
    Cancellation,
    ChangeLater,
    Declined,
    Order,
    Purchase,
    Receipt,
    Renewal,
    Result,
)
from nija_billing.domain.subscription import Subscription
from nija_billing.handlers.outcomes import apply_outcome
from nija_billing.ports import PaymentDeclined, PaymentsMisused, PaymentsUnavailable
from nija_common.errors import ErrorCode, NijaError, unavailable
from nija_common.storage.unit_of_work import UnitOfWork
from nija_common.values.ids import new_id

log = structlog.get_logger(__name__)

WAIT_S = 5.0
LOOK_EVERY_S = 0.05


@dataclass(frozen=True, slots=True)
class Settled:
    """A finished attempt and the account after it."""

    attempt: Attempt
    subscription: Subscription


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the vendor said, for the second unit of work."""

    attempt: Attempt
    customer_id: str | None
    result: Result


async def begun(
    deps: Deps, subscription: Subscription, order: Order, by: By, uow: UnitOfWork, *, taken: bool = True
) -> Attempt:
    """The row of a wish. `taken`: whoever writes it goes on with it; else the loop does, at once.

    The account must still be the one that the order was priced for, so it is guarded; one that had not arrived here
    yet is begun with it.
    """
    now_ms = await deps.vendor.now_ms()
    attempt = Attempt(
        id=new_id("att"),
        user_id=subscription.id,
        customer_id=subscription.customer_id,
        lease_until_ms=now_ms + LEASE_MS if taken else now_ms,
        created_at_ms=now_ms,
        by=by,
        order=order,
    )
    uow.save(attempt)
    if subscription.version:
        uow.guard(subscription)
    else:
        uow.save(subscription)
        uow.emit(subscription.snapshot())
    return attempt


async def settle(deps: Deps, attempt: Attempt) -> Settled:
    """Calls the vendor for an attempt whose lease is ours, and commits the outcome. One that has been finished
    meanwhile (a request that is asked again) is not paid for again.

    Raises SERVICE_UNAVAILABLE where the vendor did not say: the attempt stays, and is gone on with.
    """
    stored = await deps.vendor.attempt(attempt.id)
    if stored is not None and stored.state == "done":
        return await _finished(deps, stored)
    customer_id = attempt.customer_id
    try:
        customer_id = customer_id or await deps.payments.customer(attempt.user_id)
        result = await _called(deps, attempt, customer_id)
    except PaymentDeclined as declined:
        result = Declined(code=declined.code, reason=declined.reason)
    except PaymentsMisused as misused:
        log.error("payments_misused", attempt=attempt.id, cause=str(misused))
        result = Declined(code="misused", reason="The payment could not be made. We are looking into it.")
    except PaymentsUnavailable as away:
        log.warning("payments_unavailable", attempt=attempt.id, cause=str(away))
        await deps.work.run(_given_back, deps, attempt)
        raise unavailable(
            "The payment service does not answer. Try again in a moment; nobody is charged twice."
        ) from away
    outcome = Outcome(attempt, customer_id, result)
    return await deps.work.run(_finish, deps, outcome, queue=attempt.user_id, published=True)


async def _called(deps: Deps, attempt: Attempt, customer_id: str) -> Result:
    order, key = attempt.order, attempt.vendor_key
    if isinstance(order, Cancellation):
        return await deps.payments.cancel(order, key)
    if isinstance(order, ChangeLater):
        return await deps.payments.change_later(order, key)
    if isinstance(order, Renewal):
        return await deps.payments.collect(customer_id, order, key)
    return await _bought(deps, attempt, customer_id, order)


async def _bought(deps: Deps, attempt: Attempt, customer_id: str, order: Purchase) -> Receipt | Declined:
    """An attempt that was tried before may have been taken; one that is old is not sent again."""
    if attempt.tries > 1:
        found = await deps.payments.find(customer_id, order, attempt.vendor_key)
        if found is not None:
            return found
        if await deps.vendor.now_ms() - attempt.created_at_ms > SEND_AGAIN_MS:
            return Declined(code="given_up", reason="The payment service did not answer. Nothing was charged.")
    return await deps.payments.buy(customer_id, attempt.user_id, order, attempt.vendor_key)


async def _given_back(deps: Deps, attempt: Attempt, uow: UnitOfWork) -> None:
    """Whoever asks next may go on at once."""
    stored = await deps.vendor.attempt(attempt.id)
    if stored is not None and stored.state == "running" and stored.tries == attempt.tries:
        uow.save(stored.model_copy(update={"lease_until_ms": await deps.vendor.now_ms()}))


async def _finish(deps: Deps, outcome: Outcome, uow: UnitOfWork) -> Settled:
    """The second unit of work. Somebody else may have finished it in the meantime: then theirs is the outcome."""
    stored = await deps.vendor.attempt(outcome.attempt.id)
    if stored is None or stored.state == "done":
        return await _finished(deps, stored or outcome.attempt)
    done = stored.model_copy(
        update={"state": "done", "result": outcome.result, "customer_id": outcome.customer_id, "lease_until_ms": 0}
    )
    uow.save(done)
    subscription = await apply_outcome(deps, done, outcome.result, uow)
    return Settled(done, subscription)


async def _finished(deps: Deps, attempt: Attempt) -> Settled:
    subscription = await deps.subscriptions.of(attempt.user_id)
    if subscription is None or attempt.result is None:
        raise unavailable("The outcome of the payment cannot be read right now. Try again.")
    return Settled(attempt, subscription)


async def take_over(deps: Deps, attempt_id: str, uow: UnitOfWork) -> Attempt | None:
    """Takes an attempt whose lease has run out; None where it has an outcome, or somebody is at it."""
    stored = await deps.vendor.attempt(attempt_id)
    now_ms = await deps.vendor.now_ms()
    if stored is None or stored.state == "done" or stored.lease_until_ms > now_ms:
        return None
    taken = stored.model_copy(update={"lease_until_ms": now_ms + LEASE_MS, "tries": stored.tries + 1})
    uow.save(taken)
    return taken


async def go_on(deps: Deps, attempt_id: str) -> Settled | None:
    """Finishes an attempt that was left behind; None where there is nothing to do."""
    taken = await deps.work.run(take_over, deps, attempt_id)
    return None if taken is None else await settle(deps, taken)


async def clear(deps: Deps, user_id: str) -> Settled | None:
    """Before a new wish: waits for the account's running attempt, or finishes it; what it finished itself is the answer.

    Raises SERVICE_UNAVAILABLE if somebody is at it for too long.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + WAIT_S
    while (running := await deps.vendor.running(user_id)) is not None:
        finished = await go_on(deps, running.id)
        if finished is not None:
            return finished
        if loop.time() > deadline:
            raise unavailable("A payment for this account is still being made. Try again in a moment.", 2)
        await asyncio.sleep(LOOK_EVERY_S)
    return None


def arranged_or_refused(settled: Settled) -> Receipt | Arranged:
    """The result of an attempt. Raises PAYMENT_FAILED for one that was declined."""
    result = settled.attempt.result
    if isinstance(result, Receipt | Arranged):
        return result
    if isinstance(result, Declined) and result.code == "misused":
        raise NijaError(ErrorCode.INTERNAL_ERROR, result.reason)
    if isinstance(result, Declined):
        raise NijaError(ErrorCode.PAYMENT_FAILED, f"{result.reason} Nothing was changed.", {"reason": result.code})
    raise unavailable("The outcome of the payment cannot be read right now. Try again.")
