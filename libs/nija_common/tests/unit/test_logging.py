"""Secrets do not get into log lines: by the name they are logged under, and tokens inside text by their look."""

from __future__ import annotations

from typing import Any

import pytest
import structlog

from nija_common.telemetry.logging import REDACTED, configure_logging, redact

CANARY = "Copper-Meadow-Station-42"
TOKEN = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ1c3JfMSJ9.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    "event",
    [
        {"password": CANARY},
        {"new_password": CANARY},
        {"api_key": CANARY},
        {"apikey": CANARY},
        {"refresh_token": CANARY},
        {"Authorization": f"Bearer {CANARY}"},
        {"headers": {"authorization": CANARY, "accept": "x"}},
        {"body": {"nested": [{"client_secret": CANARY}]}},
        {"event": f"called with Bearer {CANARY}"},
        {"exception": f"Traceback …\nAuthorization: bearer {CANARY}"},
    ],
)
def test_a_secret_is_blanked(event: dict[str, Any]) -> None:
    cleaned = redact(None, "info", event)
    assert CANARY not in repr(cleaned)
    assert REDACTED in repr(cleaned)


def test_a_jwt_inside_text_is_blanked() -> None:
    assert TOKEN not in str(redact(None, "info", {"event": f"refused {TOKEN} of a client"}))


def test_the_rest_stays() -> None:
    event = {"event": "request", "status": 200, "route": "/api/v1/auth/login", "known": True}
    assert redact(None, "info", dict(event)) == event


def test_a_logger_keeps_to_the_configuration_whichever_it_first_wrote_under() -> None:
    log = structlog.get_logger("kept")
    configure_logging("debug")
    log.info("early")
    configure_logging("warning")
    with structlog.testing.capture_logs() as lines:
        log.warning("late")
    assert [line["event"] for line in lines] == ["late"]
