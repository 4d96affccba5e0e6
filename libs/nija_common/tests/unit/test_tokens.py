"""What a verifier remembers of tokens, and when it stops believing it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from nija_common.errors import ErrorCode, NijaError
from nija_common.security import tokens
from nija_common.security.tokens import Claims, KeySet, TokenVerifier, UnknownKey, jwk_of, sign
from nija_common.values.clock import ManualClock

KEYS = {name: Ed25519PrivateKey.generate() for name in ("one", "two")}


async def nothing() -> Mapping[str, Any]:
    raise OSError


def document(*names: str) -> Mapping[str, Any]:
    return {"keys": [jwk_of(KEYS[name].public_key(), name) for name in names]}


def verifier(clock: ManualClock, *names: str) -> tuple[TokenVerifier, KeySet]:
    keys = KeySet(nothing, clock)
    keys.load(document(*names))
    return TokenVerifier(keys, clock), keys


def token(clock: ManualClock, name: str = "one") -> str:
    now_s = clock.now_ms() // 1000
    return sign(Claims("usr_a", "ses_a", "user", now_s, now_s + 60, now_s * 1000, 0), KEYS[name], name)


def code(verify: TokenVerifier, given: str) -> ErrorCode:
    with pytest.raises(NijaError) as refused:
        verify.verify_now(given)
    return refused.value.code


def test_a_header_seen_before_is_known_by_its_bytes_until_it_expires(clock: ManualClock) -> None:
    verify, _ = verifier(clock, "one")
    given = token(clock)
    header = f"Bearer {given}".encode()
    assert verify.seen(header, clock.now_ms()) is None
    claims = verify.verify_now(given)
    verify.remember(header, claims)
    assert verify.seen(header, clock.now_ms()) == claims
    assert verify.seen(header + b" ", clock.now_ms()) is None
    assert verify.seen(header, clock.now_ms() + 59_999) == claims
    assert verify.seen(header, clock.now_ms() + 60_000) is None
    assert verify.seen(header, clock.now_ms() - 60_000) is None, "a clock set back makes it one from the future"


def test_a_key_that_is_withdrawn_ends_what_was_seen_and_fetching_the_same_keys_does_not(clock: ManualClock) -> None:
    verify, keys = verifier(clock, "one", "two")
    given = token(clock)
    header = f"Bearer {given}".encode()
    verify.remember(header, verify.verify_now(given))
    keys.load(document("one", "two"))
    assert verify.seen(header, clock.now_ms()) is not None
    keys.load(document("two"))
    assert verify.seen(header, clock.now_ms()) is None
    with pytest.raises(UnknownKey):
        verify.verify_now(given)


def test_a_refused_token_is_refused_without_another_look_until_keys_change(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    verify, keys = verifier(clock, "one")
    head, _, signature = token(clock).rpartition(".")
    forged = f"{head}.{signature[::-1]}"
    assert code(verify, forged) is ErrorCode.TOKEN_INVALID
    looks: list[str] = []
    real = jwt.get_unverified_header

    def look(given: str) -> dict[str, Any]:
        looks.append(given)
        return real(given)

    monkeypatch.setattr(jwt, "get_unverified_header", look)
    assert code(verify, forged) is ErrorCode.TOKEN_INVALID
    assert not looks
    keys.load(document("one", "two"))
    assert code(verify, forged) is ErrorCode.TOKEN_INVALID
    assert len(looks) == 1


def test_an_unknown_key_is_not_remembered_as_a_refusal(clock: ManualClock) -> None:
    verify, keys = verifier(clock, "one")
    given = token(clock, "two")
    with pytest.raises(UnknownKey):
        verify.verify_now(given)
    keys.load(document("one", "two"))
    assert verify.verify_now(given).user_id == "usr_a"


def test_only_so_much_is_remembered(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "SEEN_SIZE", 2)
    monkeypatch.setattr(tokens, "REFUSED_SIZE", 2)
    verify, _ = verifier(clock, "one")
    claims = verify.verify_now(token(clock))
    verify.remember(b"Bearer " + b" " * 2_000, claims)
    assert verify.seen(b"Bearer " + b" " * 2_000, clock.now_ms()) is None
    for number in range(5):
        verify.remember(b"%d" % number, claims)
        assert code(verify, f"a.b.{number}") is ErrorCode.TOKEN_INVALID
    assert [n for n in range(5) if verify.seen(b"%d" % n, clock.now_ms())] == [4]
