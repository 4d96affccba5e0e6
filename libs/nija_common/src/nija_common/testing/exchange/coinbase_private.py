"""Coinbase Advanced Trade, the paths that need a key: accounts and the key's permissions.

A cloud key signs a JWT (ES256 or EdDSA) for the one request; a legacy key signs with HMAC-SHA256. Checked here: the
signature, the times, the issuer, the request that the token is for. Not here: orders.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import uuid
from collections.abc import Iterable, Mapping

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from nija_common.testing.exchange.state import ApiKey, Exchange

FIAT = frozenset({"USD", "EUR", "GBP"})
TRADING = frozenset({"view", "trade"})
LEEWAY_S = 30


def new_cloud_key(
    *, permissions: Iterable[str] = TRADING, balances: Mapping[str, str] | None = None
) -> tuple[ApiKey, str]:
    """A key of the kind that Coinbase issues now, and its secret: an EC private key in PEM."""
    name = f"organizations/{uuid.uuid4()}/apiKeys/{uuid.uuid4()}"
    private = ec.generate_private_key(ec.SECP256R1())
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    ).decode()
    return ApiKey(name, "coinbase", _public(private.public_key()), frozenset(permissions), dict(balances or {})), pem


def new_ed25519_key(
    *, permissions: Iterable[str] = TRADING, balances: Mapping[str, str] | None = None
) -> tuple[ApiKey, str]:
    """A key with an Ed25519 secret: 64 bytes, seed and public key, in base64."""
    private = ed25519.Ed25519PrivateKey.generate()
    seed = private.private_bytes_raw() + private.public_key().public_bytes_raw()
    key = ApiKey(
        str(uuid.uuid4()), "coinbase", _public(private.public_key()), frozenset(permissions), dict(balances or {})
    )
    return key, base64.b64encode(seed).decode()


def new_legacy_key(
    *, permissions: Iterable[str] = TRADING, balances: Mapping[str, str] | None = None
) -> tuple[ApiKey, str]:
    """A key of the old kind, and its secret."""
    secret = secrets.token_urlsafe(24)
    return ApiKey(secrets.token_hex(8), "coinbase", secret, frozenset(permissions), dict(balances or {})), secret


def _public(key: ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey) -> str:
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def key_name(headers: Mapping[str, str]) -> str | None:
    """The name of the key that signed, unverified: for the record of calls."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme == "Bearer":
        try:
            return str(jwt.get_unverified_header(token).get("kid"))
        except jwt.InvalidTokenError:
            return None
    return headers.get("cb-access-key")


async def _authenticated(exchange: Exchange, request: Request) -> ApiKey | None:
    """The key that signed this request, or None."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    key = exchange.keys.get(key_name(headers) or "")
    if key is None or key.venue != "coinbase":
        return None
    if "authorization" in headers:
        good = _token_is_good(exchange, request, key, headers["authorization"].partition(" ")[2])
    else:
        good = await _hmac_is_good(exchange, request, key, headers)
    return key if good else None


def _token_is_good(exchange: Exchange, request: Request, key: ApiKey, token: str) -> bool:
    if not key.verifier.startswith("-----BEGIN"):
        return False
    try:
        claims = jwt.decode(
            token,
            key.verifier,
            algorithms=["ES256", "EdDSA"],
            options={"verify_aud": False, "verify_exp": False, "verify_nbf": False, "verify_iat": False},
        )
        signed_with = jwt.get_unverified_header(token)["alg"]
    except jwt.InvalidTokenError:
        return False
    cloud = signed_with == "ES256"
    issued = (claims.get("iss"), claims.get("aud"))
    expected = ("coinbase-cloud", ["retail_rest_api_proxy"]) if cloud else ("cdp", ["cdp_service"])
    purposes = [claims.get("uri")] if cloud else claims.get("uris") or []
    now = exchange.now_s()
    in_time = claims.get("nbf", now) - LEEWAY_S <= now <= claims.get("exp", 0) + LEEWAY_S
    return bool(in_time and issued == expected and claims.get("sub") == key.name and _names(request) & set(purposes))


def _names(request: Request) -> set[str]:
    """How a token may name this request: only an https address loses its scheme in the vendor libraries."""
    plain = f"{request.url.netloc}{request.url.path}"
    return {f"{request.method} {plain}", f"{request.method} {request.url.scheme}://{plain}"}


async def _hmac_is_good(exchange: Exchange, request: Request, key: ApiKey, headers: Mapping[str, str]) -> bool:
    stamp = headers.get("cb-access-timestamp", "")
    if not stamp.isdigit() or abs(exchange.now_s() - int(stamp)) > LEEWAY_S:
        return False
    query = f"?{request.url.query}" if request.url.query else ""
    paths = {request.url.path, request.url.path + query}
    body = await request.body()
    digests = (
        hmac.new(key.verifier.encode(), f"{stamp}{request.method}{path}".encode() + body, hashlib.sha256).hexdigest()
        for path in paths
    )
    return any(hmac.compare_digest(digest, headers.get("cb-access-sign", "")) for digest in digests)


def _unauthorized() -> Response:
    return Response("Unauthorized\n", 401, media_type="text/plain")


def _missing_scope() -> Response:
    return JSONResponse(
        {
            "error": "PERMISSION_DENIED",
            "error_details": "Missing required scopes",
            "message": "Missing required scopes",
        },
        403,
    )


def routes(exchange: Exchange) -> list[Route]:
    """The private paths."""

    async def permissions(request: Request) -> Response:
        key = await _authenticated(exchange, request)
        if key is None:
            return _unauthorized()
        return JSONResponse(
            {
                "can_view": "view" in key.permissions,
                "can_trade": "trade" in key.permissions,
                "can_transfer": "transfer" in key.permissions,
                "portfolio_uuid": str(uuid.uuid5(uuid.NAMESPACE_URL, key.name)),
                "portfolio_type": "DEFAULT",
            }
        )

    async def accounts(request: Request) -> Response:
        key = await _authenticated(exchange, request)
        if key is None:
            return _unauthorized()
        if "view" not in key.permissions:
            return _missing_scope()
        first = int(request.query_params.get("cursor") or 0)
        limit = min(int(request.query_params.get("limit") or 49), 250)
        names = sorted(key.balances)
        page = names[first : first + limit]
        more = first + limit < len(names)
        return JSONResponse(
            {
                "accounts": [_account(exchange, key, asset) for asset in page],
                "has_next": more,
                "cursor": str(first + limit) if more else "",
                "size": len(page),
            }
        )

    return [
        Route("/api/v3/brokerage/key_permissions", permissions, methods=["GET"]),
        Route("/api/v3/brokerage/accounts", accounts, methods=["GET"]),
    ]


def _account(exchange: Exchange, key: ApiKey, asset: str) -> dict[str, object]:
    identity = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{key.name}/{asset}"))
    return {
        "uuid": identity,
        "name": f"{asset} Wallet",
        "currency": asset,
        "available_balance": {"value": key.balances[asset], "currency": asset},
        "default": True,
        "active": True,
        "created_at": "2024-01-15T10:30:00Z",
        "updated_at": "2024-01-15T10:30:00Z",
        "deleted_at": None,
        "type": "ACCOUNT_TYPE_FIAT" if asset in FIAT else "ACCOUNT_TYPE_CRYPTO",
        "ready": True,
        "hold": {"value": str(exchange.held_of(key, asset)), "currency": asset},
        "retail_portfolio_id": str(uuid.uuid5(uuid.NAMESPACE_URL, key.name)),
    }
