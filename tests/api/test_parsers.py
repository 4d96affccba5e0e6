"""Bodies and messages that nobody would send: at the webhook, which reads bytes itself, and on the socket.

Every one is answered or closes the connection with a documented code; none is a fault of ours, none hangs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from nija_common.testing.client import ApiClient
from nija_common.testing.platforms import Embedded

DOCUMENT = json.loads((Path(__file__).parents[2] / "docs/openapi.json").read_text("utf-8"))
SOCKET_CLOSES = {4401, 4408, 4429, 1009, 1001}
FRAMES = {
    "auth_success",
    "error",
    "pong",
    "position_update",
    "resync",
    "subscribed",
    "trade_executed",
    "alert",
    "unsubscribed",
}
ANSWER_S = 10.0
HALF_A_PAIR = b'{"api_key": "\\ud800"}'

fuzzing = settings(
    max_examples=150,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)

# Half of a surrogate pair is no character, but JSON can spell it.
texts = st.text(st.characters(exclude_categories=()), max_size=30)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=12
)
nonsense = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=100).map(str.encode),
    values.map(lambda value: json.dumps(value).encode()),
    st.sampled_from(
        [b"", b"null", b"1" * 5_000, b"[" * 5_000, b'{"a":' * 2_000, b'{"type":"ping"', b"\xff\xfe{}", HALF_A_PAIR]
    ),
)


def some_of(
    fields: dict[str, st.SearchStrategy[Any]], more: dict[str, st.SearchStrategy[Any]]
) -> st.SearchStrategy[bytes]:
    """Objects with these fields and some of more; half of them then have a field of another kind, or lack one."""
    names = sorted(fields | more)
    right = st.fixed_dictionaries(fields, optional=more)
    spoilt = st.dictionaries(st.sampled_from(names), values, min_size=1, max_size=2)
    lacking = st.tuples(right, st.sampled_from(names)).map(lambda p: {k: v for k, v in p[0].items() if k != p[1]})
    spoiled = st.tuples(right, spoilt).map(lambda parts: {**parts[0], **parts[1]})
    return st.one_of(right, right, spoiled, lacking).map(lambda body: json.dumps(body).encode())


def documented(answer: httpx.Response, path: str) -> None:
    """The answer's status and code are the document's."""
    shown = DOCUMENT["paths"][path]["post"]["responses"][str(answer.status_code)]
    if answer.status_code != 200:
        schema = shown["content"]["application/json"]["schema"]
        assert answer.json()["error"]["code"] in schema["allOf"][1]["properties"]["error"]["properties"]["code"]["enum"]


def test_no_body_at_tradingviews_webhook_is_a_fault(platform: Embedded, running: ApiClient) -> None:
    key = running.ok("POST", "/config/webhook-key")["webhook_key"]
    path = "/api/v1/webhooks/tradingview"
    alerts = some_of(
        {
            "symbol": st.sampled_from(["BTC-USD", "COINBASE:BTCUSD", "XBT/USD", "{{ticker}}", "ETH-USD"]),
            # What opens is counted by key; these are not.
            "action": st.sampled_from(["sell", "close"]),
            "api_key": st.just(key),
        },
        {
            "price": st.floats(1e-3, 1e6) | st.just("10000") | st.just("1e999"),
            "size_usd": st.floats() | st.integers(),
            "alert_id": texts | st.integers(),
            "strategy": values,
            "time": texts | st.integers() | st.floats(),
        },
    )
    kinds = st.sampled_from(["application/json", "text/plain; charset=utf-8", "application/x-www-form-urlencoded", ""])
    statuses: set[int] = set()
    with httpx.Client(base_url=platform.url, timeout=ANSWER_S) as http:

        @fuzzing
        @given(body=nonsense | alerts, kind=kinds)
        def post(body: bytes, kind: str) -> None:
            answer = http.post(path, content=body, headers={"Content-Type": kind} if kind else {})
            statuses.add(answer.status_code)
            assert answer.status_code < 500, (body, answer.text)
            documented(answer, path)

        post()
    assert {200, 400, 401} <= statuses


messages = some_of(
    {
        "type": st.sampled_from(["auth", "subscribe", "subscribe", "unsubscribe", "ping", "pong", "AUTH"]),
        "channel": st.sampled_from(["positions", "trades", "alerts", "admin"]),
    },
    {
        "token": texts | st.just("Bearer x.y.z"),
        "since": st.integers() | st.none(),
    },
)


def send(connection: ClientConnection, message: bytes, *, as_text: bool) -> None:
    text = message.decode("utf-8", errors="replace")
    connection.send(text if as_text else message)


def frames_until(connection: ClientConnection, kind: str) -> Iterator[dict[str, Any]]:
    """What comes, up to a frame of that kind. Raises ConnectionClosed; TimeoutError where nothing comes any more."""
    while True:
        frame = json.loads(connection.recv(timeout=ANSWER_S))
        assert frame["type"] in FRAMES, frame
        yield frame
        if frame["type"] == kind:
            return


def test_no_message_before_signing_in_hangs_a_socket(platform: Embedded) -> None:
    url = platform.url.replace("http", "ws", 1) + "/ws/v1"

    @fuzzing
    @given(message=nonsense | messages, as_text=st.booleans())
    def say(message: bytes, as_text: bool) -> None:
        with connect(url, open_timeout=ANSWER_S) as connection, pytest.raises(ConnectionClosed) as closed:
            send(connection, message, as_text=as_text)
            # Whatever has come of it, this is no sign-in, and ends the connection.
            connection.send('{"type": "ping"}')
            assert {frame["type"] for frame in frames_until(connection, "pong")} <= {"error"}
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code in {4401, 1009}

    say()


class Socket:
    """A signed-in connection, opened again after it was closed."""

    def __init__(self, user: ApiClient) -> None:
        self._user = user
        self._open = ExitStack()
        self.connection = self.sign_in()

    def sign_in(self) -> ClientConnection:
        self._open.close()
        url = self._user.url.replace("http", "ws", 1) + "/ws/v1"
        self.connection = self._open.enter_context(connect(url, open_timeout=ANSWER_S))
        self.connection.send(json.dumps({"type": "auth", "token": self._user.token}))
        list(frames_until(self.connection, "auth_success"))
        return self.connection

    def close(self) -> None:
        self._open.close()


def test_no_message_of_a_signed_in_client_hangs_its_socket(running: ApiClient, position: dict[str, Any]) -> None:
    with closing(Socket(running)) as socket:

        @fuzzing
        @given(said=st.lists(st.tuples(nonsense | messages, st.booleans()), min_size=1, max_size=4))
        def say(said: list[tuple[bytes, bool]]) -> None:
            try:
                for message, as_text in said:
                    send(socket.connection, message, as_text=as_text)
                socket.connection.send('{"type": "ping"}')
                list(frames_until(socket.connection, "pong"))
            except ConnectionClosed as closed:
                assert closed.rcvd is not None
                assert closed.rcvd.code in SOCKET_CLOSES
                socket.sign_in()

        say()
