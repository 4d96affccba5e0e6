"""What the client does when a call fails: a small server answers from a script and keeps what it was asked.

A running platform does not fail on demand; everything else is tested against one.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from nija_sdk import (
    APIError,
    AsyncNIJAClient,
    AuthenticationFailed,
    ConnectionFailed,
    NIJAClient,
    NIJAError,
    RateLimited,
    ServerError,
    UnexpectedAnswer,
)


@dataclass
class Script:
    """Answers in order (status, headers, body), and the requests that came: method, path, headers, body."""

    answers: list[tuple[int, dict[str, str], str]] = field(default_factory=list)
    asked: list[tuple[str, str, dict[str, str], str]] = field(default_factory=list)
    url: str = ""
    slow_s: float = 0.0

    def answer(self, data: dict[str, Any]) -> None:
        self.answers.append((200, {}, json.dumps({"success": True, "data": data, "timestamp": "2026-01-29T10:42:00Z"})))

    def refuse(self, status: int, code: str, **headers: str) -> None:
        error = {"code": code, "message": "No.", "details": {"field": "why"}}
        body = json.dumps({"success": False, "error": error, "timestamp": "2026-01-29T10:42:00Z"})
        self.answers.append((status, {name.replace("_", "-"): value for name, value in headers.items()}, body))

    @property
    def calls(self) -> list[str]:
        return [f"{method} {path}" for method, path, _, _ in self.asked]


@pytest.fixture
def script() -> Iterator[Script]:
    written = Script()

    class Handler(BaseHTTPRequestHandler):
        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
            headers = {name.lower(): value for name, value in self.headers.items()}
            written.asked.append((self.command, self.path, headers, body))
            time.sleep(written.slow_s)
            status, more, text = written.answers.pop(0)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(text.encode())), **more}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_POST = do_PUT = do_DELETE = _any  # noqa: N815 - the names that http.server calls

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    written.url = f"http://127.0.0.1:{server.server_port}/api/v1"
    yield written
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(("status", "code"), [(429, "RATE_LIMIT_EXCEEDED"), (503, "SERVICE_UNAVAILABLE")])
def test_a_reading_call_is_repeated_after_what_the_platform_asks_for(script: Script, status: int, code: str) -> None:
    script.refuse(status, code, Retry_After="1")
    script.answer({"status": "stopped"})
    with NIJAClient("token", base_url=script.url) as client:
        began = time.monotonic()
        assert client.trading.status().status == "stopped"
        assert time.monotonic() - began >= 1.0
    assert script.calls == ["GET /api/v1/trading/status"] * 2


def test_a_writing_call_is_not_repeated(script: Script) -> None:
    script.refuse(503, "SERVICE_UNAVAILABLE", Retry_After="0")
    with NIJAClient("token", base_url=script.url) as client, pytest.raises(ServerError) as caught:
        client.trading.stop()
    assert script.calls == ["POST /api/v1/trading/stop"]
    assert (caught.value.code, caught.value.status, caught.value.retry_after) == ("SERVICE_UNAVAILABLE", 503, 0.0)
    assert caught.value.details == {"field": "why"}


def test_a_writing_call_with_an_idempotency_key_is_repeated_with_the_same_key(script: Script) -> None:
    script.refuse(503, "SERVICE_UNAVAILABLE", Retry_After="0")
    script.answer({"status": "stopping", "message": "m"})
    with NIJAClient("token", base_url=script.url) as client:
        client.trading.stop(idempotency_key="once")
    assert [headers["idempotency-key"] for _, _, headers, _ in script.asked] == ["once", "once"]


@pytest.mark.parametrize(("status", "code"), [(500, "INTERNAL_ERROR"), (502, "BROKER_ERROR"), (409, "ALREADY_RUNNING")])
def test_what_would_fail_again_is_not_repeated(script: Script, status: int, code: str) -> None:
    script.refuse(status, code)
    with NIJAClient("token", base_url=script.url) as client, pytest.raises(APIError) as caught:
        client.account.stats()
    assert (caught.value.status, caught.value.code) == (status, code)
    assert len(script.asked) == 1


def test_repeating_ends_and_the_last_refusal_is_raised(script: Script) -> None:
    for _ in range(3):
        script.refuse(429, "RATE_LIMIT_EXCEEDED", Retry_After="0")
    with NIJAClient("token", base_url=script.url, max_retries=2) as client, pytest.raises(RateLimited):
        client.account.stats()
    assert len(script.asked) == 3


def test_a_wait_of_more_than_a_minute_is_the_callers_to_decide(script: Script) -> None:
    script.refuse(503, "SERVICE_UNAVAILABLE", Retry_After="3600")
    with NIJAClient("token", base_url=script.url) as client, pytest.raises(ServerError) as caught:
        client.account.stats()
    assert caught.value.retry_after == 3600.0


async def test_the_async_client_repeats_alike(script: Script) -> None:
    script.refuse(503, "SERVICE_UNAVAILABLE", Retry_After="0")
    script.answer({"status": "stopped"})
    script.refuse(503, "SERVICE_UNAVAILABLE", Retry_After="0")
    async with AsyncNIJAClient("token", base_url=script.url) as client:
        await client.trading.status()
        with pytest.raises(ServerError):
            await client.trading.stop()
    assert script.calls == ["GET /api/v1/trading/status"] * 2 + ["POST /api/v1/trading/stop"]


def test_an_expired_token_is_renewed_once_and_the_call_made_again(script: Script) -> None:
    script.refuse(401, "TOKEN_EXPIRED")
    script.answer({"access_token": "new", "expires_in": 86400})
    script.answer({"status": "stopping", "message": "m"})
    with NIJAClient("old", refresh_token="again", base_url=script.url) as client:
        client.trading.stop()
        assert client.api_key == "new"
    assert script.calls == ["POST /api/v1/trading/stop", "POST /api/v1/auth/refresh", "POST /api/v1/trading/stop"]
    assert [headers.get("authorization") for _, _, headers, _ in script.asked] == ["Bearer old", None, "Bearer new"]
    assert json.loads(script.asked[1][3]) == {"refresh_token": "again"}


async def test_the_async_client_renews_alike(script: Script) -> None:
    script.refuse(401, "TOKEN_EXPIRED")
    script.answer({"access_token": "new", "expires_in": 86400})
    script.answer({"status": "stopped"})
    async with AsyncNIJAClient("old", refresh_token="again", base_url=script.url) as client:
        await client.trading.status()
        assert client.api_key == "new"


@pytest.mark.parametrize(("code", "refresh_token"), [("TOKEN_EXPIRED", None), ("TOKEN_INVALID", "again")])
def test_a_token_that_cannot_or_must_not_be_renewed_is_refused(
    script: Script, code: str, refresh_token: str | None
) -> None:
    script.refuse(401, code)
    client = NIJAClient("old", refresh_token=refresh_token, base_url=script.url)
    with client, pytest.raises(AuthenticationFailed):
        client.account.stats()
    assert len(script.asked) == 1


def test_an_answer_of_something_else_is_named_as_such(script: Script) -> None:
    script.answers += [(502, {}, "<html>Bad gateway</html>"), (200, {}, "[]")]
    with NIJAClient("token", base_url=script.url) as client:
        for _ in range(2):
            with pytest.raises(UnexpectedAnswer):
                client.account.stats()


def test_a_slow_answer_ends_at_the_time_limit(script: Script) -> None:
    script.slow_s = 0.5
    script.answer({})
    with NIJAClient("token", base_url=script.url, timeout=0.05) as client, pytest.raises(ConnectionFailed):
        client.trading.stop()


def test_nobody_at_the_address_is_a_connection_failure() -> None:
    with NIJAClient("token", base_url="http://127.0.0.1:9/api/v1", max_retries=0) as client:
        with pytest.raises(ConnectionFailed):
            client.account.stats()
        with pytest.raises(ConnectionFailed):
            client.ws.connect()


def test_an_id_cannot_reach_another_path(script: Script) -> None:
    script.refuse(404, "POSITION_NOT_FOUND")
    with NIJAClient("token", base_url=script.url) as client, pytest.raises(APIError):
        client.trading.close_position("../../admin?x=1")
    with NIJAClient("token", base_url=script.url) as client, pytest.raises(NIJAError):
        client.trading.close_position("..")
    assert script.calls == ["POST /api/v1/trading/positions/..%2F..%2Fadmin%3Fx%3D1/close"]


def test_what_is_left_out_is_not_sent_and_null_is(script: Script) -> None:
    script.answer({"message": "m"})
    with NIJAClient("token", base_url=script.url) as client:
        client.admin.update_user("usr_1", notes="n", expires_at=None)
    assert json.loads(script.asked[0][3]) == {"notes": "n", "expires_at": None}


def test_a_clients_representation_shows_no_secret() -> None:
    with NIJAClient("very-secret", refresh_token="more-secret", base_url="http://127.0.0.1:9/api/v1") as client:
        assert repr(client) == "NIJAClient('http://127.0.0.1:9/api/v1')"
        assert "secret" not in f"{client!r} {client.ws!r} {client.auth!r}"


@pytest.mark.parametrize("address", ["", "ftp://host/api/v1", "127.0.0.1:8000/api/v1"])
def test_an_address_that_is_none_is_refused_at_once(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIJA_BASE_URL", "nowhere")
    with pytest.raises(NIJAError):
        NIJAClient("token", base_url=address)


def test_a_record_reads_as_a_dictionary_and_by_attribute(script: Script) -> None:
    script.answer({"plans": [{"tier": "free", "limits": {"max_positions": 3}, "newer_field": {"seen": True}}]})
    with NIJAClient(base_url=script.url) as client:
        plan = client.subscription.plans().plans[0]
    assert plan.limits.max_positions == plan["limits"]["max_positions"] == 3
    assert plan["newer_field"].seen is True
    assert not hasattr(plan, "popular")
    assert json.loads(json.dumps(plan))["tier"] == "free"
