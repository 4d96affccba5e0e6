"""What Stripe's errors mean here: declined, unavailable, or a call that was wrong. Nothing of a card is passed on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import stripe

from nija_billing.ports import CALL_DEADLINE_S, PaymentDeclined, PaymentsMisused, PaymentsUnavailable
from nija_common.telemetry.metrics import STRIPE_CALLS


def is_missing(error: stripe.InvalidRequestError) -> bool:
    """Whether Stripe says that there is no such thing."""
    return error.code == "resource_missing"


@asynccontextmanager
async def translated() -> AsyncIterator[None]:
    """Everything inside within the deadline, its exceptions as the port has them; counted by outcome."""
    outcome = "misused"
    try:
        async with _as_the_port_has_them():
            yield
        outcome = "ok"
    except PaymentDeclined:
        outcome = "declined"
        raise
    except PaymentsUnavailable:
        outcome = "unavailable"
        raise
    finally:
        STRIPE_CALLS.labels(outcome).inc()


@asynccontextmanager
async def _as_the_port_has_them() -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(CALL_DEADLINE_S):
            yield
    except TimeoutError as error:
        raise PaymentsUnavailable("Stripe did not answer in time") from error
    except stripe.CardError as error:
        raise PaymentDeclined(error.code or "card_declined", error.user_message or "The card was declined.") from error
    except stripe.InvalidRequestError as error:
        if "payment_method" in (error.param or "") or "PaymentMethod" in (error.user_message or ""):
            raise PaymentDeclined("unknown_payment_method", "There is no such payment method.") from error
        raise PaymentsMisused(f"Stripe refused the request: {error.code or 'invalid'} {error.param or ''}") from error
    except (stripe.AuthenticationError, stripe.PermissionError, stripe.IdempotencyError) as error:
        raise PaymentsMisused(f"Stripe refused the call: {type(error).__name__}") from error
    except stripe.StripeError as error:
        raise PaymentsUnavailable(f"Stripe cannot be reached: {type(error).__name__}") from error
