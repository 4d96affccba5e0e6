"""The socket's own rules: signing in, messages, closes (promise 13)."""

from __future__ import annotations

import asyncio
import json

import orjson
import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.exceptions import InvalidStatus

from nija_common.testing.sockets import SocketClient, SocketServer, eventually
from nija_common.values.clock import ManualClock
from nija_notifier.domain.messages import read_message


async def pass_time(clock: ManualClock, seconds: float) -> None:
    """The clock moves on once whoever looks at it sleeps, and it has its turn."""
    await asyncio.sleep(0.01)
    clock.advance(seconds)


async def test_a_signed_in_client_is_told_who_it_is_and_that_it_follows_nothing(server: SocketServer) -> None:
    client = await server.connect()
    answer = await client.sign_in(server.platform.token("usr_a"))
    assert answer == {"type": "auth_success", "user_id": "usr_a", "subscriptions": []}


async def test_a_token_without_the_word_bearer_is_as_good(server: SocketServer) -> None:
    client = await server.connect()
    await client.say(type="auth", token=server.platform.token("usr_a"))
    assert (await client.hear())["type"] == "auth_success"


@pytest.mark.parametrize("token", ["a.b.c", "Bearer a.b.c", "", "Bearer ", None, 7, "t\u00f6k\u00e9n.x.y"])
async def test_a_wrong_token_is_answered_with_its_code_and_4401(server: SocketServer, token: object) -> None:
    client = await server.connect()
    await client.say(type="auth", token=token)
    answer = await client.hear()
    assert answer["type"] == "error"
    assert answer["error"]["code"] == "TOKEN_INVALID"
    assert answer["error"]["details"] == {}
    assert await client.closed() == 4401


async def test_an_expired_token_is_answered_as_expired_and_4401(server: SocketServer, clock: ManualClock) -> None:
    token = server.platform.token("usr_a")
    clock.advance(24 * 3600)
    client = await server.connect()
    assert (await client.sign_in(token))["error"]["code"] == "TOKEN_EXPIRED"
    assert await client.closed() == 4401


async def test_who_has_not_signed_in_after_ten_seconds_is_closed_with_4401(
    server: SocketServer, clock: ManualClock
) -> None:
    client = await server.connect()
    await pass_time(clock, 9.0)
    await client.connection.send("{ not json")
    assert (await client.hear())["error"]["code"] == "VALIDATION_ERROR"
    await pass_time(clock, 1.0)
    assert (await client.hear())["error"]["code"] == "TOKEN_INVALID"
    assert await client.closed() == 4401


async def test_any_other_first_message_is_closed_with_4401(server: SocketServer) -> None:
    client = await server.connect()
    await client.say(type="subscribe", channel="trades")
    assert (await client.hear())["error"]["code"] == "TOKEN_INVALID"
    assert await client.closed() == 4401


async def test_a_token_that_expires_while_connected_closes_the_socket(server: SocketServer, clock: ManualClock) -> None:
    client = await server.signed_in("usr_a", "trades")
    await pass_time(clock, 24 * 3600 - 2)
    assert await client.silent()
    await pass_time(clock, 2)
    assert (await client.hear())["error"]["code"] == "TOKEN_EXPIRED"
    assert await client.closed() == 4401


async def test_a_renewed_token_keeps_the_connection_and_its_channels(server: SocketServer, clock: ManualClock) -> None:
    client = await server.signed_in("usr_a", "trades")
    await pass_time(clock, 12 * 3600)
    answer = await client.sign_in(server.platform.token("usr_a"))
    assert answer == {"type": "auth_success", "user_id": "usr_a", "subscriptions": ["trades"]}
    await pass_time(clock, 13 * 3600)
    await pass_time(clock, 1)
    assert await client.silent()


async def test_a_connection_does_not_change_hands(server: SocketServer) -> None:
    client = await server.signed_in("usr_a", "trades")
    assert (await client.sign_in(server.platform.token("usr_b")))["error"]["code"] == "TOKEN_INVALID"
    assert await client.closed() == 4401


