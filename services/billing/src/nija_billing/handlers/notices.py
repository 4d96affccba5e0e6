"""What the vendor of payments tells by its webhook: each event has its effect once, in whatever order they come.

The event's id is stored in the unit of work of its effect, so a duplicate changes nothing, and after a failure of ours
the vendor sends it again.
"""

from __future__ import annotations

import structlog

from nija_billing.deps import Deps
from nija_billing.domain import changes
from nija_billing.domain.subscription import Subscription, at_time
from nija_billing.domain.vendor import Notice, VendorSubscription
from nija_billing.handlers import accounts
from nija_billing.handlers.audit import VENDOR, audited
from nija_billing.store import SeenNotice
from nija_common.errors import NijaError, unavailable
from nija_common.storage.unit_of_work import UnitOfWork
from nija_common.telemetry.metrics import STRIPE_WEBHOOKS
from nija_common.values.times import DAY_MS

log = structlog.get_logger(__name__)

REMEMBERED_MS = 90 * DAY_MS
"""The vendor repeats an event for days, and people send one again for weeks; what is older changes nothing anyway."""


async def receive(deps: Deps, body: bytes, signature: str | None) -> None:
    """Takes one signed body. Raises SERVICE_UNAVAILABLE without a configured secret, VALIDATION_ERROR for a bad one."""
    if deps.webhooks is None:
        raise unavailable("Stripe's webhook is not set up: it needs NIJA_STRIPE_WEBHOOK_SECRET.", 60)
    outcome = "failed"
    try:
        notice = deps.webhooks.read(body, signature, deps.clock.now_ms())
        if notice is not None:
            await deps.work.run(apply_notice, deps, notice, published=True)
        outcome = "ignored" if notice is None else "applied"
    except NijaError as error:
        outcome = "refused" if error.status < 500 else "failed"
        raise
    finally:
        STRIPE_WEBHOOKS.labels(outcome).inc()


async def apply_notice(deps: Deps, notice: Notice, uow: UnitOfWork) -> None:
    """The effect of one event."""
    if await deps.vendor.seen(notice.id) is not None:
        return
    now_ms = deps.clock.now_ms()
    expires_at_ms = now_ms + REMEMBERED_MS
    uow.save(SeenNotice(id=notice.id, type=notice.kind, received_at_ms=now_ms, expires_at_ms=expires_at_ms))
    stored = await _account_of(deps, notice)
    if stored is None:
        log.warning("notice_of_nobody", notice=notice.id, kind=notice.kind)
        return
    record = await accounts.hear(deps, stored.id, notice, uow)
    current = at_time(stored, now_ms)
    after = changes.followed(current, record, now_ms)
    await _tell(deps, notice, record, after, uow)
    if current.subscription_id == notice.subscription_id and after.subscription_id is None:
        told = {"reason": "ended by the payment service"}
        uow.emit(audited(stored.id, "subscription_cancelled", VENDOR, now_ms, **told))
    await accounts.leave(deps, stored, after, VENDOR, uow)


async def _account_of(deps: Deps, notice: Notice) -> Subscription | None:
    """By the user that we have written onto the subscription, else by the vendor's ids."""
    record = await deps.vendor.subscription(notice.subscription_id)
    user_id = notice.user_id if record is None else record.user_id
    found = None if user_id is None else await deps.subscriptions.of(user_id)
    if found is None:
        found = await deps.subscriptions.with_subscription_id(notice.subscription_id)
    if found is None and notice.customer_id is not None:
        found = await deps.subscriptions.with_customer_id(notice.customer_id)
    return found


async def _tell(deps: Deps, notice: Notice, record: VendorSubscription, after: Subscription, uow: UnitOfWork) -> None:
    """Tells of an invoice. One about a plan that nobody knows, or that is not the account's, is only kept."""
    if notice.invoice is None:
        return
    plan = after.plan if after.subscription_id == notice.subscription_id else None
    terms = notice.terms or (None if record.terms is None else record.terms.terms)
    if terms is not None:
        tier, interval = terms.tier, terms.interval
    elif plan is not None:
        tier, interval = plan.tier, plan.interval
    else:
        return
    told = (deps, after.id, notice.subscription_id, tier, interval, notice.invoice, uow)
    if notice.kind == "paid":
        await accounts.tell_paid(*told)
    elif plan is not None and plan.past_due:
        await accounts.tell_failed(*told)
