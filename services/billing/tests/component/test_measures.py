"""What billing counts of Stripe: calls by outcome, and what Stripe told us."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from nija_billing.adapters.stripe_errors import translated
from nija_billing.ports import PaymentDeclined, PaymentsMisused, PaymentsUnavailable
from nija_common.testing.measured import measured


@pytest.mark.parametrize(
    ("error", "meaning", "outcome"),
    [
        (stripe.APIConnectionError("no route"), PaymentsUnavailable, "unavailable"),  # type: ignore[no-untyped-call]
        (stripe.AuthenticationError("withdrawn"), PaymentsMisused, "misused"),
        (stripe.CardError("no", "number", "card_declined"), PaymentDeclined, "declined"),  # type: ignore[no-untyped-call]
        (TimeoutError(), PaymentsUnavailable, "unavailable"),
    ],
    ids=["away", "key", "card", "late"],
)
async def test_a_failed_call_is_counted_by_what_it_means(
    error: Exception, meaning: type[Exception], outcome: str
) -> None:
    before = measured("nija_stripe_calls_total", outcome=outcome)
    with pytest.raises(meaning):
        async with translated():
            raise error
    assert measured("nija_stripe_calls_total", outcome=outcome) == before + 1


async def test_a_call_that_did_what_it_should_is_counted() -> None:
    before = measured("nija_stripe_calls_total", outcome="ok")
    async with translated():
        pass
    assert measured("nija_stripe_calls_total", outcome="ok") == before + 1


async def test_an_event_with_a_wrong_signature_is_counted_as_refused(platform: Any) -> None:
    before = measured("nija_stripe_webhooks_total", outcome="refused")
    headers = {"Stripe-Signature": "t=1,v1=00"}
    answer = await platform.client("billing").post("/api/v1/webhooks/stripe", content=b"{}", headers=headers)
    assert answer.status_code == 400
    assert measured("nija_stripe_webhooks_total", outcome="refused") == before + 1
