"""One running `nija up` for all tests of the API: a calm market, an administrator, and people to register at will.

A test's name says what it shows: `test_<operation>__<case>`, the operation as in the API document
(`post_trading_start`), the case `success`, an error code in small letters, `no_token`, `not_an_administrator`,
`anothers_id` or `bad_input`. `docs/api-coverage.md` is made from these names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from nija_common.testing.candles import calm_market
from nija_common.testing.client import Answer, ApiClient
from nija_common.testing.exchange import RunningExchange, run_exchange
from nija_common.testing.platforms import Embedded, wait_for
from nija_trading.domain.connections import EXCHANGES

ADMIN = ("admin@nija.example", "Quiet-Harbour-Lantern-71")
ENVIRONMENT = {
    "NIJA_LIMITS__WEBHOOK_REFUSED_PER_MINUTE": "100000",
    "NIJA_LIMITS__STOP_PER_MINUTE": "100000",
    # The first check of a broker key imports ccxt: seconds, where nothing is compiled yet.
    "NIJA_TRADING_KEY_CHECK_MS": "25000",
}


@pytest.fixture(scope="session")
def exchange() -> Iterator[RunningExchange]:
    """What stands for every exchange: no test asks a real one."""
    with run_exchange() as running:
        yield running


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory, exchange: RunningExchange) -> Iterator[Embedded]:
    """The running platform; each worker of a test run has its own."""
    folder = tmp_path_factory.mktemp("api")
    embedded = Embedded(
        folder,
        options=calm_market(folder / "candles"),
        env={**ENVIRONMENT, **{f"NIJA_BROKERS__{name.upper()}__BASE_URL": exchange.base_url for name in EXCHANGES}},
    )
    embedded.create_admin(*ADMIN)
    with embedded:
        yield embedded


@pytest.fixture(scope="session")
def admin(platform: Embedded) -> Iterator[ApiClient]:
    """The administrator, signed in. Calls are limited as anybody's are: Enterprise, 500 a minute."""
    with ApiClient(platform.url) as client:
        answer = client.post("/auth/login", {"email": ADMIN[0], "password": ADMIN[1]})
        assert answer.status == 200, answer
        client.token = answer.data["access_token"]
        yield client


@pytest.fixture
def anybody(platform: Embedded) -> Iterator[ApiClient]:
    """Nobody in particular: no token."""
    with ApiClient(platform.url) as client:
        yield client


@pytest.fixture
def user(platform: Embedded) -> Iterator[ApiClient]:
    """A new account in its trial, signed in."""
    with ApiClient(platform.url).register() as client:
        yield client


@pytest.fixture(scope="session")
def stranger(platform: Embedded) -> Iterator[ApiClient]:
    """Another account, for whom nothing of `user` is there."""
    with ApiClient(platform.url).register() as client:
        yield client


@pytest.fixture
def refused() -> Callable[[Answer, int, str], None]:
    """Asserts an error: status and code."""

    def check(answer: Answer, status: int, code: str) -> None:
        assert (answer.status, answer.code) == (status, code), answer

    return check


@pytest.fixture
def running(user: ApiClient) -> ApiClient:
    """The user with a paper bot that waits for alerts, running."""
    user.ok("PUT", "/config/settings", {"trading": {"allowed_pairs": ["BTC-USD"], "paper_trading": True}})
    user.ok("POST", "/trading/start", {"broker": "coinbase", "paper_trading": True, "strategy": "SIGNALS_ONLY"})
    wait_for("the bot runs", lambda: user.ok("GET", "/trading/status")["status"] == "running", every=0.2)
    return user


@pytest.fixture
def alert(running: ApiClient) -> dict[str, Any]:
    """An alert that the running bot accepts, with the user's webhook key."""
    key = running.ok("POST", "/config/webhook-key")["webhook_key"]
    return {"symbol": "COINBASE:BTCUSD", "action": "buy", "strategy": "APEX_V72", "api_key": key}


@pytest.fixture
def position(running: ApiClient, alert: dict[str, Any]) -> dict[str, Any]:
    """An open position of the running bot, as the API lists it."""
    running.ok("POST", "/webhooks/tradingview", alert)
    listed = wait_for("the position is listed", lambda: running.ok("GET", "/account/positions")["positions"], every=0.2)
    found: dict[str, Any] = listed[0]
    return found
