"""One rule for access tokens everywhere (promise 25): the gateway, the sockets, and each service behind them refuse the
same tokens with the same codes; and an ended session is refused where clients come in, within a second."""

from __future__ import annotations

import asyncio
import base64
import hmac
import importlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import jwt
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from nija_auth.handlers import keys
from nija_auth.service import SERVICE as AUTH
from nija_billing.service import SERVICE as BILLING
from nija_common.events.deliveries import MailRequested
from nija_common.events.identity import UserSnapshot
from nija_common.runtime.manifest import Service
from nija_common.security.tokens import jwk_of
from nija_common.testing import TestPlatform, start_platform
from nija_common.testing.events import example_of
from nija_common.testing.sockets import SocketClient, socket_server
from nija_common.values.clock import ManualClock, SystemClock
from nija_gateway.domain.routes import ROUTES, Who
from nija_gateway.service import SERVICE as GATEWAY
from nija_notifier.service import SERVICE as NOTIFIER

PACKAGES = {
    "auth": "nija_auth",
    "accounts": "nija_accounts",
    "analytics": "nija_analytics",
    "billing": "nija_billing",
    "trading-engine": "nija_trading",
    "gateway": "nija_gateway",
}
SIGNED_IN = [route for route in ROUTES if route.who in (Who.USER, Who.ADMIN)]
PASSWORD, NEW_PASSWORD = "Copper-Meadow-Station-42", "Quartz-Lantern-Orchard-7"
CHEAP = {"NIJA_PASSWORD__MEMORY_KIB": "64", "NIJA_PASSWORD__TIME_COST": "1"}
DAY_S = 86_400
MINUTE_S = 60


@dataclass(frozen=True)
class Session:
    """A signed-in user, and what a forger would like to have."""

    platform: TestPlatform
    user_id: str
    access: str
    refresh: str
    key: Ed25519PrivateKey
    key_id: str

    @property
    def payload(self) -> dict[str, Any]:
        claims: dict[str, Any] = jwt.decode(self.access, options={"verify_signature": False})
        return claims

    def signed(self, claims: dict[str, Any] | None = None, header: dict[str, Any] | None = None) -> str:
        """A token that auth might have signed, but for what is given; None leaves a field out."""
        payload = {k: v for k, v in {**self.payload, **(claims or {})}.items() if v is not None}
        head = {"kid": self.key_id, "typ": "at+jwt", **(header or {})}
        kept = {k: v for k, v in head.items() if v is not None}
        return jwt.encode(payload, self.key, algorithm="EdDSA", headers=kept)

    def raw(self, header: dict[str, Any], claims: dict[str, Any], secret: bytes | None) -> str:
        """A token put together by hand; `secret` signs it with HMAC, None leaves it unsigned."""
        text = f"{encoded(orjson.dumps(header))}.{encoded(orjson.dumps(claims))}"
        return f"{text}.{'' if secret is None else encoded(hmac.digest(secret, text.encode(), 'sha256'))}"


