"""Access tokens: auth signs them, gateway and every service verify them with this one function.

A token is a JWT (RFC 9068 style, `typ: at+jwt`) signed with EdDSA; keys are found by `kid` among auth's
public keys. Verification is synchronous and cached; only a key id that is not known yet makes the caller
wait for a fetch of the key set. Standing and revocation are not looked at here.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from nija_common.errors import ErrorCode, NijaError, unavailable
from nija_common.values.clock import Clock

ISSUER = "nija"
AUDIENCE = "nija-api"
ALGORITHM = "EdDSA"
TOKEN_TYPE = "at+jwt"
LEEWAY_S = 5
CACHE_SIZE = 50_000
REFUSED_SIZE = 10_000
SEEN_SIZE, SEEN_BYTES = 4_096, 1_024


@dataclass(frozen=True, slots=True)
class Claims:
    """Who calls. Times: `issued_at`, `expires_at` in seconds; `session_at_ms`, `registered_at_ms` in milliseconds."""

    user_id: str
    session_id: str
    role: Literal["user", "admin"]
    issued_at: int
    expires_at: int
    session_at_ms: int
    registered_at_ms: int


class UnknownKey(Exception):
    """The token names a key that is not known here (yet): fetch the key set, then ask again."""


def sign(claims: Claims, key: Ed25519PrivateKey, key_id: str) -> str:
    """The token of these claims."""
    payload = {
        "sub": claims.user_id,
        "sid": claims.session_id,
        "role": claims.role,
        "iat": claims.issued_at,
        "exp": claims.expires_at,
        "sat": claims.session_at_ms,
        "reg": claims.registered_at_ms,
        "iss": ISSUER,
        "aud": AUDIENCE,
    }
    return jwt.encode(payload, key, algorithm=ALGORITHM, headers={"kid": key_id, "typ": TOKEN_TYPE})


def jwk_of(key: Ed25519PublicKey, key_id: str) -> dict[str, str]:
    """The public key as a JWK (RFC 8037)."""
    jwk: dict[str, Any] = jwt.algorithms.OKPAlgorithm.to_jwk(key, as_dict=True)
    return {"kty": jwk["kty"], "crv": jwk["crv"], "x": jwk["x"], "kid": key_id, "alg": ALGORITHM, "use": "sig"}


def invalid_token(message: str = "The access token is missing or not valid. Log in again.") -> NijaError:
    """401 TOKEN_INVALID."""
    return NijaError(ErrorCode.TOKEN_INVALID, message)


class KeySet:
    """Auth's public keys, fetched when first needed, when an unknown key id appears, and every few minutes.

    `fetch` answers the JWKS document as a dict, or raises. Keys once seen stay usable while auth is away.
    """

    REFRESH_S = 300.0
    RETRY_S = 1.0

    def __init__(self, fetch: Callable[[], Awaitable[Mapping[str, Any]]], clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._keys: dict[str, Ed25519PublicKey] = {}
        self.generation = object()
        """Another one whenever the keys have changed."""
        self._document: object = None
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._lock = asyncio.Lock()

    def find(self, key_id: str) -> Ed25519PublicKey:
        """Raises UnknownKey."""
        try:
            return self._keys[key_id]
        except KeyError:
            raise UnknownKey(key_id) from None

    @property
    def known(self) -> bool:
        return bool(self._keys)

    @property
    def stale(self) -> bool:
        """Whether the set is due for a fetch although nobody missed a key."""
        return self._fetched_at is None or self._clock.monotonic() - self._fetched_at > self.REFRESH_S

    @property
    def being_fetched(self) -> bool:
        """Whether somebody waits for auth at this moment: who has keys need not."""
        return self._lock.locked()

    async def refresh(self) -> None:
        """Fetches the set, at most once a second. Raises `unavailable` only while no key at all is known.

        Whoever waited for a fetch that failed does not try again: with auth hanging, they would wait for one another.
        """
        async with self._lock:
            now = self._clock.monotonic()
            if self._tried_at is None or now - self._tried_at >= self.RETRY_S:
                self._tried_at = now
                try:
                    self.load(await self._fetch())
                except (OSError, ValueError, KeyError, TimeoutError, NijaError) as error:
                    self._tried_at = self._clock.monotonic()
                    if not self._keys:
                        raise unavailable("Sign-in keys cannot be read right now. Try again.") from error
                    return
                self._fetched_at = now
            if not self._keys:
                raise unavailable("Sign-in keys cannot be read right now. Try again.")

    def load(self, document: Mapping[str, Any]) -> None:
        """Takes over a JWKS document: keys that are no longer in it are not accepted any more."""
        if document["keys"] == self._document:
            return
        keys: dict[str, Ed25519PublicKey] = {}
        for entry in document["keys"]:
            if entry.get("kty") != "OKP" or entry.get("crv") != "Ed25519":
                continue
            key = jwt.algorithms.OKPAlgorithm.from_jwk(entry)
            if isinstance(key, Ed25519PublicKey):
                keys[str(entry["kid"])] = key
        self._keys = keys
        self._document = document["keys"]
        self.generation = object()


class TokenVerifier:
    """Verifies access tokens; remembers those it has verified until they expire."""

    def __init__(self, keys: KeySet, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock
        self._verified: OrderedDict[bytes, tuple[Claims, str]] = OrderedDict()
        self._seen: dict[bytes, tuple[Claims, int, int, object]] = {}
        self._refused: OrderedDict[bytes, None] = OrderedDict()
        self._refused_by = keys.generation

    async def verify(self, token: str) -> Claims:
        """As `verify_now`, fetching the key set where needed. Raises TOKEN_INVALID, TOKEN_EXPIRED, SERVICE_UNAVAILABLE."""
        if not self._keys.known or (self._keys.stale and not self._keys.being_fetched):
            await self._keys.refresh()
        try:
            return self.verify_now(token)
        except UnknownKey:
            await self._keys.refresh()
        try:
            return self.verify_now(token)
        except UnknownKey:
            raise invalid_token() from None

    async def refresh(self) -> None:
        """Fetches the key set now: for whoever only calls `verify_now`, which never looks for withdrawn keys.

        Raises SERVICE_UNAVAILABLE only while no key at all is known.
        """
        await self._keys.refresh()

    def seen(self, header: bytes, now_ms: int) -> Claims | None:
        """The claims of an `Authorization` header that has been accepted as it is, byte for byte, and still would be."""
        known = self._seen.get(header)
        if known is None:
            return None
        claims, from_ms, until_ms, generation = known
        return claims if from_ms <= now_ms < until_ms and generation is self._keys.generation else None

    def remember(self, header: bytes, claims: Claims) -> None:
        """The header's token has been verified: `seen` finds it, unless it is longer than any of ours needs to be."""
        if len(header) > SEEN_BYTES:
            return
        if len(self._seen) >= SEEN_SIZE:
            self._seen.clear()
        from_ms, until_ms = (claims.issued_at - LEEWAY_S) * 1000, claims.expires_at * 1000
        self._seen[header] = (claims, from_ms, until_ms, self._keys.generation)

    def verify_now(self, token: str) -> Claims:
        """Synchronous; under a microsecond for a token seen before. Raises UnknownKey, TOKEN_INVALID, TOKEN_EXPIRED."""
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        hit = self._verified.get(digest)
        if hit is None:
            claims, key_id = self._read_once(token, digest)
            self._verified[digest] = (claims, key_id)
            if len(self._verified) > CACHE_SIZE:
                self._verified.popitem(last=False)
        else:
            claims, key_id = hit
            self._keys.find(key_id)
        now = self._clock.now_ms() // 1000
        if now >= claims.expires_at:
            raise NijaError(ErrorCode.TOKEN_EXPIRED, "The access token has expired. Refresh it or log in again.")
        if claims.issued_at > now + LEEWAY_S:
            raise invalid_token()
        return claims

    def _read_once(self, token: str, digest: bytes) -> tuple[Claims, str]:
        """As `_read`; a token that was refused is not looked at again while the keys are the same."""
        if self._refused_by is not self._keys.generation:
            self._refused.clear()
            self._refused_by = self._keys.generation
        if digest in self._refused:
            raise invalid_token()
        try:
            return self._read(token)
        except NijaError:
            self._refused[digest] = None
            if len(self._refused) > REFUSED_SIZE:
                self._refused.popitem(last=False)
            raise

    def _read(self, token: str) -> tuple[Claims, str]:
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.InvalidTokenError, ValueError):
            raise invalid_token() from None
        key_id = header.get("kid")
        if header.get("alg") != ALGORITHM or header.get("typ") != TOKEN_TYPE or not isinstance(key_id, str):
            raise invalid_token()
        key = self._keys.find(key_id)
        try:
            payload = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                issuer=ISSUER,
                options={
                    "require": ["sub", "sid", "role", "iat", "exp", "sat", "reg"],
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
            if payload["role"] not in ("user", "admin"):
                raise invalid_token()
            claims = Claims(
                user_id=str(payload["sub"]),
                session_id=str(payload["sid"]),
                role=payload["role"],
                issued_at=int(payload["iat"]),
                expires_at=int(payload["exp"]),
                session_at_ms=int(payload["sat"]),
                registered_at_ms=int(payload["reg"]),
            )
        except (jwt.InvalidTokenError, ValueError, TypeError):
            raise invalid_token() from None
        return claims, key_id


def bearer_token(authorization: str | None) -> str:
    """The token of an `Authorization: Bearer …` header. Raises TOKEN_INVALID."""
    scheme, _, token = (authorization or "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise invalid_token()
    return token
