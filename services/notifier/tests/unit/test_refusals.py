"""Ended sessions in memory."""

from __future__ import annotations

from nija_common.events.identity import SessionRevoked, UserSnapshot
from nija_common.security.revocations import KEPT_MS
from nija_common.security.tokens import Claims
from nija_common.testing.events import example_of
from nija_notifier.domain.refusals import Refusals

T0 = 1_769_683_320_000


def claims(user_id: str = "usr_a", session_id: str = "ses_1", session_at_ms: int = T0) -> Claims:
    return Claims(user_id, session_id, "user", T0 // 1000, T0 // 1000 + 86_400, session_at_ms, T0)


def refused(refusals: Refusals, who: Claims) -> str | None:
    refusal = refusals.refusal(who)
    return None if refusal is None else refusal.code.value


def test_an_ended_session_is_refused_and_another_of_the_user_is_not() -> None:
    refusals = Refusals()
    refusals.session_ended(example_of(SessionRevoked, user_id="usr_a", session_id="ses_1"), T0)
    assert refused(refusals, claims()) == "TOKEN_INVALID"
    assert refused(refusals, claims(session_id="ses_2")) is None


def test_all_sessions_up_to_a_moment_end_and_later_ones_do_not() -> None:
    refusals = Refusals()
    for until in (T0, T0 - 500):
        event = example_of(SessionRevoked, user_id="usr_a", session_id=None, revoked_until_ms=until)
        refusals.session_ended(event, T0)
    assert refused(refusals, claims(session_at_ms=T0)) == "TOKEN_INVALID"
    assert refused(refusals, claims(session_at_ms=T0 + 1)) is None
    assert refused(refusals, claims(user_id="usr_b", session_at_ms=T0)) is None


def test_a_session_that_began_at_tokens_valid_after_has_ended_and_one_after_has_not() -> None:
    refusals = Refusals()
    refusals.user_changed(example_of(UserSnapshot, user_id="usr_a", tokens_valid_after_ms=T0), T0)
    assert refused(refusals, claims(session_at_ms=T0)) == "TOKEN_INVALID"
    assert refused(refusals, claims(session_at_ms=T0 + 1)) is None


def test_a_suspended_user_is_refused_until_active_again() -> None:
    refusals = Refusals()
    for status, expected in (("suspended", "ACCOUNT_SUSPENDED"), ("disabled", "ACCOUNT_DISABLED"), ("active", None)):
        refusals.user_changed(example_of(UserSnapshot, user_id="usr_a", status=status), T0)
        assert refused(refusals, claims()) == expected


def test_memory_holds_exceptions_only_and_forgets_what_no_living_token_can_meet() -> None:
    refusals = Refusals()
    for n in range(100):
        refusals.user_changed(example_of(UserSnapshot, user_id=f"usr_{n}"), T0)
    assert len(refusals) == 0
    refusals.session_ended(example_of(SessionRevoked, user_id="usr_a", session_id="ses_1"), T0)
    refusals.user_changed(example_of(UserSnapshot, user_id="usr_b", tokens_valid_after_ms=T0), T0 + 1)
    refusals.forget(T0 + KEPT_MS)
    assert len(refusals) == 2
    refusals.forget(T0 + KEPT_MS + 2)
    assert len(refusals) == 0
