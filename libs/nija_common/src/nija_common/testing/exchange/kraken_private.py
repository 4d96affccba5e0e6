"""Kraken spot, the paths that need a key: balances and what the key may do.

Checked here: `API-Sign` = base64(HMAC-SHA512(path + SHA256(nonce + body), secret)) and the nonce, which must rise with
each call of a key. Kraken answers errors with status 200. Not here: orders.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping
from decimal import Decimal
from urllib.parse import parse_qsl

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from nija_common.testing.exchange.state import ApiKey, Exchange

TRADING = frozenset({"query-funds", "query-open-trades", "query-closed-trades", "modify-trades", "close-trades"})
ASSETS = {"USD": "ZUSD", "EUR": "ZEUR", "BTC": "XXBT", "ETH": "XETH"}
"""Assets that Kraken calls otherwise; the rest keep their names."""


def new_kraken_key(
    *, permissions: Iterable[str] = TRADING, balances: Mapping[str, str] | None = None
) -> tuple[ApiKey, str]:
    """A key, and its secret in base64."""
    name = base64.b64encode(secrets.token_bytes(42)).decode()
    secret = base64.b64encode(secrets.token_bytes(64)).decode()
    return ApiKey(name, "kraken", secret, frozenset(permissions), dict(balances or {})), secret


def routes(exchange: Exchange) -> list[Route]:
    """The private paths."""

    async def balances(request: Request) -> Response:
        key = await _authenticated(exchange, request)
        if isinstance(key, Response):
            return key
        if "query-funds" not in key.permissions:
            return _error("EGeneral:Permission denied")
        return _result({ASSETS.get(asset, asset): _balance(exchange, key, asset) for asset in key.balances})

    async def key_info(request: Request) -> Response:
        key = await _authenticated(exchange, request)
        if isinstance(key, Response):
            return key
        return _result(
            {
                "apiKeyName": "trading",
                "apiKey": key.name,
                "nonce": str(key.last_nonce),
                "nonceWindow": 0,
                "permissions": sorted(key.permissions),
                "iban": "",
                "validUntil": "0",
                "queryFrom": "0",
                "queryTo": "0",
                "createdTime": "1700000000",
                "modifiedTime": "1700000000",
                "ipAllowlist": [],
                "lastUsed": str(int(exchange.now_s())),
            }
        )

    return [
        Route("/0/private/BalanceEx", balances, methods=["POST"]),
        Route("/0/private/GetApiKeyInfo", key_info, methods=["POST"]),
    ]


def _balance(exchange: Exchange, key: ApiKey, asset: str) -> dict[str, str]:
    held = exchange.held_of(key, asset)
    return {"balance": str(Decimal(key.balances[asset]) + held), "hold_trade": str(held)}


async def _authenticated(exchange: Exchange, request: Request) -> ApiKey | Response:
    """The key that signed this request, or Kraken's refusal."""
    key = exchange.keys.get(request.headers.get("API-Key", ""))
    if key is None or key.venue != "kraken":
        return _error("EAPI:Invalid key")
    body = await request.body()
    nonce = _nonce(body, request.headers.get("content-type", ""))
    if nonce is None:
        return _error("EAPI:Invalid nonce")
    digest = hashlib.sha256(nonce.encode() + body).digest()
    signature = hmac.new(base64.b64decode(key.verifier), request.url.path.encode() + digest, hashlib.sha512).digest()
    if not hmac.compare_digest(base64.b64encode(signature).decode(), request.headers.get("API-Sign", "")):
        return _error("EAPI:Invalid signature")
    if not exchange.accept_nonce(key, int(nonce)):
        return _error("EAPI:Invalid nonce")
    return key


def _nonce(body: bytes, content_type: str) -> str | None:
    fields = orjson.loads(body) if "json" in content_type else dict(parse_qsl(body.decode()))
    found = str(fields.get("nonce", ""))
    return found if found.isdigit() else None


def _result(result: object) -> Response:
    return JSONResponse({"error": [], "result": result})


def _error(*errors: str) -> Response:
    return JSONResponse({"error": list(errors)})
