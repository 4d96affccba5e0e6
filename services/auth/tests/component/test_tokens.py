"""Which access tokens are accepted (promise 25), by the verifier and by a service's route, and how keys rotate."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from nija_auth.handlers import keys
from nija_auth.service import SERVICE
from nija_common.errors import NijaError, SettingsError
from nija_common.testing import start_platform
from nija_common.values.clock import ManualClock

DAY_S = 86_400


async def key_set(auth: Any) -> list[dict[str, str]]:
    answer = await auth.platform.client("auth").get("/.well-known/jwks.json")
    assert (answer.status_code, set(answer.json())) == (200, {"keys"})
    found: list[dict[str, str]] = answer.json()["keys"]
    return found


async def outcome(auth: Any, token: str) -> str:
    """What verifier and route say; both must say the same."""
    try:
        await auth.platform.app("auth").state.tokens.verify(token)
        verified = "accepted"
    except NijaError as error:
        verified = error.code.value
    answer = await auth.call("PUT", "change-password", {}, token=token)
    routed = answer.json()["error"]["code"]
    assert routed == ("VALIDATION_ERROR" if verified == "accepted" else verified)
    assert answer.status_code == (400 if verified == "accepted" else 401)
    return verified


def encoded(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


async def test_the_key_set_is_public_plain_and_cacheable(auth: Any) -> None:
    answer = await auth.platform.client("auth").get("/.well-known/jwks.json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "public, max-age=60"
    (key,) = answer.json()["keys"]
    assert set(key) == {"kty", "crv", "x", "kid", "alg", "use"}
    assert (key["kty"], key["crv"], key["alg"], key["use"]) == ("OKP", "Ed25519", "EdDSA", "sig")


async def test_a_token_of_a_login_is_accepted_until_it_expires(auth: Any, ada: str) -> None:
    token = (await auth.signed_in())["access_token"]
    assert await outcome(auth, token) == "accepted"
    auth.platform.clock.advance(DAY_S - 1)
    assert await outcome(auth, token) == "accepted"
    auth.platform.clock.advance(1)
    assert await outcome(auth, token) == "TOKEN_EXPIRED"


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "....", "null", "e30.e30.", "ey" * 4000])
async def test_what_is_no_token_is_refused(auth: Any, token: str) -> None:
    assert await outcome(auth, token) == "TOKEN_INVALID"


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "HS256", "HS512", "RS256", "ES256", "EdDSA "])
async def test_an_unsigned_token_or_one_of_another_algorithm_is_refused(auth: Any, ada: str, alg: str) -> None:
    head, payload, signature = (await auth.signed_in())["access_token"].split(".")
    header = {**json.loads(base64.urlsafe_b64decode(head + "==")), "alg": alg}
    for sig in ("", signature):
        assert await outcome(auth, f"{encoded(header)}.{payload}.{sig}") == "TOKEN_INVALID"


async def test_a_token_signed_by_hmac_with_the_public_key_is_refused(auth: Any, ada: str) -> None:
    token = (await auth.signed_in())["access_token"]
    payload = jwt.decode(token, options={"verify_signature": False})
    (key,) = await key_set(auth)
    raw = base64.urlsafe_b64decode(key["x"] + "==")
    head = {"alg": "HS256", "kid": key["kid"], "typ": "at+jwt"}
    signed = f"{encoded(head)}.{encoded(payload)}"
    for secret in (raw, key["x"].encode(), json.dumps(key).encode()):
        signature = base64.urlsafe_b64encode(hmac.digest(secret, signed.encode(), "sha256")).rstrip(b"=").decode()
        assert await outcome(auth, f"{signed}.{signature}") == "TOKEN_INVALID"


async def private_key(auth: Any) -> tuple[Ed25519PrivateKey, str]:
    ring = await auth.deps.people.keyring()
    key = ring.keys[-1]
    opened = auth.deps.sealer.open(key.sealed, bound_to=f"auth/signing-key/{key.key_id}")
    return Ed25519PrivateKey.from_private_bytes(opened), key.key_id


@pytest.mark.parametrize(
    ("claims", "headers"),
    [
        ({"iss": "somebody"}, {}),
        ({"iss": None}, {}),
        ({"aud": "another-api"}, {}),
        ({"aud": None}, {}),
        ({}, {"typ": "JWT"}),
        ({}, {"typ": "refresh+jwt"}),
        ({}, {"kid": "no-such-key"}),
        ({}, {"kid": "../../etc/passwd"}),
        ({}, {"kid": None}),
        ({"role": "root"}, {}),
        ({"role": None}, {}),
        ({"sub": None}, {}),
        ({"sid": None}, {}),
        ({"sat": None}, {}),
        ({"reg": None}, {}),
        ({"exp": None}, {}),
        ({"iat": "in the future"}, {}),
    ],
)
async def test_a_rightly_signed_token_with_a_wrong_claim_or_header_is_refused(
    auth: Any, ada: str, claims: dict[str, Any], headers: dict[str, Any]
) -> None:
    payload = jwt.decode((await auth.signed_in())["access_token"], options={"verify_signature": False})
    key, key_id = await private_key(auth)

    def signed(changes: dict[str, Any], heads: dict[str, Any]) -> str:
        wanted = {k: v for k, v in {**payload, **changes}.items() if v is not None}
        header = {k: v for k, v in {"kid": key_id, "typ": "at+jwt", **heads}.items() if v is not None}
        return jwt.encode(wanted, key, algorithm="EdDSA", headers=header)

    if "iat" in claims:
        claims = {"iat": payload["iat"] + 3600, "exp": payload["exp"] + 3600}
    assert await outcome(auth, signed({}, {})) == "accepted"
    assert await outcome(auth, signed(claims, headers)) == "TOKEN_INVALID"


async def test_a_token_signed_with_somebody_elses_key_under_our_key_id_is_refused(auth: Any, ada: str) -> None:
    payload = jwt.decode((await auth.signed_in())["access_token"], options={"verify_signature": False})
    _, key_id = await private_key(auth)
    headers = {"kid": key_id, "typ": "at+jwt"}
    forged = jwt.encode(payload, Ed25519PrivateKey.generate(), algorithm="EdDSA", headers=headers)
    assert await outcome(auth, forged) == "TOKEN_INVALID"


async def test_a_changed_payload_is_refused_and_a_refresh_token_is_no_access_token(auth: Any, ada: str) -> None:
    session = await auth.signed_in()
    head, _, signature = session["access_token"].split(".")
    payload = jwt.decode(session["access_token"], options={"verify_signature": False})
    raised = encoded({**payload, "role": "admin"})
    assert await outcome(auth, f"{head}.{raised}.{signature}") == "TOKEN_INVALID"
    assert await outcome(auth, session["refresh_token"]) == "TOKEN_INVALID"


async def test_keys_rotate_by_age_without_logging_anyone_out(auth: Any, ada: str) -> None:
    clock = auth.platform.clock
    await auth.platform.run_loop("auth", "rotate-keys")
    assert len(await key_set(auth)) == 1
    clock.advance(30 * DAY_S - 60)
    before = (await auth.signed_in())["access_token"]
    (first,) = await key_set(auth)
    clock.advance(60)
    await auth.platform.run_loop("auth", "rotate-keys")
    kids = [key["kid"] for key in await key_set(auth)]
    assert kids[0] == first["kid"] and len(kids) == 2
    assert jwt.get_unverified_header((await auth.signed_in())["access_token"])["kid"] == first["kid"]
    clock.advance(600)
    after = (await auth.signed_in())["access_token"]
    assert jwt.get_unverified_header(after)["kid"] == kids[1]
    for token in (before, after):
        assert await outcome(auth, token) == "accepted"
    clock.advance(DAY_S - 601)
    assert await outcome(auth, after) == "accepted"
    clock.advance(1201)
    assert [key["kid"] for key in await key_set(auth)] == [kids[1]]


async def test_a_withdrawn_key_is_refused_once_verifiers_have_looked_again(auth: Any, ada: str) -> None:
    token = (await auth.signed_in())["access_token"]
    assert await outcome(auth, token) == "accepted"

    async def withdraw(deps: Any, _: None, uow: Any) -> None:
        uow.save((await deps.people.keyring()).model_copy(update={"keys": ()}))

    await auth.deps.work.run(withdraw, auth.deps, None)
    auth.platform.clock.advance(301)
    assert await outcome(auth, token) == "TOKEN_INVALID"


async def test_an_operator_may_rotate_at_any_time(auth: Any) -> None:
    assert await auth.deps.work.run(keys.rotate_keys, auth.deps, keys.RotateKeys()) is False
    assert await auth.deps.work.run(keys.rotate_keys, auth.deps, keys.RotateKeys(even_if_young=True)) is True
    assert len(await key_set(auth)) == 2


async def test_two_replicas_on_a_fresh_store_make_one_key(auth: Any) -> None:
    async def forget(deps: Any, _: None, uow: Any) -> None:
        uow.delete(await deps.people.keyring())

    await auth.deps.work.run(forget, auth.deps, None)
    await asyncio.gather(*(auth.deps.work.run(keys.ensure_key, auth.deps, keys.EnsureKey()) for _ in range(6)))
    assert len(await key_set(auth)) == 1


async def test_keys_survive_a_restart_and_another_key_encryption_key_is_named_at_the_start(
    tmp_path: Path, clock: ManualClock
) -> None:
    def env(letter: bytes) -> dict[str, str]:
        return {"NIJA_KEY_ENCRYPTION_KEY": base64.b64encode(letter * 32).decode()}

    found = []
    for _ in range(2):
        async with start_platform(tmp_path, [SERVICE], clock=clock, env=env(b"a")) as platform:
            answer = await platform.client("auth").get("/.well-known/jwks.json")
            found.append(answer.json())
    assert found[0] == found[1]
    with pytest.raises((SettingsError, ExceptionGroup)) as refusal:
        async with start_platform(tmp_path, [SERVICE], clock=clock, env=env(b"b")):
            raise AssertionError("started")
    assert "NIJA_KEY_ENCRYPTION_KEY" in repr(refusal.value)
