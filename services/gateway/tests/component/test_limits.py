"""How often one may call, as clients see it: headers, refusals, windows of their own."""

from __future__ import annotations

from typing import Any

import pytest

from nija_common.values.tiers import Tier, effective

BALANCE = "/api/v1/account/balance"
STOP = "/api/v1/trading/emergency-stop"
REGISTER = "/api/v1/auth/register"
WEBHOOK = "/api/v1/webhooks/tradingview"


@pytest.fixture
def gateway(either: Any) -> Any:
    return either


def limits(answer: Any) -> tuple[int, int, int]:
    return tuple(int(answer.headers[f"x-ratelimit-{name}"]) for name in ("limit", "remaining", "reset"))  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("tier", "limit"), [(Tier.FREE, 10), (Tier.BASIC, 30), (Tier.PRO, 100), (Tier.ENTERPRISE, 500)]
)
async def test_each_tier_has_its_calls_a_minute(gateway: Any, tier: Tier, limit: int) -> None:
    await gateway.known("usr_a", tier)
    client = gateway.client("usr_a")
    answers = [await client.get(BALANCE) for _ in range(limit + 1)]
    assert [a.status_code for a in answers] == [200] * limit + [429]
    reset = (gateway.clock.now_ms() // 60_000 + 1) * 60
    assert [limits(a) for a in answers] == [(limit, left, reset) for left in range(limit - 1, -1, -1)] + [
        (limit, 0, reset)
    ]
    refused = answers[-1]
    assert refused.json()["error"]["code"] == "RATE_LIMIT_EXCEEDED"
    assert int(refused.headers["retry-after"]) == reset - gateway.clock.now_ms() // 1000
    gateway.clock.advance(int(refused.headers["retry-after"]))
    assert (await client.get(BALANCE)).status_code == 200


async def test_administrators_have_the_enterprise_limit(gateway: Any) -> None:
    await gateway.known("usr_root", Tier.FREE, role="admin")
    assert limits(await gateway.client("usr_root", role="admin").get(BALANCE))[0] == 500


async def test_a_limit_follows_the_tier_at_once_and_by_time_alone(gateway: Any) -> None:
    await gateway.known("usr_a", Tier.FREE)
    client = gateway.client("usr_a")
    assert limits(await client.get(BALANCE))[0] == 10
    in_a_minute = effective(Tier.BASIC, from_ms=gateway.clock.now_ms() + 60_000, live=True)
    await gateway.platform.given_events(gateway.subscription("usr_a", Tier.PRO, in_a_minute), source="billing")
    assert limits(await client.get(BALANCE))[:2] == (100, 98)
    gateway.clock.advance(61)
    assert limits(await client.get(BALANCE))[0] == 30


async def test_errors_of_a_service_and_of_the_gateway_carry_the_headers(gateway: Any) -> None:
    client = gateway.client("usr_a")
    gateway.toy.status = 400
    assert limits(await client.get(BALANCE))[1] == 99
    assert limits(await client.get("/api/v1/no/such/thing"))[1] == 98
    assert limits(await client.delete(BALANCE))[1] == 97
    assert limits(await client.put("/api/v1/config/settings", content=b"x" * 1_100_000))[1] == 96


async def test_a_service_cannot_set_the_limits_headers(gateway: Any) -> None:
    gateway.toy.headers = [(b"X-RateLimit-Limit", b"9999"), (b"x-nija-secret", b"1")]
    answer = await gateway.client("usr_a").get(BALANCE)
    assert answer.headers.get_list("x-ratelimit-limit") == ["100"]
    assert "x-nija-secret" not in answer.headers


async def test_stop_buttons_have_an_allowance_that_nothing_else_uses_up(gateway: Any) -> None:
    await gateway.known("usr_a", Tier.FREE)
    client = gateway.client("usr_a")
    polled = [(await client.get(BALANCE)).status_code for _ in range(11)]
    assert polled[-1] == 429
    pressed = [await client.post(path) for path in (STOP, "/api/v1/trading/stop", "/api/v1/trading/positions/p1/close")]
    assert [a.status_code for a in pressed] == [200, 200, 200]
    assert [limits(a)[:2] for a in pressed] == [(30, 29), (30, 28), (30, 27)]
    rest = [(await client.post(STOP)).status_code for _ in range(28)]
    assert rest == [200] * 27 + [429]


async def test_five_accounts_an_hour_and_address_whatever_else_was_tried(gateway: Any) -> None:
    client = gateway.client()
    gateway.toy.status = 400
    assert [(await client.post(REGISTER, json={})).status_code for _ in range(20)] == [400] * 20
    gateway.clock.advance(60)
    gateway.toy.status = 201
    made = [(await client.post(REGISTER, json={})).status_code for _ in range(6)]
    assert made == [201] * 5 + [429]
    gateway.clock.advance(3600)
    assert (await client.post(REGISTER, json={})).status_code == 201


async def test_thirty_tries_a_minute_to_register(gateway: Any) -> None:
    gateway.toy.status = 400
    client = gateway.client()
    assert [(await client.post(REGISTER, json={})).status_code for _ in range(31)] == [400] * 30 + [429]


async def test_logins_and_other_open_calls_are_counted_apart(gateway: Any) -> None:
    client = gateway.client()
    logins = [(await client.post("/api/v1/auth/login", json={})).status_code for _ in range(21)]
    assert logins == [200] * 20 + [429]
    plans = [await client.get("/api/v1/subscription/plans") for _ in range(61)]
    assert [a.status_code for a in plans] == [200] * 60 + [429]
    assert "retry-after" in plans[-1].headers and "x-ratelimit-limit" not in plans[-1].headers


async def test_limits_by_address_are_settings(start: Any) -> None:
    async with start({"NIJA_LIMITS__LOGIN_PER_MINUTE": "2", "NIJA_LIMITS__STOP_PER_MINUTE": "1"}) as gateway:
        client = gateway.client()
        assert [(await client.post("/api/v1/auth/login", json={})).status_code for _ in range(3)] == [200, 200, 429]
        signed_in = gateway.client("usr_a")
        assert [(await signed_in.post(STOP)).status_code for _ in range(2)] == [200, 429]


async def test_wrong_webhook_keys_are_counted_right_ones_are_not(gateway: Any) -> None:
    client = gateway.client()
    assert [(await client.post(WEBHOOK, json={})).status_code for _ in range(70)] == [200] * 70
    gateway.toy.status = 401
    assert [(await client.post(WEBHOOK, json={})).status_code for _ in range(61)] == [401] * 60 + [429]
    gateway.clock.advance(60)
    gateway.toy.status = 200
    assert (await client.post(WEBHOOK, json={})).status_code == 200


async def test_addresses_come_from_trusted_proxies_only(start: Any) -> None:
    async with start({"NIJA_LIMITS__LOGIN_PER_MINUTE": "1"}) as gateway:
        forged = [{"X-Forwarded-For": f"203.0.113.{n}"} for n in (1, 2)]
        answers = [await gateway.client().post("/api/v1/auth/login", headers=h, json={}) for h in forged]
        assert [a.status_code for a in answers] == [200, 429]
        assert gateway.toy.seen[0].header("x-nija-client-address") == "127.0.0.1"
    proxied = {"NIJA_LIMITS__LOGIN_PER_MINUTE": "1", "NIJA_TRUSTED_PROXIES": "127.0.0.0/8, 10.0.0.0/8"}
    async with start(proxied) as gateway:
        chains = ["198.51.100.7, 203.0.113.1, 10.1.1.1", "203.0.113.2", "2001:db8::1", "2001:db8::2"]
        answers = [
            await gateway.client().post("/api/v1/auth/login", headers={"X-Forwarded-For": chain}, json={})
            for chain in chains
        ]
        assert [a.status_code for a in answers] == [200, 200, 200, 429]
        seen = [call.header("x-nija-client-address") for call in gateway.toy.seen]
        assert seen == ["203.0.113.1", "203.0.113.2", "2001:db8::1"]


async def test_a_jump_of_the_wall_clock_neither_refills_nor_shrinks_a_window(gateway: Any) -> None:
    await gateway.known("usr_a", Tier.FREE)
    # The token must outlive the jumps.
    client = gateway.client("usr_a")
    assert [(await client.get(BALANCE)).status_code for _ in range(10)] == [200] * 10
    for seconds in (3_600, -3_600):
        gateway.clock.jump_wall(seconds)
        answer = await client.get(BALANCE)
        assert (answer.status_code, limits(answer)[1]) == (429, 0)
        ahead = limits(answer)[2] * 1000 - gateway.clock.now_ms()
        assert 0 < ahead <= 61_000
