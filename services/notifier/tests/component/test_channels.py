"""What followers are told: trades, positions from their read model and from the bus, marks, the end of a session."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest

from nija_common.errors import unavailable
from nija_common.events.identity import SessionRevoked, UserSnapshot
from nija_common.events.trading import (
    MarketMarked,
    PositionChanged,
    PositionClosed,
    PositionOpened,
    TradeAccepted,
    TradeCancelled,
    TradeClosed,
    TradeOpened,
    TradeReduced,
)
from nija_common.runtime.platform import Platform
from nija_common.testing import TestPlatform, start_platform
from nija_common.testing.events import example_of
from nija_common.testing.sockets import SocketServer, socket_server
from nija_common.values.clock import ManualClock
from nija_notifier import wiring
from nija_notifier.domain.positions import OpenPosition
from nija_notifier.service import SERVICE
from nija_notifier.settings import NotifierSettings
from nija_notifier.store import Positions

T0 = 1769683320000


async def test_a_trade_is_told_with_its_offset_and_the_contracts_fields(server: SocketServer) -> None:
    client = await server.signed_in("usr_a", "trades")
    platform = server.platform
    await platform.given_events(example_of(TradeAccepted, user_id="usr_a"), example_of(TradeOpened, user_id="usr_a"))
    told = await client.hear()
    (opened,) = await platform.received(TradeOpened)
    assert (told["type"], told["channel"], told["id"]) == ("trade_executed", "trades", opened.offset)
    assert told["data"] == {
        "trade_id": opened.event.trade_id,
        "action": "opened",
        "symbol": "BTC-USD",
        "side": "long",
        "broker": "coinbase",
        "paper": True,
        "position_id": opened.event.position_id,
        "entry_price": 43210.5,
        "quantity": 0.01157,
        "size_usd": 499.95,
        "fees": 3.0,
        "source": "strategy",
        "timestamp": "2026-01-29T10:42:00Z",
    }


async def test_reductions_closes_and_cancellations_are_told_in_order_with_their_reason(server: SocketServer) -> None:
    client = await server.signed_in("usr_a", "trades")
    await server.platform.given_events(
        example_of(TradeReduced, user_id="usr_a"),
        example_of(TradeClosed, user_id="usr_a"),
        example_of(TradeCancelled, user_id="usr_a"),
    )
    reduced, closed, cancelled = [await client.hear() for _ in range(3)]
    assert reduced["id"] < closed["id"] < cancelled["id"]
    assert (reduced["data"]["action"], reduced["data"]["reason"]) == ("reduced", "take_profit")
    assert (reduced["data"]["exit_price"], reduced["data"]["realized_pnl"]) == (43650.0, 0.21)
    assert (closed["data"]["action"], closed["data"]["reason"]) == ("closed", "trailing_stop")
    assert (closed["data"]["entry_price"], closed["data"]["exit_price"]) == (43210.5, 43650.0)
    assert (cancelled["data"]["action"], cancelled["data"]["reason"]) == ("cancelled", "expired")
    assert (cancelled["data"]["entry_price"], cancelled["data"]["size_usd"]) == (None, 0.0)


async def test_nobody_is_told_of_another_users_trades_and_positions(server: SocketServer) -> None:
    mine = await server.signed_in("usr_a", "trades", "positions")
    other = await server.signed_in("usr_b", "trades", "positions")
    await other.say(type="subscribe", channel="positions", user_id="usr_a")
    assert await other.hear() == {"type": "subscribed", "channel": "positions"}
    await server.platform.given_events(
        example_of(TradeOpened, user_id="usr_a"),
        example_of(PositionOpened, user_id="usr_a"),
        example_of(MarketMarked, price=50000.0, at_ms=T0 + 1),
    )
    assert (await mine.until("position_update"))["data"]["position_id"]
    assert await other.silent()


async def test_every_tab_that_follows_is_told_and_an_unsubscribed_one_is_not(server: SocketServer) -> None:
    tabs = [await server.signed_in("usr_a", "trades", "positions") for _ in range(3)]
    for channel in ("trades", "positions"):
        await tabs[2].say(type="unsubscribe", channel=channel)
        await tabs[2].hear()
    await server.platform.given_events(
        example_of(TradeOpened, user_id="usr_a"), example_of(PositionOpened, user_id="usr_a")
    )
    for tab in tabs[:2]:
        assert {(await tab.hear())["type"] for _ in range(2)} == {"trade_executed", "position_update"}
    assert await tabs[2].silent()


async def test_positions_begin_with_an_update_for_each_open_position(server: SocketServer) -> None:
    await server.platform.given_events(
        example_of(PositionOpened, user_id="usr_a", position_id="pos_1", opened_at_ms=T0),
        example_of(PositionOpened, user_id="usr_a", position_id="pos_2", symbol="ETH-USD", opened_at_ms=T0 + 1),
        example_of(PositionOpened, user_id="usr_a", position_id="pos_3", opened_at_ms=T0 + 2),
        example_of(PositionClosed, user_id="usr_a", position_id="pos_3"),
        example_of(PositionOpened, user_id="usr_b", position_id="pos_4"),
    )
    client = await server.signed_in("usr_a", "positions")
    told = [await client.hear() for _ in range(2)]
    assert [t["data"]["position_id"] for t in told] == ["pos_1", "pos_2"]
    assert await client.silent()


async def test_a_position_update_has_the_contracts_fields_and_moves_with_marks(server: SocketServer) -> None:
    client = await server.signed_in("usr_a", "positions")
    await server.platform.given_events(example_of(PositionOpened, user_id="usr_a", position_id="pos_1"))
    assert (await client.hear())["data"]["unrealized_pnl"] == 0.0
    await server.platform.given_events(example_of(MarketMarked, price=43650.0, at_ms=T0 + 60_000))
    assert await client.hear() == {
        "type": "position_update",
        "channel": "positions",
        "data": {
            "position_id": "pos_1",
            "status": "open",
            "symbol": "BTC-USD",
            "side": "long",
            "broker": "coinbase",
            "paper": True,
            "quantity": 0.01157,
            "size_usd": 499.95,
            "entry_price": 43210.5,
            "current_price": 43650.0,
            "unrealized_pnl": 5.09,
            "unrealized_pnl_pct": 1.0171,
            "stop_loss": 42800.0,
            "take_profit": 44500.0,
            "protected": True,
            "opened_at": "2026-01-29T10:42:00Z",
            "timestamp": "2026-01-29T10:43:00Z",
        },
    }


async def test_a_mark_of_another_broker_or_an_older_one_moves_nothing(server: SocketServer) -> None:
    client = await server.signed_in("usr_a", "positions")
    await server.platform.given_events(example_of(PositionOpened, user_id="usr_a", at_ms=T0))
    await client.hear()
    await server.platform.given_events(
        example_of(MarketMarked, broker="kraken", at_ms=T0 + 1), example_of(MarketMarked, price=1.0, at_ms=T0 - 1)
    )
    assert await client.silent()


async def test_a_closed_position_has_a_last_update_that_says_so(server: SocketServer) -> None:
    client = await server.signed_in("usr_a", "positions")
    platform = server.platform
    await platform.given_events(example_of(PositionOpened, user_id="usr_a", position_id="pos_1"))
    await client.hear()
    await platform.given_events(example_of(PositionChanged, user_id="usr_a", position_id="pos_1", quantity="0.005"))
    assert (await client.hear())["data"]["quantity"] == 0.005
    await platform.given_events(example_of(PositionClosed, user_id="usr_a", position_id="pos_1", at_ms=T0 + 10_000_000))
    data = (await client.hear())["data"]
    assert (data["status"], data["quantity"], data["unrealized_pnl"]) == ("closed", 0.0, 0.0)
    assert data["timestamp"] == "2026-01-29T13:28:40Z"
    await platform.given_events(example_of(MarketMarked, at_ms=T0 + 20_000_000))
    assert await client.silent()


async def test_a_second_tab_sees_the_same_book_at_its_newest_price(server: SocketServer) -> None:
    await server.signed_in("usr_a", "positions")
    await server.platform.given_events(
        example_of(PositionOpened, user_id="usr_a"), example_of(MarketMarked, price=44000.0, at_ms=T0 + 5)
    )
    second = await server.signed_in("usr_a", "positions")
    assert (await second.hear())["data"]["current_price"] == 44000.0


async def test_the_read_model_keeps_open_positions_as_they_are_now_and_drops_closed_ones(
    platform: TestPlatform,
) -> None:
    await platform.given_events(
        example_of(PositionOpened, user_id="usr_a", position_id="pos_1"),
        example_of(PositionChanged, user_id="usr_a", position_id="pos_1", quantity="0.5"),
        example_of(PositionOpened, user_id="usr_a", position_id="pos_2"),
        example_of(PositionClosed, user_id="usr_a", position_id="pos_2"),
        example_of(PositionClosed, user_id="usr_a", position_id="pos_never_seen"),
    )
    kept: list[OpenPosition] = await platform.deps("notifier").positions.of_user("usr_a")
    assert [(p.id, p.quantity) for p in kept] == [("pos_1", 50_000_000)]


async def test_prices_of_the_last_hour_are_known_after_a_restart(tmp_path: Path, clock: ManualClock) -> None:
    async with start_platform(tmp_path, [SERVICE], clock=clock) as platform:
        await platform.given_events(
            example_of(PositionOpened, user_id="usr_a"), example_of(MarketMarked, price=44000.0, at_ms=T0 + 1)
        )
    clock.advance(600)
    async with start_platform(tmp_path, [SERVICE], clock=clock) as platform, socket_server(platform, "notifier") as s:
        client = await s.signed_in("usr_a", "positions")
        assert (await client.hear())["data"]["current_price"] == 44000.0


@pytest.mark.parametrize(
    ("session_id", "revoked_until_ms"), [("ses_test", None), (None, T0)], ids=["one session", "every session"]
)
async def test_an_ended_session_closes_its_sockets_within_a_second(
    server: SocketServer, session_id: str | None, revoked_until_ms: int | None
) -> None:
    mine = [await server.signed_in("usr_a", "trades"), await server.signed_in("usr_a")]
    other = await server.signed_in("usr_b", "trades", session_id="ses_other")
    token = server.platform.token("usr_a")
    revoked = example_of(SessionRevoked, user_id="usr_a", session_id=session_id, revoked_until_ms=revoked_until_ms)
    async with asyncio.timeout(1.0):
        await server.platform.given_events(revoked, source="auth")
        for client in mine:
            assert (await client.hear())["error"]["code"] == "TOKEN_INVALID"
            assert await client.closed() == 4401
    assert await other.silent()
    again = await server.connect()
    assert (await again.sign_in(token))["error"]["code"] == "TOKEN_INVALID"
    assert await again.closed() == 4401


async def test_another_session_of_the_same_user_goes_on(server: SocketServer) -> None:
    ended = await server.signed_in("usr_a", session_id="ses_1")
    stays = await server.signed_in("usr_a", session_id="ses_2")
    await server.platform.given_events(example_of(SessionRevoked, user_id="usr_a", session_id="ses_1"))
    assert await ended.closed() == 4401
    assert await stays.silent()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"status": "suspended"}, "ACCOUNT_SUSPENDED"),
        ({"status": "disabled"}, "ACCOUNT_DISABLED"),
        ({"tokens_valid_after_ms": T0 + 1}, "TOKEN_INVALID"),
    ],
)
async def test_a_user_who_may_not_go_on_is_closed_and_not_let_in_again(
    server: SocketServer, changes: dict[str, object], code: str
) -> None:
    client = await server.signed_in("usr_a", "trades")
    token = server.platform.token("usr_a")
    await server.platform.given_events(example_of(UserSnapshot, user_id="usr_a", **changes))
    assert (await client.hear())["error"]["code"] == code
    assert await client.closed() == 4401
    again = await server.connect()
    assert (await again.sign_in(token))["error"]["code"] == code
    assert await again.closed() == 4401


async def test_an_end_of_session_is_known_after_a_restart_for_as_long_as_a_token_lives(
    tmp_path: Path, clock: ManualClock
) -> None:
    async with start_platform(tmp_path, [SERVICE], clock=clock) as platform:
        await platform.given_events(example_of(SessionRevoked, user_id="usr_a", session_id="ses_test"))
    clock.advance(23 * 3600)
    async with start_platform(tmp_path, [SERVICE], clock=clock) as platform, socket_server(platform, "notifier") as s:
        client = await s.connect()
        answer = await client.sign_in(platform.token("usr_a", session_at_ms=T0))
        assert answer["error"]["code"] == "TOKEN_INVALID"


async def test_while_the_read_model_lags_behind_a_client_is_shown_what_is_known(
    tmp_path: Path, clock: ManualClock
) -> None:
    async with start_platform(tmp_path, [SERVICE], clock=clock) as platform:
        await platform.given_events(
            example_of(PositionOpened, user_id="usr_a", position_id="pos_1"),
            example_of(PositionOpened, user_id="usr_a", position_id="pos_2"),
        )
    only_api = {"notifier": ["api"]}
    async with (
        start_platform(tmp_path, [SERVICE], clock=clock, roles=only_api) as platform,
        socket_server(platform, "notifier") as s,
    ):
        await platform.given_events(example_of(PositionClosed, user_id="usr_a", position_id="pos_1"))
        client = await s.signed_in("usr_a", "positions")
        first = [(await client.hear())["data"]["position_id"] for _ in range(2)]
        assert sorted(first) == ["pos_1", "pos_2"]
        await platform.given_events(example_of(PositionClosed, user_id="usr_a", position_id="pos_2"))
        last = (await client.hear())["data"]
        assert (last["position_id"], last["status"]) == ("pos_2", "closed")


@dataclass
class Flaky:
    """Positions of a store that cannot be reached for its first reads of a user."""

    positions: Positions
    failures: int

    async def get(self, position_id: str) -> OpenPosition | None:
        return await self.positions.get(position_id)

    async def of_user(self, user_id: str) -> list[OpenPosition]:
        if self.failures:
            self.failures -= 1
            raise unavailable("The database cannot be reached.")
        return await self.positions.of_user(user_id)


async def test_a_store_that_is_away_is_waited_for_while_the_socket_lives_on(tmp_path: Path, clock: ManualClock) -> None:
    @asynccontextmanager
    async def build(settings: NotifierSettings, platform: Platform) -> AsyncIterator[Any]:
        async with wiring.build(settings, platform) as deps:
            yield replace(deps, positions=cast(Positions, Flaky(deps.positions, failures=2)))

    service = replace(SERVICE, build=build)
    async with start_platform(tmp_path, [service], clock=clock) as platform, socket_server(platform, "notifier") as s:
        await platform.given_events(example_of(PositionOpened, user_id="usr_a", position_id="pos_1"))
        client = await s.signed_in("usr_a", "positions")
        assert await client.silent()
        assert (await client.hear())["data"]["position_id"] == "pos_1"