async def test_a_sixth_connection_of_a_user_is_closed_with_4429_and_a_freed_place_can_be_taken(
    server: SocketServer,
) -> None:
    tabs = [await server.signed_in("usr_a") for _ in range(5)]
    sixth = await server.connect()
    assert (await sixth.sign_in(server.platform.token("usr_a")))["error"]["code"] == "RATE_LIMIT_EXCEEDED"
    assert await sixth.closed() == 4429
    assert await (await server.signed_in("usr_b")).silent()
    await tabs[0].connection.close()
    hub = server.platform.deps("notifier").hub
    await eventually(lambda: bool(hub.open_connections == 5), "the closed connection is forgotten")
    assert await (await server.signed_in("usr_a")).silent()


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ('{"type":"subscribe","channel":"positions:usr_b"}', "channel"),
        ('{"type":"subscribe"}', "channel"),
        ('{"type":"subscribe","channel":["trades"]}', "channel"),
        ('{"type":"unsubscribe","channel":"orders"}', "channel"),
        ('{"type":"shout"}', "type"),
        ("{}", "type"),
        ("[]", "message"),
        ("{ not json", "message"),
        ("", "message"),
        (b"\xff\xfe", "message"),
        ("[" * 5000, "message"),
    ],
)
async def test_what_cannot_be_read_is_answered_and_the_connection_lives(
    server: SocketServer, message: str | bytes, field: str
) -> None:
    client = await server.signed_in("usr_a")
    await client.connection.send(message)
    answer = await client.hear()
    assert answer["type"] == "error"
    assert answer["error"]["code"] == "VALIDATION_ERROR"
    assert list(answer["error"]["details"]) == [field]
    assert await client.silent()


async def test_a_binary_frame_is_read_like_a_text_frame(server: SocketServer) -> None:
    client = await server.signed_in("usr_a")
    await client.connection.send(b'{"type":"subscribe","channel":"trades"}')
    assert await client.hear() == {"type": "subscribed", "channel": "trades"}


async def test_subscribing_and_unsubscribing_twice_is_answered_twice(server: SocketServer) -> None:
    client = await server.signed_in("usr_a", "trades", "trades", "positions", "positions")
    for channel in ("trades", "trades", "positions", "positions"):
        await client.say(type="unsubscribe", channel=channel)
        assert await client.hear() == {"type": "unsubscribed", "channel": channel}


async def test_a_frame_above_64_kib_is_closed_with_1009(server: SocketServer) -> None:
    fits = await server.signed_in("usr_a")
    await fits.connection.send('{"type":"ping","x":"' + "x" * 65_000 + '"}')
    assert await fits.hear() == {"type": "pong"}
    await fits.connection.send("x" * 65_537)
    assert await fits.closed() == 1009


async def test_draining_closes_every_socket_with_1001_and_takes_no_new_one(server: SocketServer) -> None:
    stranger, known = await server.connect(), await server.signed_in("usr_a", "trades")
    server.platform.node.draining.set()
    assert await stranger.closed() == 1001
    assert await known.closed() == 1001
    late = await server.connect()
    assert await late.closed() == 1001


async def test_other_paths_are_answered_404(server: SocketServer) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await server.connect("/ws/v2")
    assert refused.value.response.status_code == 404
    answer = await server.platform.client("notifier").get("/ws/v1")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "NOT_FOUND"


async def test_no_log_line_carries_a_token(server: SocketServer, capfd: pytest.CaptureFixture[str]) -> None:
    token = server.platform.token("usr_a")
    with structlog.testing.capture_logs() as lines:
        known = await server.connect()
        await known.sign_in(token)
        wrong = await server.connect()
        await wrong.say(type="auth", token=f"Bearer {token}x")
        assert await wrong.closed() == 4401
        await known.connection.close()
        await eventually(lambda: any(line["event"] == "socket_closed" for line in lines), "a line about the socket")
    out = capfd.readouterr()
    assert token[:40] not in f"{lines}{out.out}{out.err}"
    assert token not in repr(read_message(orjson.dumps({"type": "auth", "token": token})))


async def test_connections_leave_nothing_behind(server: SocketServer) -> None:
    hub = server.platform.deps("notifier").hub
    clients = [await server.connect(), *[await server.signed_in(f"usr_{n}", "positions", "trades") for n in range(4)]]
    assert hub.open_connections == 5
    for client in clients:
        await client.connection.close()
    await eventually(lambda: bool(hub.open_connections == 0), "all connections are forgotten")
    assert not hub.connections_of("usr_1")
    assert not hub.watches_positions("usr_1")


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
_messages = st.one_of(
    st.text(max_size=60),
    st.binary(max_size=60),
    st.fixed_dictionaries(
        {"type": st.sampled_from(["subscribe", "unsubscribe", "ping", "pong", "error"]) | _json},
        optional={"channel": st.sampled_from(["trades", "positions", "alerts"]) | _json, "since": _json},
    ).map(json.dumps),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(messages=st.lists(_messages, min_size=1, max_size=8))
async def test_no_message_breaks_a_connection(server: SocketServer, messages: list[str | bytes]) -> None:
    client: SocketClient = await server.signed_in("usr_fuzz")
    for message in messages:
        await client.connection.send(message)
    await client.say(type="ping", mark="last")
    assert await client.until("pong") == {"type": "pong"}
    await client.connection.close()
    hub = server.platform.deps("notifier").hub
    await eventually(lambda: bool(hub.open_connections == 0), "the connection is forgotten")
