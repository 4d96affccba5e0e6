"""Several gateways, one count: rate windows over a real store."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from nija_common.values.tiers import Tier
from nija_gateway.adapters.shared_windows import SharedWindows
from nija_gateway.domain.windows import CALLS, Taken

BALANCE = "/api/v1/account/balance"


async def take(windows: SharedWindows, limit: int) -> Taken:
    while (taken := windows.take(CALLS, "usr_a", limit)) is None:
        await windows.fetch(CALLS, "usr_a", limit)
    return taken


@pytest.mark.parametrize("limit", [10, 100])
async def test_four_gateways_at_once_let_the_limit_through_and_no_more(gateway: Any, limit: int) -> None:
    storage = gateway.platform.node.infrastructure.storage_of("gateway")
    replicas = [SharedWindows(storage, gateway.clock, 4) for _ in range(4)]
    taken = await asyncio.gather(*(take(replicas[n % 4], limit) for n in range(2 * limit)))
    granted = Counter(t.granted for t in taken)
    for replica in replicas:
        gateway.clock.advance(1)
        await replica.tidy()
    rest = [await take(replicas[n % 4], limit) for n in range(limit)]
    assert granted[True] + sum(t.granted for t in rest) == limit


async def test_a_gateway_that_is_one_of_several_answers_the_same(start: Any) -> None:
    async with start({"NIJA_GATEWAY_REPLICAS": "2"}) as gateway:
        assert isinstance(gateway.platform.deps("gateway").windows, SharedWindows)
        await gateway.known("usr_a", Tier.FREE)
        client = gateway.client("usr_a")
        answers = [await client.get(BALANCE) for _ in range(12)]
        assert [a.status_code for a in answers] == [200] * 10 + [429] * 2
        assert [a.headers["x-ratelimit-remaining"] for a in answers] == [*"9876543210", "0", "0"]
        gateway.toy.status = 201
        made = [await gateway.client().post("/api/v1/auth/register", json={}) for _ in range(6)]
        assert [a.status_code for a in made] == [201] * 5 + [429]
        gateway.clock.advance(60)
        together = await asyncio.gather(*(client.get(BALANCE) for _ in range(25)))
        assert Counter(a.status_code for a in together) == {201: 10, 429: 15}
