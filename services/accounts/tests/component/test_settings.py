"""Settings over HTTP: what is refused, what is kept, what the other services are told."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from nija_common.events.deliveries import AuditRecorded
from nija_common.events.preferences import SettingsSnapshot
from nija_common.events.subscriptions import SubscriptionSnapshot
from nija_common.storage.unit_of_work import Work
from nija_common.testing import TestPlatform
from nija_common.testing.events import example_of
from nija_common.values.clock import ManualClock
from nija_common.values.tiers import TRIAL_DAYS, Tier, effective

PATH = "/api/v1/config/settings"


def client(platform: TestPlatform, user: str = "usr_a", **claims: Any) -> httpx.AsyncClient:
    return platform.client("accounts", platform.token(user, **claims))


def paid(tier: Tier, user: str = "usr_a") -> SubscriptionSnapshot:
    return example_of(SubscriptionSnapshot, user_id=user, tier=tier, effective=[effective(tier, from_ms=0, live=True)])


async def shown(platform: TestPlatform) -> Any:
    return (await client(platform).get(PATH)).json()["data"]


async def put(platform: TestPlatform, body: Any) -> tuple[int, Any]:
    answer = await client(platform).put(PATH, json=body)
    content = answer.json()
    return answer.status_code, content["data"] if content["success"] else content["error"]


async def test_a_new_account_has_the_documented_defaults(platform: TestPlatform) -> None:
    assert await shown(platform) == {
        "trading": {
            "risk_level": "medium",
            "max_position_size_usd": 500.0,
            "max_concurrent_positions": 3,
            "max_daily_loss_usd": 200.0,
            "allowed_pairs": ["BTC-USD", "ETH-USD", "SOL-USD"],
            "paper_trading": True,
        },
        "notifications": {
            "email_enabled": True,
            "push_enabled": True,
            "trade_notifications": True,
            "daily_summary": True,
            "weekly_report": True,
        },
        "advanced": {
            "enable_meta_ai": False,
            "enable_mmin": False,
            "enable_gmig": False,
            "execution_intelligence": False,
        },
    }


async def test_only_what_changed_is_listed_and_the_rest_stays(platform: TestPlatform) -> None:
    body = {
        "trading": {"risk_level": "high", "max_position_size_usd": 1000.0, "max_concurrent_positions": 8},
        "notifications": {"email_enabled": False, "push_enabled": True},
    }
    status, data = await put(platform, body)
    assert status == 200
    assert data["updated_fields"] == [
        "risk_level",
        "max_position_size_usd",
        "max_concurrent_positions",
        "email_enabled",
    ]
    now = await shown(platform)
    assert now["trading"]["risk_level"] == "high"
    assert now["trading"]["max_daily_loss_usd"] == 200.0
    assert now["notifications"]["email_enabled"] is False


async def test_the_answer_comes_once_the_snapshot_is_on_the_bus(platform: TestPlatform) -> None:
    await put(platform, {"trading": {"allowed_pairs": ["btc/usd", "XBT-USD", "ETH-USD"]}})
    (snapshot,) = await platform.emitted(SettingsSnapshot)
    assert snapshot.trading.allowed_pairs == ("BTC-USD", "ETH-USD")
    (audit,) = await platform.emitted(AuditRecorded)
    assert (audit.event_type, audit.metadata) == ("settings_updated", {"fields": "allowed_pairs"})


async def test_a_change_that_changes_nothing_tells_nobody(platform: TestPlatform) -> None:
    status, data = await put(platform, {"trading": {"risk_level": "medium"}})
    assert (status, data["updated_fields"]) == (200, [])
    assert await platform.emitted(SettingsSnapshot) == []


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"trading": {"nonsense": 1}}, 400, "INVALID_SETTING"),
        ({"nonsense": {}}, 400, "INVALID_SETTING"),
        ({"trading": {"risk_level": "low", "nonsense": 1}}, 400, "INVALID_SETTING"),
        ({"trading": {"risk_level": "insane"}}, 400, "INVALID_RISK_LEVEL"),
        ({"trading": {"max_position_size_usd": -1}}, 400, "VALIDATION_ERROR"),
        ({"trading": {"max_position_size_usd": 0}}, 400, "VALIDATION_ERROR"),
        ({"trading": {"max_position_size_usd": "500"}}, 400, "VALIDATION_ERROR"),
        ({"trading": {"max_position_size_usd": True}}, 400, "VALIDATION_ERROR"),
        ({"trading": {"max_position_size_usd": None}}, 400, "VALIDATION_ERROR"),
        ({"trading": {"max_daily_loss_usd": 1e18}}, 400, "VALIDATION_ERROR"),
        ({"trading": {"max_concurrent_positions": 2.5}}, 400, "VALIDATION_ERROR"),
        ({"trading": {"max_concurrent_positions": 0}}, 400, "VALIDATION_ERROR"),
        ({"trading": {"allowed_pairs": []}}, 400, "VALIDATION_ERROR"),
        ({"trading": {"allowed_pairs": ["BTCUSD"]}}, 400, "VALIDATION_ERROR"),
        ({"trading": {"allowed_pairs": "BTC-USD"}}, 400, "VALIDATION_ERROR"),
        ({"trading": {"paper_trading": "yes"}}, 400, "VALIDATION_ERROR"),
        ({"trading": 5}, 400, "VALIDATION_ERROR"),
        ([], 400, "VALIDATION_ERROR"),
        ({"trading": {"risk_level": "low", "max_position_size_usd": 1e9}}, 403, "EXCEEDS_TIER_LIMIT"),
        ({"trading": {"max_concurrent_positions": 11}}, 403, "EXCEEDS_TIER_LIMIT"),
        ({"advanced": {"enable_meta_ai": True, "enable_gmig": True}}, 403, "EXCEEDS_TIER_LIMIT"),
    ],
)
async def test_a_refused_change_changes_nothing(platform: TestPlatform, body: Any, status: int, code: str) -> None:
    before = await shown(platform)
    got, error = await put(platform, body)
    assert (got, error["code"]) == (status, code), error
    assert error["details"]
    assert await shown(platform) == before
    assert await platform.emitted(SettingsSnapshot) == []


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
async def test_what_is_no_number_is_refused(platform: TestPlatform, number: str) -> None:
    raw = f'{{"trading": {{"max_daily_loss_usd": {number}}}}}'
    answer = await client(platform).put(PATH, content=raw, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "VALIDATION_ERROR")


async def test_a_downgrade_lowers_what_is_in_force_and_an_upgrade_brings_it_back(platform: TestPlatform) -> None:
    await platform.given_events(paid(Tier.ENTERPRISE), source="billing")
    body = {
        "trading": {"max_position_size_usd": 8000.0, "max_concurrent_positions": 40},
        "advanced": {"enable_gmig": True, "execution_intelligence": True},
    }
    assert (await put(platform, body))[0] == 200
    await platform.given_events(paid(Tier.BASIC), source="billing")
    lowered = await shown(platform)
    assert lowered["trading"]["max_position_size_usd"] == 500.0
    assert lowered["trading"]["max_concurrent_positions"] == 5
    assert lowered["advanced"] == {
        "enable_meta_ai": False,
        "enable_mmin": False,
        "enable_gmig": False,
        "execution_intelligence": True,
    }
    await platform.given_events(paid(Tier.ENTERPRISE), source="billing")
    back = await shown(platform)
    assert (back["trading"]["max_position_size_usd"], back["advanced"]["enable_gmig"]) == (8000.0, True)


async def test_frees_size_limit_of_zero_neither_refuses_nor_lowers_nor_hides(platform: TestPlatform) -> None:
    await platform.given_events(paid(Tier.FREE), source="billing")
    assert (await put(platform, {"trading": {"max_position_size_usd": 5000.0}}))[0] == 200
    assert (await shown(platform))["trading"]["max_position_size_usd"] == 5000.0
    assert (await put(platform, {"trading": {"max_concurrent_positions": 4}}))[1]["code"] == "EXCEEDS_TIER_LIMIT"


async def test_the_end_of_a_trial_bounds_settings_without_any_event(platform: TestPlatform, clock: ManualClock) -> None:
    await platform.given_events(
        example_of(SubscriptionSnapshot, user_id="usr_a", effective=_trial(clock.now_ms())), source="billing"
    )
    assert (await put(platform, {"advanced": {"enable_meta_ai": True}}))[0] == 200
    clock.advance(TRIAL_DAYS * 86_400)
    assert (await shown(platform))["advanced"]["enable_meta_ai"] is False


def _trial(from_ms: int) -> list[Any]:
    end_ms = from_ms + TRIAL_DAYS * 86_400_000
    return [effective(Tier.PRO, from_ms=from_ms, live=False), effective(Tier.FREE, from_ms=end_ms, live=False)]


async def test_nobody_who_has_just_paid_is_refused(platform: TestPlatform) -> None:
    infrastructure = platform.node.infrastructure
    billing = Work(infrastructure.storage_of("billing"), infrastructure.bus, platform.clock, "billing")
    for number in range(10):
        uow = billing.open()
        uow.emit(paid(Tier.ENTERPRISE, f"usr_{number}"))
        await billing.commit(uow)
        body = {"trading": {"max_position_size_usd": 9000.0}}
        answer = await client(platform, f"usr_{number}").put(PATH, json=body)
        assert answer.status_code == 200, answer.text


async def test_an_older_account_that_is_not_known_here_is_no_guess(platform: TestPlatform, clock: ManualClock) -> None:
    lost = client(platform, "usr_lost", registered_at_ms=clock.now_ms() - 600_000)
    for answer in (await lost.get(PATH), await lost.put(PATH, json={"trading": {"risk_level": "low"}})):
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")


async def test_settings_need_a_token_and_are_ones_own(platform: TestPlatform) -> None:
    assert (await platform.client("accounts").get(PATH)).status_code == 401
    await put(platform, {"trading": {"risk_level": "high"}})
    other = (await client(platform, "usr_b").get(PATH)).json()["data"]
    assert other["trading"]["risk_level"] == "medium"


async def test_administrators_have_the_enterprise_limits(platform: TestPlatform) -> None:
    body = {"trading": {"max_position_size_usd": 9000}, "advanced": {"enable_gmig": True}}
    assert (await client(platform).put(PATH, json=body)).json()["error"]["code"] == "EXCEEDS_TIER_LIMIT"
    assert (await client(platform, role="admin").put(PATH, json=body)).status_code == 200


def drop_table(folder: Path) -> None:
    """Takes the settings out of the running store."""
    (file,) = folder.glob("*.sqlite3")
    with closing(sqlite3.connect(file)) as connection:
        (table,) = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE '%settings'")
        connection.execute(f'DROP TABLE "{table[0]}"')


async def test_get_config_settings__database_error(platform: TestPlatform, tmp_path: Path) -> None:
    """A store that can be reached, and fails."""
    drop_table(tmp_path)
    answer = await client(platform).get(PATH)
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "DATABASE_ERROR")
    assert "settings" not in answer.json()["error"]["message"]
