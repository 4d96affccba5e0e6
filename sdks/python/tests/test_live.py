"""The live socket against the running platform: messages, a killed platform, a token that is refused."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from nija_common.testing.client import ApiClient
from nija_common.testing.platforms import Embedded, wait_for
from nija_sdk import AsyncNIJAClient, AuthenticationFailed, NIJAClient, NIJAError, Record
from nija_sdk.live import Conversation


def test_trades_and_positions_come_to_their_handlers(client: NIJAClient, alert: Callable[[str], None]) -> None:
    trades: list[Any] = []
    positions: list[Any] = []
    client.ws.on("trade_executed")(trades.append)
    client.ws.connect()
    client.ws.on("position_update")(positions.append)
    alert("buy")
    wait_for("a trade and a position", lambda: trades and positions)
    assert isinstance(positions[0], Record)
    assert trades[0].action == "opened"
    assert positions[0].symbol == "BTC-USD"
    client.ws.close()


def test_after_the_platform_was_killed_the_socket_goes_on_where_it_was(
    client: NIJAClient, alert: Callable[[str], None], platform: Embedded, account: ApiClient
) -> None:
    trades: list[Any] = []
    client.ws.on("trade_executed")(trades.append)
    client.ws.connect()
    alert("buy")
    wait_for("the entry", lambda: len(trades) == 1)
    platform.process.kill()
    platform.start()
    wait_for("the bot runs again", lambda: account.get("/trading/status").status == 200, every=0.2)
    alert("close")
    wait_for("the exit, on the socket of before", lambda: len(trades) == 2)
    assert [trade.action for trade in trades] == ["opened", "closed"]
    client.ws.close()


async def test_what_happens_while_the_socket_is_away_is_told_once_it_is_back(
    account: ApiClient, base_url: str, alert: Callable[[str], None]
) -> None:
    async with AsyncNIJAClient(api_key=account.token, base_url=base_url) as client:
        trades: asyncio.Queue[Any] = asyncio.Queue()

        @client.ws.on("trade_executed")
        async def keep(data: Any) -> None:
            await trades.put(data)

        await client.ws.connect()
        await asyncio.to_thread(alert, "buy")
        opened = await trades.get()
        await client.ws.close()
        await asyncio.to_thread(alert, "close")
        await asyncio.to_thread(wait_for, "the exit", lambda: not account.ok("GET", "/account/positions")["positions"])
        await client.ws.connect()
        closed = await trades.get()
        assert (opened.action, closed.action) == ("opened", "closed")
        assert trades.empty()


async def test_the_async_socket_subscribes_for_handlers_that_come_later(
    account: ApiClient, base_url: str, alert: Callable[[str], None]
) -> None:
    async with AsyncNIJAClient(api_key=account.token, base_url=base_url) as client:
        await client.ws.connect()
        seen = asyncio.Event()
        client.ws.on("position_update")(lambda _: seen.set())
        await asyncio.to_thread(alert, "buy")
        await seen.wait()


def test_a_refused_token_is_renewed_and_one_that_cannot_be_is_an_error(account: ApiClient, base_url: str) -> None:
    with NIJAClient(base_url=base_url) as signed_in:
        session = signed_in.auth.login(email=account.email, password="Copper-Meadow-Station-42")
    with NIJAClient("not a token", refresh_token=session.refresh_token, base_url=base_url) as client:
        client.ws.connect()
        assert client.api_key not in (None, "not a token")
        client.ws.connect()
    with NIJAClient("not a token", base_url=base_url) as nobody, pytest.raises(AuthenticationFailed):
        nobody.ws.connect()


def test_a_session_that_is_ended_ends_the_socket_and_tells_its_handler(client: NIJAClient, account: ApiClient) -> None:
    errors: list[Any] = []
    client.ws.on("error")(errors.append)
    client.ws.connect()
    account.ok("POST", "/auth/logout", {"revoke_all": True})
    client.ws.wait(30)
    assert errors[-1].code == "TOKEN_INVALID"


def test_a_handler_that_fails_does_not_end_the_socket(
    client: NIJAClient, alert: Callable[[str], None], caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[Any] = []

    @client.ws.on("trade_executed")
    def fail(_: Any) -> None:
        raise RuntimeError("mine")

    client.ws.on("trade_executed")(seen.append)
    client.ws.connect()
    alert("buy")
    alert("close")
    wait_for("both trades", lambda: len(seen) == 2)
    client.ws.close()
    assert "a handler of the live socket failed" in caplog.text


def test_a_message_type_that_does_not_exist_is_refused(client: NIJAClient) -> None:
    with pytest.raises(NIJAError, match="position_update"):
        client.ws.on("positions")


def test_a_subscription_says_since_where_the_channel_was_heard_of_and_after_resync_no_more() -> None:
    talk = Conversation()
    talk.on("trade_executed", print)
    assert json.loads(talk.subscriptions()[0]) == {"type": "subscribe", "channel": "trades"}
    talk.heard('{"type": "trade_executed", "channel": "trades", "id": 7, "data": {}}')
    assert json.loads(talk.subscriptions()[0]) == {"type": "subscribe", "channel": "trades", "since": 7}
    talk.heard('{"type": "resync", "channel": "trades"}')
    assert "since" not in json.loads(talk.subscriptions()[0])
