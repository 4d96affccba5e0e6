"""The channel `alerts`: what stops a user's trading, when it happens and to whoever comes later."""

from __future__ import annotations

from typing import Any

import pytest

from nija_common.events.payments import InvoicePaid, InvoicePaymentFailed
from nija_common.events.subscriptions import SubscriptionSnapshot
from nija_common.events.trading import BotStatusChanged, KillSwitchSnapshot
from nija_common.testing.events import example_of
from nija_common.testing.sockets import SocketClient, SocketServer

ADMIN = "usr_admin_canary"


def switch(scope: str, active: bool, **changes: Any) -> KillSwitchSnapshot:
    return example_of(KillSwitchSnapshot, **{"scope": scope, "active": active, "by": ADMIN, **changes})


def paid(user_id: str, status: str) -> SubscriptionSnapshot:
    return example_of(SubscriptionSnapshot, user_id=user_id, status=status)


async def alerted(client: SocketClient) -> dict[str, Any]:
    message = await client.hear()
    assert (message["type"], message["channel"]) == ("alert", "alerts")
    data: dict[str, Any] = message["data"]
    assert {"kind", "message", "severity", "timestamp"} <= set(data)
    return data


async def test_the_users_own_switch_is_told_to_them_alone_and_an_administrators_id_to_nobody(
    server: SocketServer,
) -> None:
    mine, other = await server.signed_in("usr_a", "alerts"), await server.signed_in("usr_b", "alerts")
    await server.platform.given_events(switch("usr_a", True, reason="Panic", close_positions=True))
    tripped = await alerted(mine)
    assert (tripped["kind"], tripped["severity"]) == ("kill_switch_tripped", "critical")
    assert (tripped["scope"], tripped["reason"], tripped["close_positions"]) == ("user", "Panic", True)
    assert ADMIN not in str(tripped)
    await server.platform.given_events(switch("usr_a", True), switch("usr_a", False))
    assert (await alerted(mine))["kind"] == "kill_switch_released"
    assert await mine.silent()
    assert await other.silent()


async def test_the_global_switch_is_told_to_everybody_who_follows(server: SocketServer) -> None:
    clients = [await server.signed_in(f"usr_{n}", "alerts") for n in range(3)]
    not_following = await server.signed_in("usr_0", "trades")
    await server.platform.given_events(switch("global", True), switch("global", False))
    for client in clients:
        assert [(await alerted(client))["kind"] for _ in range(2)] == ["kill_switch_tripped", "kill_switch_released"]
    assert await not_following.silent()


async def test_whoever_subscribes_is_told_at_once_what_is_wrong_now(server: SocketServer) -> None:
    await server.platform.given_events(
        switch("global", True),
        switch("usr_a", True),
        switch("usr_b", True),
        switch("usr_c", True),
        paid("usr_a", "past_due"),
    )
    client = await server.signed_in("usr_a", "alerts")
    told = [await alerted(client) for _ in range(3)]
    assert [(t["kind"], t.get("scope")) for t in told] == [
        ("kill_switch_tripped", "global"),
        ("kill_switch_tripped", "user"),
        ("payment_failed", None),
    ]
    await server.platform.given_events(switch("global", False), switch("usr_b", False))
    assert await (await server.signed_in("usr_b", "alerts")).silent()


async def test_a_payment_that_fails_and_is_made_good_is_told_once_each(server: SocketServer) -> None:
    client = await server.signed_in("usr_a", "alerts")
    await server.platform.given_events(
        example_of(InvoicePaymentFailed, user_id="usr_a"), paid("usr_a", "past_due"), paid("usr_a", "past_due")
    )
    failed = await alerted(client)
    assert (failed["kind"], failed["reason"], failed["amount"]) == (
        "payment_failed",
        "The card was declined.",
        "149.00 USD",
    )
    await server.platform.given_events(
        example_of(InvoicePaid, user_id="usr_a"), paid("usr_a", "active"), paid("usr_a", "active")
    )
    assert (await alerted(client))["kind"] == "payment_settled"
    assert await client.silent()


@pytest.mark.parametrize(("status", "kind"), [("error", "bot_error"), ("paused", "bot_paused")])
async def test_a_bot_that_cannot_go_on_is_told_with_its_reason(server: SocketServer, status: str, kind: str) -> None:
    client = await server.signed_in("usr_a", "alerts")
    await server.platform.given_events(
        example_of(BotStatusChanged, user_id="usr_a", status="running"),
        example_of(BotStatusChanged, user_id="usr_a", status=status, reason="The broker failed 5 times in a row."),
        example_of(BotStatusChanged, user_id="usr_b", status=status, reason="Somebody else's."),
    )
    told = await alerted(client)
    assert (told["kind"], told["reason"]) == (kind, "The broker failed 5 times in a row.")
    assert await client.silent()


async def test_alerts_of_an_unsubscribed_client_end(server: SocketServer) -> None:
    client = await server.signed_in("usr_a", "alerts")
    await client.say(type="unsubscribe", channel="alerts")
    assert await client.hear() == {"type": "unsubscribed", "channel": "alerts"}
    await server.platform.given_events(switch("usr_a", True))
    assert await client.silent()
