"""`GET /admin/users` and `/admin/users/{user_id}` over HTTP, from what auth, billing, trading and the gateway say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nija_common.events.administration import ApiUsageCounted
from nija_common.events.base import Event
from nija_common.events.deliveries import AuditRecorded
from nija_common.events.identity import UserSnapshot
from nija_common.events.subscriptions import SubscriptionSnapshot
from nija_common.events.trading import (
    BotStatusChanged,
    BrokerConnected,
    BrokerRemoved,
    PositionClosed,
    PositionOpened,
    TradeClosed,
)
from nija_common.testing import TestPlatform
from nija_common.testing.events import example_of
from nija_common.values.clock import ManualClock
from nija_common.values.times import iso

DAY = 86_400_000
ROUTES = ["/users", "/users/usr_ada", "/metrics", "/audit-logs"]


async def get(platform: TestPlatform, path: str, *, role: str = "admin") -> Any:
    client = platform.client("analytics", platform.token("usr_root", role=role))
    answer = await client.get(f"/api/v1/admin{path}")
    return answer.json()["data"] if answer.status_code == 200 else (answer.status_code, answer.json()["error"]["code"])


async def ids(platform: TestPlatform, query: str) -> list[str]:
    return [user["user_id"] for user in (await get(platform, f"/users{query}"))["users"]]


def person(user_id: str, email: str, at_ms: int = 1_769_683_320_000, **changes: Any) -> UserSnapshot:
    fields = {"user_id": user_id, "email": email, "registered_at_ms": at_ms, **changes}
    return example_of(UserSnapshot, **fields)


def paying(user_id: str, tier: str, **changes: Any) -> SubscriptionSnapshot:
    fields = {"status": "active", "interval": "monthly", "amount_cents": 9900, "trial_ends_at_ms": None}
    return example_of(SubscriptionSnapshot, user_id=user_id, tier=tier, **{**fields, **changes})


@pytest.fixture
async def four(platform: TestPlatform) -> TestPlatform:
    """Ada pays for Pro; Bea's payment failed; Cleo is free and suspended; Dora is free and disabled."""
    await platform.given_events(
        person("usr_ada", "Ada.Adams@mail.example.com", 1_000),
        person("usr_bea", "bea@adams.example", 2_000),
        person("usr_cleo", "cleo@mail.example.com", 3_000, status="suspended"),
        person("usr_dora", "dora_m@example.org", 4_000, status="disabled"),
        source="auth",
    )
    await platform.given_events(
        paying("usr_ada", "pro"), paying("usr_bea", "basic", status="past_due"), source="billing"
    )
    return platform


async def test_accounts_are_listed_newest_first_with_what_each_service_says(four: TestPlatform) -> None:
    answer = await get(four, "/users")
    shown = [(user["user_id"], user["subscription_tier"], user["status"]) for user in answer["users"]]
    assert shown == [
        ("usr_dora", "free", "disabled"),
        ("usr_cleo", "free", "suspended"),
        ("usr_bea", "basic", "suspended"),
        ("usr_ada", "pro", "active"),
    ]
    assert answer["users"][3] == {
        "user_id": "usr_ada",
        "email": "Ada.Adams@mail.example.com",
        "full_name": "John Doe",
        "subscription_tier": "pro",
        "status": "active",
        "total_trades": 0,
        "total_pnl": 0.0,
        "joined_at": "1970-01-01T00:00:01Z",
        "last_active": None,
    }
    assert answer["pagination"]["total_items"] == 4


async def test_search_tier_and_status_combine(four: TestPlatform) -> None:
    for query, found in (
        ("?search=usr_cleo", ["usr_cleo"]),
        ("?search=cleo%40mail.example.com", ["usr_cleo"]),
        ("?search=ADA.", ["usr_ada"]),
        ("?search=adams", ["usr_bea", "usr_ada"]),
        ("?search=ada", ["usr_ada", "usr_bea"]),
        ("?search=mail.example", ["usr_ada", "usr_cleo"]),
        ("?search=m", ["usr_dora", "usr_ada", "usr_cleo"]),
        ("?search=xample", []),
        ("?search=usr_c", []),
        ("?search=%20", ["usr_dora", "usr_cleo", "usr_bea", "usr_ada"]),
        ("?tier=free", ["usr_dora", "usr_cleo"]),
        ("?status=suspended", ["usr_cleo", "usr_bea"]),
        ("?tier=basic&status=suspended", ["usr_bea"]),
        ("?tier=pro&status=disabled", []),
        ("?search=example&status=suspended", ["usr_bea", "usr_cleo"]),
        ("?search=example&tier=free", ["usr_cleo", "usr_dora"]),
        ("?search=example&tier=free&status=disabled", ["usr_dora"]),
        ("?search=usr_cleo&tier=pro", []),
        ("?search=usr_cleo&status=suspended", ["usr_cleo"]),
    ):
        answer = await get(four, f"/users{query}")
        assert (query, sorted(user["user_id"] for user in answer["users"])) == (query, sorted(found))
        assert answer["pagination"]["total_items"] == len(found)


