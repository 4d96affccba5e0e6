"""One request, one story: its id and its trace are in every event that follows from it, across services."""

from __future__ import annotations

from pathlib import Path

from nija_auth.service import SERVICE as AUTH
from nija_billing.service import SERVICE as BILLING
from nija_common.events.identity import UserSnapshot
from nija_common.events.subscriptions import SubscriptionSnapshot
from nija_common.testing import start_platform
from nija_common.values.clock import ManualClock
from nija_gateway.service import SERVICE as GATEWAY

TRACE = "0af7651916cd43dd8448eb211c80319c"
BODY = {
    "email": "ada@nija.example",
    "password": "Copper-Meadow-Station-42",
    "full_name": "Ada",
    "accept_terms": True,
}


async def test_a_registration_and_what_follows_from_it_share_request_id_and_trace(
    tmp_path: Path, clock: ManualClock
) -> None:
    async with start_platform(tmp_path, [AUTH, BILLING, GATEWAY], clock=clock) as platform:
        headers = {"X-Request-ID": "a-request-of-mine", "traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
        answer = await platform.client("gateway").post("/api/v1/auth/register", json=BODY, headers=headers)
        assert answer.headers["x-request-id"] == "a-request-of-mine"
        await platform.settled()
        (user,) = await platform.received(UserSnapshot)
        (subscription,) = await platform.received(SubscriptionSnapshot)
        assert user.correlation_id == subscription.correlation_id == "a-request-of-mine"
        assert (user.causation_id, subscription.causation_id) == (None, user.id)
        for event in (user, subscription):
            assert event.traceparent is not None
            assert event.traceparent.split("-")[1] == TRACE
