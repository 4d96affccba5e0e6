"""Rules of sessions, locks and signing keys, over any order of what can happen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nija_auth.domain import sessions as rules
from nija_auth.domain.documents import Keyring, LoginFailures, Session, SigningKey, User
from nija_common.errors import ErrorCode, NijaError

START = 1_769_683_320_000
USER = User(
    id="usr_a", email="a@b.example", email_key="a@b.example", full_name="A", password_hash="", registered_at_ms=START
)


def session(user: User, now_ms: int) -> Session:
    created = rules.session_start(user, now_ms)
    return Session(
        id="s", user_id=user.id, refresh_hash="r", created_ms=created, expires_at_ms=now_ms + rules.REFRESH_MS
    )


@given(st.lists(st.tuples(st.sampled_from(["log in", "revoke all"]), st.integers(-5_000, 5_000)), max_size=40))
def test_revoke_all_ends_every_session_before_it_and_none_after_whatever_the_clock_does(
    steps: list[tuple[str, int]],
) -> None:
    user, now_ms = USER, START
    alive: list[Session] = []
    ended: list[Session] = []
    for what, passed in steps:
        now_ms += passed
        if what == "log in":
            alive.append(session(user, now_ms))
        else:
            newest = max(alive + ended, key=lambda s: s.created_ms, default=None)
            until = rules.sessions_end(user, newest, now_ms)
            assert until >= user.tokens_valid_after_ms
            user = user.model_copy(update={"tokens_valid_after_ms": until})
            ended += alive
            alive = []
        assert all(s.created_ms <= user.tokens_valid_after_ms for s in ended)
        assert all(s.created_ms > user.tokens_valid_after_ms for s in alive)


def test_the_claims_carry_the_sessions_creation_and_the_registration_in_milliseconds() -> None:
    begun = session(USER, START + 1_234)
    claims = rules.claims_of(USER, begun, START + 90_500)
    assert (claims.session_at_ms, claims.registered_at_ms) == (START + 1_234, START)
    assert (claims.issued_at, claims.expires_at) == ((START + 90_500) // 1000, (START + 90_500) // 1000 + 86_400)


def failing(times: int, start_ms: int = START, known: LoginFailures | None = None) -> LoginFailures:
    for n in range(times):
        known = rules.one_more_failure(known, "k", start_ms + n)
    assert known is not None
    return known


def test_the_tenth_failure_locks_for_fifteen_minutes() -> None:
    rules.check_lock(failing(9), START + 10)
    locked = failing(10)
    with pytest.raises(NijaError) as refusal:
        rules.check_lock(locked, START + 9)
    assert (refusal.value.code, refusal.value.retry_after) == (ErrorCode.RATE_LIMIT_EXCEEDED, 900)
    rules.check_lock(locked, START + 9 + rules.LOCK_MS)


def test_a_failure_that_was_on_its_way_does_not_lift_the_lock() -> None:
    with pytest.raises(NijaError, match="Too many failed logins"):
        rules.one_more_failure(failing(10), "k", START + 20)


def test_failures_are_forgotten_after_a_quarter_of_an_hour_without_one() -> None:
    assert rules.one_more_failure(failing(9), "k", START + 8 + rules.LOCK_MS).count == 1
    assert failing(9, START + 10 + rules.LOCK_MS, failing(10)).locked_until_ms == 0


def key(name: str, created_ms: int, active_from_ms: int) -> SigningKey:
    return SigningKey(
        key_id=name, sealed="", public={"kid": name}, created_ms=created_ms, active_from_ms=active_from_ms
    )


@given(st.lists(st.integers(1, 40 * 86_400_000), min_size=1, max_size=8), st.integers(0, 60 * 86_400_000))
def test_whatever_the_rotations_a_living_token_finds_its_key_and_a_signing_key_was_published_before(
    pauses: list[int], later_ms: int
) -> None:
    ring = Keyring(id="keyring", keys=(key("k0", START, 0),))
    now_ms = START
    signed: list[tuple[str, int]] = []

    def sign() -> None:
        active = rules.active_key(ring, now_ms)
        assert active is not None
        assert active.created_ms == START or now_ms - active.created_ms >= rules.PUBLISH_AHEAD_MS
        signed.append((active.key_id, now_ms + rules.ACCESS_SECONDS * 1000))

    def all_found() -> None:
        published = {entry["kid"] for entry in rules.published(ring, now_ms)}
        assert {kid for kid, expires in signed if expires > now_ms} <= published

    for number, pause in enumerate(pauses, 1):
        sign()
        now_ms += pause
        sign()
        ring = rules.rotated(ring, key(f"k{number}", now_ms, now_ms + rules.PUBLISH_AHEAD_MS))
        all_found()
        sign()
    now_ms += later_ms
    all_found()
    assert len(rules.published(ring, now_ms + 100 * 86_400_000)) == 1
