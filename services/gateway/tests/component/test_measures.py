"""What the gateway counts: calls under way, services cut off, limits that refused."""

from __future__ import annotations

import asyncio
from typing import Any

from nija_common.testing.measured import measured
from nija_common.testing.sockets import eventually
from nija_common.values.tiers import Tier

BALANCE = "/api/v1/account/balance"


async def test_calls_under_way_are_counted_here_and_for_each_service(gateway: Any) -> None:
    go_on = asyncio.Event()

    async def waiting(scope: Any, receive: Any, send: Any) -> None:
        await go_on.wait()
        gateway.toy.answering = None
        await gateway.toy.app(scope, receive, send)

    await gateway.known("usr_a")
    gateway.toy.answering = waiting
    call = asyncio.create_task(gateway.client("usr_a").get(BALANCE))
    await eventually(lambda: measured("nija_gateway_in_flight", service="accounts") == 1, "the call is under way")
    assert measured("nija_http_in_flight", service="gateway") == 1
    go_on.set()
    assert (await call).status_code == 200
    assert measured("nija_gateway_in_flight", service="accounts") == 0
    assert measured("nija_http_in_flight", service="gateway") == 0


async def test_a_service_that_is_cut_off_is_told_until_it_answers_again(gateway: Any) -> None:
    async def failing(_scope: Any, _receive: Any, _send: Any) -> None:
        raise RuntimeError("boom")

    before = measured("nija_gateway_upstream_errors_total", service="accounts", kind="broken")
    await gateway.known("usr_a")
    client = gateway.client("usr_a")
    assert measured("nija_gateway_breaker_open", service="accounts") == 0
    gateway.toy.answering = failing
    for _ in range(5):
        await client.get(BALANCE)
    assert measured("nija_gateway_breaker_open", service="accounts") == 1
    assert measured("nija_gateway_upstream_errors_total", service="accounts", kind="broken") == before + 5
    gateway.toy.answering = None
    gateway.clock.advance(1)
    assert (await client.get(BALANCE)).status_code == 200
    assert measured("nija_gateway_breaker_open", service="accounts") == 0


async def test_a_refusal_is_counted_by_the_limit_that_refused(gateway: Any) -> None:
    before = measured("nija_rate_limit_refusals_total", limit="user")
    await gateway.known("usr_a", Tier.FREE)
    client = gateway.client("usr_a")
    answers = [(await client.get(BALANCE)).status_code for _ in range(12)]
    assert answers.count(429) == 2
    assert measured("nija_rate_limit_refusals_total", limit="user") == before + 2


async def test_a_method_that_anybody_invents_is_no_label_of_its_own(gateway: Any) -> None:
    before = measured("nija_http_requests_total", service="gateway", method="other", route="none", status="404")
    await gateway.client().request("BREW", "/api/v1/no/such/thing")
    after = measured("nija_http_requests_total", service="gateway", method="other", route="none", status="404")
    assert after == before + 1
