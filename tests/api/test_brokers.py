"""`/config/brokers*`, at an exchange that stands for all of them and checks signatures as they do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nija_common.testing.client import Answer, ApiClient
from nija_common.testing.exchange import Fault, FaultKind, RunningExchange
from nija_common.testing.exchange import coinbase_private as coinbase
from nija_common.testing.exchange import kraken_private as kraken
from nija_common.testing.platforms import wait_for

Refused = Callable[[Answer, int, str], None]


@pytest.fixture
def key(exchange: RunningExchange) -> dict[str, Any]:
    """A body that connects an account at Kraken, a new one."""
    made, secret = kraken.new_kraken_key(balances={"USD": "10450.75"})
    exchange.exchange.add_key(made)
    return {"broker": "kraken", "api_key": made.name, "api_secret": secret}


@pytest.fixture
def connected(user: ApiClient, key: dict[str, Any]) -> str:
    """The user's connection."""
    return str(user.ok("POST", "/config/brokers", key)["broker_id"])


@pytest.fixture
def unreachable(exchange: RunningExchange) -> Any:
    """The exchange hangs up on everybody for the length of a test."""
    exchange.exchange.will_fail("/0/private", always=Fault(FaultKind.DROP))
    yield
    exchange.exchange.heal()


def test_get_config_brokers__success(user: ApiClient, connected: str, key: dict[str, Any], stranger: ApiClient) -> None:
    (shown,) = user.ok("GET", "/config/brokers")["brokers"]
    assert (shown["broker_id"], shown["name"], shown["status"]) == (connected, "kraken", "connected")
    assert key["api_key"] not in shown["api_key_masked"]
    assert stranger.ok("GET", "/config/brokers")["brokers"] == []


def test_post_config_brokers__success(user: ApiClient, key: dict[str, Any]) -> None:
    answer = user.post("/config/brokers", key)
    assert (answer.status, answer.data["status"]) == (201, "connected")


def test_post_config_brokers__invalid_api_key(user: ApiClient, key: dict[str, Any], refused: Refused) -> None:
    _, another_secret = kraken.new_kraken_key()
    refused(user.post("/config/brokers", {**key, "api_secret": another_secret}), 400, "INVALID_API_KEY")
    assert user.ok("GET", "/config/brokers")["brokers"] == []


def test_post_config_brokers__unsupported_broker(user: ApiClient, key: dict[str, Any], refused: Refused) -> None:
    refused(user.post("/config/brokers", {**key, "broker": "nonsense"}), 400, "UNSUPPORTED_BROKER")


def test_post_config_brokers__broker_already_connected(
    user: ApiClient, connected: str, key: dict[str, Any], refused: Refused
) -> None:
    refused(user.post("/config/brokers", key), 409, "BROKER_ALREADY_CONNECTED")


def test_post_config_brokers__exceeds_tier_limit(
    admin: ApiClient, user: ApiClient, connected: str, exchange: RunningExchange, refused: Refused
) -> None:
    made, secret = coinbase.new_cloud_key(balances={"USD": "1"})
    exchange.exchange.add_key(made)
    admin.ok("PUT", f"/admin/users/{user.user_id}", {"subscription_tier": "free"})
    wait_for("the tier is known", lambda: user.post("/config/webhook-key").code == "EXCEEDS_TIER_LIMIT", every=0.2)
    second = {"broker": "coinbase", "api_key": made.name, "api_secret": secret}
    refused(user.post("/config/brokers", second), 403, "EXCEEDS_TIER_LIMIT")


@pytest.mark.usefixtures("unreachable")
def test_post_config_brokers__broker_error(user: ApiClient, key: dict[str, Any], refused: Refused) -> None:
    refused(user.post("/config/brokers", key), 502, "BROKER_ERROR")


def test_delete_config_brokers_by_id__success(user: ApiClient, connected: str) -> None:
    gone = user.ok("DELETE", f"/config/brokers/{connected}")
    assert gone == {"message": "Broker removed successfully", "open_positions": 0}
    assert user.ok("GET", "/config/brokers")["brokers"] == []


def test_delete_config_brokers_by_id__not_found(user: ApiClient, refused: Refused) -> None:
    refused(user.call("DELETE", "/config/brokers/brk_nothing"), 404, "NOT_FOUND")


def test_delete_config_brokers_by_id__anothers_id(
    user: ApiClient, connected: str, stranger: ApiClient, refused: Refused
) -> None:
    refused(stranger.call("DELETE", f"/config/brokers/{connected}"), 404, "NOT_FOUND")
    assert len(user.ok("GET", "/config/brokers")["brokers"]) == 1


def test_post_config_brokers_test__success(user: ApiClient, connected: str) -> None:
    tried = user.ok("POST", f"/config/brokers/{connected}/test")
    assert (tried["status"], tried["account_balance"]) == ("connected", 10450.75)


def test_post_config_brokers_test__not_found(user: ApiClient, refused: Refused) -> None:
    refused(user.post("/config/brokers/brk_nothing/test"), 404, "NOT_FOUND")


def test_post_config_brokers_test__anothers_id(connected: str, stranger: ApiClient, refused: Refused) -> None:
    refused(stranger.post(f"/config/brokers/{connected}/test"), 404, "NOT_FOUND")


def test_post_config_brokers_test__invalid_api_key(
    user: ApiClient, connected: str, key: dict[str, Any], exchange: RunningExchange, refused: Refused
) -> None:
    del exchange.exchange.keys[key["api_key"]]
    refused(user.post(f"/config/brokers/{connected}/test"), 400, "INVALID_API_KEY")


def test_post_config_brokers_test__broker_error(
    user: ApiClient, connected: str, request: pytest.FixtureRequest, refused: Refused
) -> None:
    request.getfixturevalue("unreachable")
    refused(user.post(f"/config/brokers/{connected}/test"), 502, "BROKER_ERROR")
