"""The fake exchange fails as it is told to, and takes no signature but the right one. Asked here by plain HTTP."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from urllib.parse import urlencode

import httpx
import jwt
import pytest

from nija_common.testing.exchange import Fault, FaultKind, RunningExchange
from nija_common.testing.exchange import coinbase_private as coinbase
from nija_common.testing.exchange import kraken_private as kraken

ACCOUNTS = "/api/v3/brokerage/accounts"
BALANCE = "/0/private/BalanceEx"


def kraken_call(name: str, secret: str, nonce: int, path: str = BALANCE) -> dict[str, object]:
    """As Kraken's documentation says a request is signed."""
    body = urlencode({"nonce": nonce})
    digest = hashlib.sha256(f"{nonce}{body}".encode()).digest()
    sign = hmac.new(base64.b64decode(secret), path.encode() + digest, hashlib.sha512).digest()
    headers = {
        "API-Key": name,
        "API-Sign": base64.b64encode(sign).decode(),
        "Content-Type": "application/x-www-form-urlencoded",
    }
    return {"content": body, "headers": headers}


def coinbase_token(name: str, pem: str, method: str, uri: str, *, age_s: int = 0) -> dict[str, str]:
    """As Coinbase's documentation says a token is made."""
    now = int(time.time()) - age_s
    claims = {
        "aud": ["retail_rest_api_proxy"],
        "iss": "coinbase-cloud",
        "nbf": now,
        "exp": now + 120,
        "sub": name,
        "uri": f"{method} {uri}",
    }
    return {"Authorization": f"Bearer {jwt.encode(claims, pem, 'ES256', headers={'kid': name, 'nonce': 'a1'})}"}


async def test_kraken_takes_rising_numbers_and_right_signatures_alone(fake_exchange: RunningExchange) -> None:
    key, secret = kraken.new_kraken_key(balances={"USD": "3.5"})
    fake_exchange.exchange.add_key(key)
    async with httpx.AsyncClient(base_url=fake_exchange.base_url, trust_env=False) as client:

        async def ask(nonce: int, *, signed_for: str = BALANCE, with_secret: str = secret) -> object:
            return (await client.post(BALANCE, **kraken_call(key.name, with_secret, nonce, signed_for))).json()  # type: ignore[arg-type]

        assert await ask(7) == {"error": [], "result": {"ZUSD": {"balance": "3.5", "hold_trade": "0"}}}
        assert await ask(7) == {"error": ["EAPI:Invalid nonce"]}
        assert await ask(6) == {"error": ["EAPI:Invalid nonce"]}
        assert await ask(8, signed_for="/0/private/Withdraw") == {"error": ["EAPI:Invalid signature"]}
        assert await ask(9, with_secret=kraken.new_kraken_key()[1]) == {"error": ["EAPI:Invalid signature"]}
        unknown = await client.post(BALANCE, **kraken_call("nobody", secret, 10))  # type: ignore[arg-type]
        assert unknown.json() == {"error": ["EAPI:Invalid key"]}
        key.permissions -= {"query-funds"}
        assert await ask(11) == {"error": ["EGeneral:Permission denied"]}


async def test_coinbase_takes_fresh_tokens_for_the_very_request_alone(fake_exchange: RunningExchange) -> None:
    key, pem = coinbase.new_cloud_key(balances={"USD": "3.5"})
    _, other = coinbase.new_cloud_key()
    fake_exchange.exchange.add_key(key)
    here = f"127.0.0.1:{fake_exchange.port}{ACCOUNTS}"
    async with httpx.AsyncClient(base_url=fake_exchange.base_url, trust_env=False) as client:

        async def status(headers: dict[str, str]) -> int:
            return (await client.get(ACCOUNTS, headers=headers)).status_code

        assert await status(coinbase_token(key.name, pem, "GET", here)) == 200
        assert await status({}) == 401
        assert await status({"Authorization": "Bearer nonsense"}) == 401
        assert await status(coinbase_token(key.name, other, "GET", here)) == 401
        assert await status(coinbase_token(key.name, pem, "POST", here)) == 401
        assert await status(coinbase_token(key.name, pem, "GET", "127.0.0.1/else")) == 401
        assert await status(coinbase_token(key.name, pem, "GET", here, age_s=300)) == 401
        key.permissions = frozenset({"trade"})
        assert await status(coinbase_token(key.name, pem, "GET", here)) == 403


async def test_calls_fail_in_the_order_of_the_script_and_are_recorded(fake_exchange: RunningExchange) -> None:
    exchange = fake_exchange.exchange
    key, secret = kraken.new_kraken_key(balances={})
    exchange.add_key(key)
    exchange.will_fail(
        "BalanceEx",
        Fault(FaultKind.STATUS, status=429, retry_after=3),
        Fault(FaultKind.GARBAGE),
        Fault(FaultKind.DROP, after=True),
        Fault(FaultKind.DELAY, delay_s=0.05),
    )
    async with httpx.AsyncClient(base_url=fake_exchange.base_url, trust_env=False) as client:

        async def ask(nonce: int) -> httpx.Response:
            return await client.post(BALANCE, **kraken_call(key.name, secret, nonce))  # type: ignore[arg-type]

        limited = await ask(1)
        assert (limited.status_code, limited.headers["retry-after"]) == (429, "3")
        garbage = await ask(2)
        assert (garbage.status_code, garbage.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert key.last_nonce == 0, "what fails has no effect"
        with pytest.raises(httpx.RemoteProtocolError):
            await ask(3)
        assert key.last_nonce == 3, "only the answer was lost"
        started = time.monotonic()
        assert (await ask(4)).json() == {"error": [], "result": {}}
        assert time.monotonic() - started >= 0.05
        assert (await ask(5)).status_code == 200
        exchange.will_fail("BalanceEx", always=Fault(FaultKind.STATUS, status=500))
        assert [(await ask(nonce)).status_code for nonce in (6, 7)] == [500, 500]
        exchange.heal()
        assert (await ask(8)).status_code == 200
    assert [call.key for call in exchange.calls_to("BalanceEx")] == [key.name] * 8
    assert {call.venue for call in exchange.calls} == {"kraken"}
