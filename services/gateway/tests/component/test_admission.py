"""Who is let in: tokens, roles, standing, revocation, and what is asked first."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from nija_common.storage.unit_of_work import Work
from nija_common.values.tiers import Tier
from nija_gateway.domain.standing import CAPACITY

BALANCE = "/api/v1/account/balance"


@pytest.fixture
def gateway(either: Any) -> Any:
    return either


def code(answer: Any) -> str:
    body = answer.json()
    assert body["success"] is False
    assert body["timestamp"].endswith("Z")
    assert isinstance(body["error"]["details"], dict)
    return str(body["error"]["code"])


async def test_a_call_without_a_token_is_refused_and_reaches_no_service(gateway: Any) -> None:
    answer = await gateway.client().get(BALANCE)
    assert (answer.status_code, code(answer)) == (401, "TOKEN_INVALID")
    assert "x-ratelimit-limit" not in answer.headers
    assert not gateway.toy.seen


async def test_two_authorization_headers_are_believed_neither(gateway: Any) -> None:
    token = gateway.platform.token("usr_a")
    headers = [("Authorization", f"Bearer {token}"), ("Authorization", f"Bearer {token}")]
    answer = await gateway.client().get(BALANCE, headers=headers)
    assert (answer.status_code, code(answer)) == (401, "TOKEN_INVALID")


async def test_get_account_balance__token_expired(gateway: Any) -> None:
    """An expired token says so."""
    client = gateway.client("usr_a")
    gateway.clock.advance(86_401)
    assert code(await client.get(BALANCE)) == "TOKEN_EXPIRED"


async def test_the_token_goes_inward_unchanged(gateway: Any) -> None:
    token = gateway.platform.token("usr_a")
    answer = await gateway.platform.client("gateway", token).get(BALANCE)
    assert answer.status_code == 200
    assert gateway.toy.seen[0].header("authorization") == f"Bearer {token}"


@pytest.mark.parametrize("path", ["/api/v1/admin/kill-switch", "/api/v1/admin/no-such-thing", "/api/v1/admin"])
async def test_admin_paths_ask_for_token_then_role_then_route(gateway: Any, path: str) -> None:
    assert (await gateway.client().post(path)).status_code == 401
    refused = await gateway.client("usr_a").post(path)
    assert (refused.status_code, code(refused)) == (403, "UNAUTHORIZED")
    assert "x-ratelimit-limit" in refused.headers
    known = path.endswith("kill-switch")
    assert (await gateway.client("usr_root", role="admin").post(path)).status_code == (200 if known else 404)


async def test_an_unknown_method_under_admin_is_405_for_administrators_only(gateway: Any) -> None:
    path = "/api/v1/admin/kill-switch"
    assert (await gateway.client().put(path)).status_code == 401
    assert (await gateway.client("usr_a").put(path)).status_code == 403
    answer = await gateway.client("usr_root", role="admin").put(path)
    assert (answer.status_code, answer.headers["allow"]) == (405, "DELETE, OPTIONS, POST")


async def test_a_new_account_has_its_trial_limit_before_any_event_arrives(gateway: Any) -> None:
    answer = await gateway.client("usr_new").get(BALANCE)
    assert (answer.status_code, answer.headers["x-ratelimit-limit"]) == (200, "100")


async def test_an_older_account_that_is_not_known_is_503_and_never_a_guess(gateway: Any) -> None:
    long_ago = gateway.clock.now_ms() - 600_000
    client = gateway.client("usr_old", registered_at_ms=long_ago)
    for _ in range(2):
        answer = await client.get(BALANCE)
        assert (answer.status_code, code(answer)) == (503, "SERVICE_UNAVAILABLE")
    await gateway.known("usr_old", Tier.BASIC)
    answer = await client.get(BALANCE)
    assert (answer.status_code, answer.headers["x-ratelimit-limit"]) == (200, "30")


async def test_the_store_answers_for_accounts_that_memory_has_forgotten(gateway: Any) -> None:
    await gateway.known("usr_a", Tier.BASIC)
    for number in range(CAPACITY):
        gateway.platform.deps("gateway").standings.put(f"usr_{number}")
    assert gateway.platform.deps("gateway").standings.find("usr_a") is None
    answer = await gateway.client("usr_a", registered_at_ms=0).get(BALANCE)
    assert (answer.status_code, answer.headers["x-ratelimit-limit"]) == (200, "30")


async def test_get_account_balance__account_suspended(gateway: Any) -> None:
    await refused_by_an_administrator(gateway, "suspended", "ACCOUNT_SUSPENDED")


async def test_get_account_balance__account_disabled(gateway: Any) -> None:
    await refused_by_an_administrator(gateway, "disabled", "ACCOUNT_DISABLED")


async def refused_by_an_administrator(gateway: Any, status: str, wanted: str) -> None:
    """The verdict refuses every call, and only while it lasts."""
    await gateway.known("usr_a")
    client = gateway.client("usr_a")
    assert (await client.get(BALANCE)).status_code == 200
    await gateway.known("usr_a", status=status)
    answer = await client.get(BALANCE)
    assert (answer.status_code, code(answer)) == (403, wanted)
    await gateway.known("usr_a", status="active")
    assert (await client.get(BALANCE)).status_code == 200


async def test_suspension_for_payment_is_not_the_gateways_to_refuse(gateway: Any) -> None:
    await gateway.known("usr_a")
    overdue = gateway.subscription("usr_a", Tier.BASIC).model_copy(update={"status": "past_due"})
    await gateway.platform.given_events(overdue, source="billing")
    assert (await gateway.client("usr_a").get(BALANCE)).status_code == 200


async def test_logout_ends_that_session_only(gateway: Any) -> None:
    one, two = gateway.client("usr_a", session_id="ses_1"), gateway.client("usr_a", session_id="ses_2")
    assert (await one.get(BALANCE)).status_code == 200
    await gateway.platform.given_events(gateway.revoked("usr_a", session_id="ses_1"), source="auth")
    refused = await one.get(BALANCE)
    assert (refused.status_code, code(refused)) == (401, "TOKEN_INVALID")
    assert "x-ratelimit-limit" not in refused.headers
    assert (await two.get(BALANCE)).status_code == 200


async def test_ending_all_sessions_spares_those_begun_later(gateway: Any) -> None:
    now = gateway.clock.now_ms()
    await gateway.platform.given_events(gateway.revoked("usr_a", until_ms=now), source="auth")
    assert (await gateway.client("usr_a", session_at_ms=now).get(BALANCE)).status_code == 401
    assert (await gateway.client("usr_a", session_at_ms=now + 1).get(BALANCE)).status_code == 200
    assert (await gateway.client("usr_b", session_at_ms=now).get(BALANCE)).status_code == 200


async def test_the_snapshot_ends_sessions_too(gateway: Any) -> None:
    now = gateway.clock.now_ms()
    await gateway.known("usr_a", tokens_valid_after_ms=now)
    assert (await gateway.client("usr_a", session_at_ms=now).get(BALANCE)).status_code == 401
    assert (await gateway.client("usr_a", session_at_ms=now + 1).get(BALANCE)).status_code == 200


async def test_logout_bites_within_a_second(gateway: Any) -> None:
    client = gateway.client("usr_a", session_id="ses_1")
    assert (await client.get(BALANCE)).status_code == 200
    node = gateway.platform.node
    work = Work(node.infrastructure.storage_of("auth"), node.infrastructure.bus, gateway.clock, "auth")
    uow = work.open()
    uow.emit(gateway.revoked("usr_a", session_id="ses_1"))
    await work.commit(uow)
    async with asyncio.timeout(1):
        while (await client.get(BALANCE)).status_code != 401:
            await asyncio.sleep(0.02)


async def test_revocations_of_the_last_25_hours_are_read_at_the_start(start: Any, clock: Any) -> None:
    async with start() as first:
        await first.platform.given_events(first.revoked("usr_a", session_id="ses_1"), source="auth")
    clock.advance(23 * 3600)
    async with start() as second:
        answer = await second.client("usr_a", session_id="ses_1").get(BALANCE)
        assert (answer.status_code, code(answer)) == (401, "TOKEN_INVALID")
