"""Errors that any operation may answer, each at one of them."""

from __future__ import annotations

from collections.abc import Callable

from nija_common.testing.client import Answer, ApiClient

Refused = Callable[[Answer, int, str], None]


def test_get_trading_status__rate_limit_exceeded(user: ApiClient, refused: Refused) -> None:
    # A minute may end in between: then the next one is used up.
    answer = next(a for a in (user.get("/trading/status") for _ in range(205)) if a.status != 200)
    refused(answer, 429, "RATE_LIMIT_EXCEEDED")
    assert 0 < int(answer.headers["retry-after"]) <= 60
    assert user.post("/trading/emergency-stop", {"close_positions": False}).status == 200


def test_post_auth_login__payload_too_large(anybody: ApiClient, refused: Refused) -> None:
    body = {"email": "nobody@nija.example", "password": "x" * 1_100_000}
    refused(anybody.post("/auth/login", body), 413, "PAYLOAD_TOO_LARGE")


def test_put_config_settings__idempotency_conflict(user: ApiClient, refused: Refused) -> None:
    key = {"Idempotency-Key": "a-key-of-mine"}
    first = user.call("PUT", "/config/settings", {"trading": {"risk_level": "high"}}, key)
    again = user.call("PUT", "/config/settings", {"trading": {"risk_level": "high"}}, key)
    assert (first.status, first.data) == (again.status, again.data)
    refused(user.call("PUT", "/config/settings", {"trading": {"risk_level": "low"}}, key), 409, "IDEMPOTENCY_CONFLICT")
    assert user.ok("GET", "/config/settings")["trading"]["risk_level"] == "high"