async def test_pages_hold_everybody_once_in_one_order(platform: TestPlatform) -> None:
    people = [person(f"usr_{n:02d}", f"a{n % 3}.a@a.example.com", n // 2) for n in range(11)]
    await platform.given_events(*people, source="auth")
    for query in ("", "search=a&", "search=example&"):
        whole = await ids(platform, f"?{query}per_page=100")
        assert sorted(whole) == [f"usr_{n:02d}" for n in range(11)]
        pages = [await ids(platform, f"?{query}per_page=4&page={page}") for page in (1, 2, 3, 4)]
        assert [len(page) for page in pages] == [4, 4, 3, 0]
        assert [user for page in pages for user in page] == whole
    assert (await get(platform, "/users?per_page=4&page=2"))["pagination"] == {
        "page": 2,
        "per_page": 4,
        "total_items": 11,
        "total_pages": 3,
        "has_next": True,
        "has_prev": True,
    }


async def test_a_changed_address_tier_and_status_are_found_by_what_they_are_now(four: TestPlatform) -> None:
    await four.given_events(person("usr_ada", "ada@adams.net", 1_000, status="disabled"), source="auth")
    await four.given_events(paying("usr_ada", "enterprise"), source="billing")
    assert await ids(four, "?search=mail") == ["usr_cleo"]
    assert await ids(four, "?search=adams.net") == ["usr_ada"]
    assert await ids(four, "?search=ada&tier=enterprise&status=disabled") == ["usr_ada"]
    assert await ids(four, "?tier=pro") == []


async def test_billing_may_be_the_first_to_tell_of_an_account(platform: TestPlatform) -> None:
    await platform.given_events(paying("usr_ada", "pro"), source="billing")
    assert await ids(platform, "") == []
    assert await ids(platform, "?tier=pro") == []
    assert await get(platform, "/users/usr_ada") == (404, "NOT_FOUND")
    await platform.given_events(person("usr_ada", "ada@example.com"), source="auth")
    assert await ids(platform, "?tier=pro&search=ada") == ["usr_ada"]


def traded(user_id: str) -> list[Event]:
    """Paper: +10 and -4, one position open of two; live: -3, two positions open; the bot last ran live."""
    trades = [(1, "10", True), (2, "-4", True), (3, "-3", False)]
    closed = [
        example_of(TradeClosed, user_id=user_id, trade_id=f"trd_{n}", realized_pnl=pnl, paper=paper)
        for n, pnl, paper in trades
    ]
    opened = [example_of(PositionOpened, user_id=user_id, position_id=f"pos_{n}", paper=n < 3) for n in (1, 2, 3, 4)]
    return [
        example_of(BrokerConnected, user_id=user_id, broker_id="brk_1", broker="kraken"),
        example_of(BrokerConnected, user_id=user_id, broker_id="brk_2", broker="coinbase"),
        example_of(BrokerConnected, user_id=user_id, broker_id="brk_3", broker="binance"),
        example_of(BrokerRemoved, user_id=user_id, broker_id="brk_3", broker="binance"),
        *closed,
        *opened,
        example_of(PositionClosed, user_id=user_id, position_id="pos_1", paper=True),
        example_of(PositionClosed, user_id=user_id, position_id="pos_9", paper=True),
        example_of(BotStatusChanged, user_id=user_id, paper=False),
    ]


async def test_one_account_in_full(four: TestPlatform, clock: ManualClock) -> None:
    start = clock.now_ms() - 10 * DAY
    await four.given_events(
        paying("usr_ada", "pro", period_start_ms=start, period_end_ms=start + 31 * DAY), source="billing"
    )
    await four.given_events(*traded("usr_ada"), source="trading-engine")
    seen = clock.now_ms() - 1000
    await four.given_events(example_of(ApiUsageCounted, user_id="usr_ada", to_ms=seen), source="gateway")
    assert (await get(four, "/users/usr_ada"))["user"] == {
        "user_id": "usr_ada",
        "email": "Ada.Adams@mail.example.com",
        "full_name": "John Doe",
        "role": "user",
        "status": "active",
        "subscription": {"tier": "pro", "status": "active", "started": "2026-01-19", "renews": "2026-02-19"},
        "trading": {"total_trades": 1, "total_pnl": -3.0, "win_rate": 0.0, "active_positions": 2},
        "brokers": [{"name": "coinbase", "status": "connected"}, {"name": "kraken", "status": "connected"}],
        "joined_at": "1970-01-01T00:00:01Z",
        "last_active": iso(seen),
    }


async def test_the_ledger_shown_is_the_one_the_bot_last_ran_on(four: TestPlatform) -> None:
    back = example_of(BotStatusChanged, user_id="usr_ada", paper=True)
    unborn = example_of(BotStatusChanged, user_id="usr_ada", status="stopped", broker="", paper=False)
    await four.given_events(*traded("usr_ada"), back, unborn, source="trading-engine")
    trading = (await get(four, "/users/usr_ada"))["user"]["trading"]
    assert trading == {"total_trades": 2, "total_pnl": 6.0, "win_rate": 0.5, "active_positions": 1}
    (row,) = (await get(four, "/users?search=usr_ada"))["users"]
    assert (row["total_trades"], row["total_pnl"]) == (2, 6.0)


async def test_an_account_of_which_nothing_else_is_known_has_nulls_and_zeros(four: TestPlatform) -> None:
    user = (await get(four, "/users/usr_dora"))["user"]
    assert user["subscription"] == {"tier": "free", "status": "none", "started": None, "renews": None}
    assert user["trading"] == {"total_trades": 0, "total_pnl": 0.0, "win_rate": None, "active_positions": 0}
    assert (user["brokers"], user["last_active"]) == ([], None)


async def test_a_subscription_that_ends_does_not_renew(four: TestPlatform) -> None:
    ending = paying("usr_ada", "pro", period_start_ms=0, period_end_ms=31 * DAY, cancel_at_period_end=True)
    await four.given_events(ending, source="billing")
    subscription = (await get(four, "/users/usr_ada"))["user"]["subscription"]
    assert (subscription["started"], subscription["renews"]) == ("1970-01-01", None)


async def test_the_newest_of_call_and_login_is_the_last_activity(four: TestPlatform, clock: ManualClock) -> None:
    now = clock.now_ms()
    failed = {"login_method": "email_password", "success": False}
    logins = [
        example_of(AuditRecorded, user_id="usr_ada", log_id="log_1", at_ms=now - 5_000),
        example_of(AuditRecorded, user_id="usr_ada", log_id="log_2", at_ms=now - 1_000, metadata=failed),
    ]
    await four.given_events(*logins, source="auth")
    await four.given_events(example_of(ApiUsageCounted, user_id="usr_ada", to_ms=now - 60_000), source="gateway")
    await four.given_events(example_of(ApiUsageCounted, user_id="usr_ada", to_ms=now, calls=0), source="gateway")
    assert (await get(four, "/users/usr_ada"))["user"]["last_active"] == iso(now - 5_000)


async def test_an_unknown_account_is_not_found(four: TestPlatform) -> None:
    assert await get(four, "/users/usr_nobody") == (404, "NOT_FOUND")
    assert await get(four, "/users/ada%40example.com") == (404, "NOT_FOUND")


async def test_a_wrong_query_is_a_validation_error(platform: TestPlatform) -> None:
    queries = [
        "page=0",
        "page=x",
        "per_page=0",
        "per_page=101",
        "tier=gold",
        "tier=",
        "status=banned",
        f"search={'a' * 255}",
    ]
    for query in queries:
        assert (query, await get(platform, f"/users?{query}")) == (query, (400, "VALIDATION_ERROR"))


async def test_administrators_routes_need_a_token_and_the_role(platform: TestPlatform) -> None:
    for path in ROUTES:
        for token in (None, "nonsense"):
            answer = await platform.client("analytics", token).get(f"/api/v1/admin{path}")
            assert (path, answer.status_code, answer.json()["error"]["code"]) == (path, 401, "TOKEN_INVALID")
        assert (path, await get(platform, path, role="user")) == (path, (403, "UNAUTHORIZED"))


async def test_the_answers_have_the_references_fields(four: TestPlatform, shared_folder: Path) -> None:
    operations = json.loads((shared_folder / "contract/operations.json").read_text())["operations"]
    wanted = {o["path"]: o["response"]["data"] for o in operations if o["method"] == "GET" and "/admin/" in o["path"]}
    users = await get(four, "/users")
    assert set(users) == set(wanted["/admin/users"])
    assert set(users["users"][0]) == set(wanted["/admin/users"]["users"][0])
    assert set(users["pagination"]) == set(wanted["/admin/users"]["pagination"])
    user, reference = (await get(four, "/users/usr_ada"))["user"], wanted["/admin/users/{user_id}"]["user"]
    assert set(user) == set(reference) | {"role", "status"}
    assert all(set(user[name]) == set(reference[name]) for name in ("subscription", "trading"))
    metrics, reference = await get(four, "/metrics"), wanted["/admin/metrics"]
    assert {name: set(block) for name, block in metrics.items()} == {
        name: set(block) for name, block in reference.items()
    }
