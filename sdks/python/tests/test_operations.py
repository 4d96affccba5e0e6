"""Every operation of every group, once with each client, against the running platform."""

from __future__ import annotations

import asyncio
import inspect
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from nija_common.testing.client import PASSWORD
from nija_sdk import (
    AsyncNIJAClient,
    AuthenticationFailed,
    BadRequest,
    Conflict,
    NIJAClient,
    NotFound,
    PermissionDenied,
    Record,
    ServerError,
)

Client = NIJAClient | AsyncNIJAClient
GROUPS = ("auth", "trading", "account", "config", "subscription", "analytics", "admin")


def operations(client: Client) -> set[str]:
    """`group.method` of everything a client has."""
    return {
        f"{group}.{name}"
        for group in GROUPS
        for name, _ in inspect.getmembers(getattr(client, group), inspect.ismethod)
        if not name.startswith("_")
    }


class Calls:
    """Calls methods of either client, and notes which."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.called: set[str] = set()

    async def __call__(self, name: str, *args: Any, **named: Any) -> Any:
        group, method = name.split(".")
        self.called.add(name)
        answer = getattr(getattr(self.client, group), method)(*args, **named)
        if inspect.isawaitable(answer):
            answer = await answer
        assert isinstance(answer, Record)
        return answer


@asynccontextmanager
async def of_kind(kind: str, base_url: str) -> AsyncIterator[Client]:
    if kind == "sync":
        with NIJAClient(base_url=base_url) as client:
            yield client
    else:
        async with AsyncNIJAClient(base_url=base_url) as other:
            yield other


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_every_operation_works_with_both_clients(
    kind: str, base_url: str, administrator: tuple[str, str]
) -> None:
    async with of_kind(kind, base_url) as client, of_kind(kind, base_url) as admin:
        call, by_admin = Calls(client), Calls(admin)
        await by_admin("auth.login", email=administrator[0], password=administrator[1])
        user_id = await as_a_new_user(call)
        await as_a_trader(call)
        await as_a_payer(call)
        await as_an_administrator(by_admin, user_id)
        await leave(call)
        assert call.called | by_admin.called == operations(client)


async def as_a_new_user(call: Calls) -> str:
    email = f"u{secrets.token_hex(6)}@nija.example"
    user = await call("auth.register", email=email, password=PASSWORD, full_name="Ada Trader", accept_terms=True)
    session = await call("auth.login", email=email, password=PASSWORD)
    assert session.user.email == session["user"]["email"] == email
    assert call.client.api_key == session.access_token
    await call("auth.refresh", refresh_token=session.refresh_token)
    await call("auth.change_password", current_password=PASSWORD, new_password="Silver-Lantern-Orchard-93")
    await call("auth.reset_password", email=email)
    await refused(
        AuthenticationFailed,
        call("auth.confirm_reset_password", token="0" * 43, new_password="Willow-Copper-Harbour-55"),
    )
    return str(user.user_id)


async def as_a_trader(call: Calls) -> None:
    assert (await call("config.settings")).trading.paper_trading is True
    changed = await call("config.update_settings", trading={"allowed_pairs": ["BTC-USD"]})
    assert changed.updated_fields == ["allowed_pairs"]
    unreachable = call("config.add_broker", broker="coinbase", api_key="organizations/a/apiKeys/b", api_secret="c" * 40)
    await refused((ServerError, BadRequest), unreachable)
    assert (await call("config.brokers")).brokers == []
    await refused(NotFound, call("config.test_broker", "brk_unknown"))
    await refused(NotFound, call("config.remove_broker", "brk_unknown"))
    key = (await call("config.rotate_webhook_key")).webhook_key
    assert (await call("config.webhook_key")).webhook_key_masked != key
    started = await call("trading.start", broker="coinbase", paper_trading=True, idempotency_key="start-once")
    assert started.status == "starting"
    again = await call("trading.start", broker="coinbase", paper_trading=True, idempotency_key="start-once")
    assert again == started
    await refused(Conflict, call("trading.start", broker="kraken", paper_trading=True))
    await call("trading.status")
    await refused(NotFound, call("trading.close_position", "pos_unknown"))
    await call("trading.stop", close_positions=True)
    await call("trading.emergency_stop", reason="drill", close_positions=True)
    await refused(PermissionDenied, call("trading.start", broker="coinbase", paper_trading=True))
    await call("trading.emergency_reset")
    assert (await call("account.positions", symbol="BTC-USD")).positions == []
    assert (await call("account.balance")).paper is True
    assert (await call("account.history", page=1, per_page=5, status="closed")).pagination.page == 1
    await call("account.performance", period="all")
    await call("account.stats")
    await call("analytics.dashboard", mode="paper")
    await call("analytics.trades", group_by="day")
    assert (await call("analytics.export", data_type="trades", format="csv")).download_url


async def as_a_payer(call: Calls) -> None:
    assert (await call("subscription.plans")).plans[0].tier == "free"
    assert (await call("subscription.current")).trial_active is True
    await call("subscription.upgrade", tier="pro", interval="monthly", payment_method_id="pm_card_visa")
    await call("subscription.usage")
    assert (await call("subscription.cancel", reason="enough")).cancel_at_period_end is True


async def as_an_administrator(call: Calls, user_id: str) -> None:
    assert (await call("admin.user", user_id)).user.user_id == user_id
    await call("admin.update_user", user_id, notes="seen")
    assert (await call("admin.users", per_page=1)).pagination.per_page == 1
    await call("admin.metrics")
    await call("admin.audit_logs", user_id=user_id)
    await call("admin.kill_switch", reason="drill", close_all_positions=False)
    await call("admin.release_kill_switch", reason="over")


async def leave(call: Calls) -> None:
    await call("auth.logout", revoke_all=True)
    async with asyncio.timeout(10):
        # The end of a session is everywhere within a second.
        while not await ended(call):
            await asyncio.sleep(0.05)


async def ended(call: Calls) -> bool:
    try:
        await call("subscription.current")
    except AuthenticationFailed as error:
        return error.code == "TOKEN_INVALID"
    return False


async def refused(kind: type[Exception] | tuple[type[Exception], ...], calling: Awaitable[Any]) -> None:
    with pytest.raises(kind):
        await calling


def test_an_error_carries_the_platforms_code_status_details_and_request_id(
    client: NIJAClient, status_of: Callable[[str], int]
) -> None:
    with pytest.raises(BadRequest) as caught:
        client.trading.start(broker="nowhere")
    error = caught.value
    assert (error.code, error.status) == ("UNSUPPORTED_BROKER", 400)
    assert error.message and error.request_id
    with pytest.raises(BadRequest) as wrong:
        client.config.update_settings(trading={"max_concurrent_positions": -1})
    assert "trading.max_concurrent_positions" in wrong.value.details
    assert status_of("TOKEN_INVALID") == 401


@pytest.fixture
def status_of(base_url: str) -> Callable[[str], int]:
    """The status that came with an error code of a call without a token."""

    def ask(code: str) -> int:
        with NIJAClient(base_url=base_url) as nobody, pytest.raises(AuthenticationFailed) as caught:
            nobody.account.balance()
        assert caught.value.code == code
        return caught.value.status

    return ask