def encoded(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def manifest(name: str) -> Service:
    service: Service = importlib.import_module(f"{PACKAGES[name]}.service").SERVICE
    return service


def forgeries(session: Session) -> dict[str, str]:
    """Every token that must be TOKEN_INVALID, by what is wrong with it."""
    head = {"alg": "EdDSA", "kid": session.key_id, "typ": "at+jwt"}
    payload, (begin, middle, signature) = session.payload, session.access.split(".")
    now = session.platform.clock.now_ms() // 1000
    public = session.key.public_key()
    stranger = Ed25519PrivateKey.generate()
    jwk = jwk_of(public, session.key_id)
    own_jwk = jwk_of(stranger.public_key(), session.key_id)
    strangers = {"kid": session.key_id, "typ": "at+jwt"}
    found = {
        "none": session.raw({**head, "alg": "none"}, payload, None),
        "none, in capitals": session.raw({**head, "alg": "NONE"}, payload, None),
        "none, with a signature": f"{encoded(orjson.dumps({**head, 'alg': 'none'}))}.{middle}.{signature}",
        "no algorithm": session.raw({"kid": session.key_id, "typ": "at+jwt"}, payload, b"x"),
        "no signature": f"{begin}.{middle}.",
        "a cut signature": f"{begin}.{middle}.{signature[:-8]}",
        "RS256 in the header": f"{encoded(orjson.dumps({**head, 'alg': 'RS256'}))}.{middle}.{signature}",
        "another's key": jwt.encode(payload, stranger, algorithm="EdDSA", headers=strangers),
        "a key in the header": jwt.encode(
            payload, stranger, algorithm="EdDSA", headers={**strangers, "jwk": own_jwk, "kid": own_jwk["kid"]}
        ),
        "a key's address in the header": jwt.encode(
            payload, stranger, algorithm="EdDSA", headers={**strangers, "jku": "https://evil.example/jwks.json"}
        ),
        "a role that was raised": f"{begin}.{encoded(orjson.dumps({**payload, 'role': 'admin'}))}.{signature}",
        "another's iss": session.signed({"iss": "somebody"}),
        "no iss": session.signed({"iss": None}),
        "another's aud": session.signed({"aud": "another-api"}),
        "no aud": session.signed({"aud": None}),
        "an id token": session.signed(header={"typ": "JWT"}),
        "no typ": session.signed(header={"typ": ""}),
        "no kid": session.signed(header={"kid": None}),
        "unknown kid": session.signed(header={"kid": "key_nobody_has"}),
        "a kid that is a path": session.signed(header={"kid": "../../etc/passwd"}),
        "from the future": session.signed({"iat": now + 60, "exp": now + DAY_S}),
        "a role that is none": session.signed({"role": "root"}),
        "expired and of another": session.signed({"iss": "somebody", "exp": now - 1}),
        "the refresh token": session.refresh,
        "no token at all": "a.b.c",
        **{
            f"no {claim}": session.signed({claim: None}) for claim in ("sub", "sid", "role", "iat", "exp", "sat", "reg")
        },
    }
    secrets = {
        "raw": public.public_bytes_raw(),
        "as PEM": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "as in the key set": jwk["x"].encode(),
        "as JWK": orjson.dumps(jwk),
    }
    for form, secret in secrets.items():
        found[f"HS256 with the public key {form}"] = session.raw({**head, "alg": "HS256"}, payload, secret)
    return found


async def sign_in(platform: TestPlatform) -> Session:
    """A new account's session, straight at auth."""
    client = platform.client("auth")
    account = {"email": "ada@nija.example", "password": PASSWORD}
    registered = await client.post(
        "/api/v1/auth/register", json={**account, "full_name": "Ada Trader", "accept_terms": True}
    )
    assert registered.status_code == 201, registered.text
    return await log_in(platform)


async def log_in(platform: TestPlatform) -> Session:
    account = {"email": "ada@nija.example", "password": PASSWORD}
    data = (await platform.client("auth").post("/api/v1/auth/login", json=account)).json()["data"]
    deps = platform.deps("auth")
    key = (await deps.people.keyring()).keys[-1]
    opened = deps.sealer.open(key.sealed, bound_to=f"auth/signing-key/{key.key_id}")
    return Session(
        platform,
        data["user"]["user_id"],
        data["access_token"],
        data["refresh_token"],
        Ed25519PrivateKey.from_private_bytes(opened),
        key.key_id,
    )


Look = Callable[[str], Awaitable[set[str]]]
"""Shows a token at a place: what was said to it, over all operations for signed-in users that the place has."""


def looker(platform: TestPlatform, place: str) -> Look:
    routes = [route for route in SIGNED_IN if place in ("gateway", route.service)]
    assert routes, f"{place} has no route for signed-in users"
    client = platform.client(place)

    async def look(token: str) -> set[str]:
        said = set()
        for route in routes:
            path = route.path.replace("{position_id}", "pos_x")
            answer = await client.request(route.method, path, headers={"authorization": f"Bearer {token}"})
            said.add(verdict(answer))
        return said

    return look


def verdict(answer: httpx.Response) -> str:
    """`accepted` means only: it was not the token that was refused."""
    if answer.status_code != 401:
        return "accepted"
    code: str = answer.json()["error"]["code"]
    return code


@pytest.mark.parametrize("place", PACKAGES)
async def test_every_forgery_is_refused_on_every_operation(place: str, tmp_path: Path, clock: ManualClock) -> None:
    services = [AUTH] if place == "auth" else [AUTH, manifest(place)]
    async with start_platform(tmp_path, services, clock=clock, env=CHEAP, roles={place: ["api"]}) as platform:
        session, look = await sign_in(platform), looker(platform, place)
        answers = {}
        for what, token in forgeries(session).items():
            # A verifier fetches keys at most once a second: each unknown key id finds it ready to.
            clock.advance(2)
            answers[what] = await look(token)
        assert {what: said for what, said in answers.items() if said != {"TOKEN_INVALID"}} == {}
        for header in ({}, {"authorization": session.access}, {"authorization": f"Basic {session.access}"}):
            route = next(r for r in SIGNED_IN if place in ("gateway", r.service))
            answer = await platform.client(place).request(route.method, route.path, headers=header)
            assert verdict(answer) == "TOKEN_INVALID", header


@pytest.mark.parametrize("place", PACKAGES)
async def test_a_token_lives_for_its_day_through_a_rotation_and_not_a_second_longer(
    place: str, tmp_path: Path, clock: ManualClock
) -> None:
    services = [AUTH] if place == "auth" else [AUTH, manifest(place)]
    async with start_platform(tmp_path, services, clock=clock, env=CHEAP, roles={place: ["api"]}) as platform:
        deps = platform.deps("auth")
        session, route = await sign_in(platform), next(r for r in SIGNED_IN if place in ("gateway", r.service))
        client = platform.client(place)

        async def said(token: str) -> str:
            """The gateway answers 503 for an account without standing; that is no matter of the token."""
            path = route.path.replace("{position_id}", "pos_x")
            headers = {"authorization": f"Bearer {token}"}
            # Bodies that no operation takes: nothing happens but the look at the token.
            return verdict(await client.request(route.method, path, headers=headers, json={"no such field": 1}))

        assert await said(session.access) == "accepted"
        assert await deps.work.run(keys.rotate_keys, deps, keys.RotateKeys(even_if_young=True))
        clock.advance(11 * MINUTE_S)
        fresh = await log_in(platform)
        assert fresh.key_id != session.key_id
        for token in (session.access, fresh.access):
            assert await said(token) == "accepted"
        clock.advance(DAY_S - 11 * MINUTE_S - 1)
        assert await said(session.access) == "accepted"
        clock.advance(1)
        assert await said(session.access) == "TOKEN_EXPIRED"
        assert await said(fresh.access) == "accepted"
        # Ten minutes after the last token of the old key has expired, the key itself is gone.
        clock.advance(21 * MINUTE_S)
        await look_again(platform, place)
        old_key = session.signed({"iat": clock.now_ms() // 1000, "exp": clock.now_ms() // 1000 + 60})
        assert await said(old_key) == "TOKEN_INVALID"


async def look_again(platform: TestPlatform, place: str) -> None:
    """The gateway looks for withdrawn keys in a loop, the others when their key set is five minutes old."""
    if place == "gateway":
        await platform.run_loop("gateway", "sign-in-keys")


async def test_every_forgery_is_refused_by_the_sockets(tmp_path: Path, clock: ManualClock) -> None:
    async with (
        start_platform(tmp_path, [AUTH, NOTIFIER], clock=clock, env=CHEAP, roles={"notifier": ["api"]}) as platform,
        socket_server(platform, "notifier") as server,
    ):
        session = await sign_in(platform)
        for what, token in forgeries(session).items():
            clock.advance(2)
            socket = await server.connect()
            assert (await socket.sign_in(token))["error"]["code"] == "TOKEN_INVALID", what
            assert await socket.closed() == 4401, what
        socket = await server.connect()
        assert (await socket.sign_in(session.access))["type"] == "auth_success"
        expired = session.signed({"exp": clock.now_ms() // 1000})
        socket = await server.connect()
        assert (await socket.sign_in(expired))["error"]["code"] == "TOKEN_EXPIRED"


async def ended_by_logout(platform: TestPlatform, session: Session) -> None:
    await ok(platform, "POST", "logout", {}, session.access)


async def ended_by_revoke_all(platform: TestPlatform, _: Session) -> None:
    await ok(platform, "POST", "logout", {"revoke_all": True}, (await log_in(platform)).access)


async def ended_by_change_of_password(platform: TestPlatform, _: Session) -> None:
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    await ok(platform, "PUT", "change-password", body, (await log_in(platform)).access)


async def ended_by_reset(platform: TestPlatform, _: Session) -> None:
    await ok(platform, "POST", "reset-password", {"email": "ada@nija.example"})
    async with asyncio.timeout(10):
        while not (mails := [m for m in await platform.emitted(MailRequested) if m.sealed is not None]):
            await asyncio.sleep(0.01)
    (mail,) = mails
    assert mail.sealed is not None
    token = platform.deps("auth").sealer.open(mail.sealed, bound_to=mail.mail_id).decode()
    await ok(platform, "POST", "reset-password/confirm", {"token": token, "new_password": NEW_PASSWORD})


async def ended_by_suspension(platform: TestPlatform, session: Session) -> None:
    root = platform.token("usr_root", role="admin")
    await platform.given_events(example_of(UserSnapshot, user_id="usr_root", role="admin"), source="given")
    path = f"/api/v1/admin/users/{session.user_id}"
    answer = await platform.client("gateway", root).put(path, json={"status": "suspended"})
    assert answer.status_code == 200, answer.text


async def ok(platform: TestPlatform, method: str, path: str, body: Any, token: str | None = None) -> None:
    answer = await platform.client("gateway", token).request(method, f"/api/v1/auth/{path}", json=body)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    "end",
    [ended_by_logout, ended_by_revoke_all, ended_by_change_of_password, ended_by_reset, ended_by_suspension],
    ids=lambda f: f.__name__,
)
async def test_an_ended_session_is_refused_at_the_gateway_and_its_socket_closed_within_a_second(
    tmp_path: Path, end: Callable[[TestPlatform, Session], Awaitable[None]]
) -> None:
    async with (
        start_platform(tmp_path, [AUTH, BILLING, NOTIFIER, GATEWAY], clock=SystemClock(), env=CHEAP) as platform,
        socket_server(platform, "notifier") as server,
    ):
        session = await sign_in(platform)
        client, path = platform.client("gateway", session.access), "/api/v1/subscription/current"
        assert verdict(await client.get(path)) == "accepted"
        socket: SocketClient = await server.connect()
        assert (await socket.sign_in(session.access))["type"] == "auth_success"
        await end(platform, session)
        answered = time.monotonic()
        closed = asyncio.create_task(socket.closed())
        while verdict(await client.get(path)) == "accepted":
            assert time.monotonic() - answered < 1.0, "the gateway still takes it"
            await asyncio.sleep(0.01)
        assert await asyncio.wait_for(closed, max(0.01, 1.0 - (time.monotonic() - answered))) == 4401
        refreshed = await client.post("/api/v1/auth/refresh", json={"refresh_token": session.refresh})
        refusal = "ACCOUNT_SUSPENDED" if end is ended_by_suspension else "TOKEN_INVALID"
        assert refreshed.json()["error"]["code"] == refusal
        assert verdict(await client.get(path)) == "TOKEN_INVALID"
