"""One running `nija up` for all tests of the Python SDK."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from nija_common.testing.candles import calm_market
from nija_common.testing.client import ApiClient
from nija_common.testing.platforms import Embedded, wait_for
from nija_sdk import NIJAClient

ADMIN = ("admin@nija.example", "Quiet-Harbour-Lantern-71")
NOBODY = "http://127.0.0.1:9"
"""Where no exchange answers."""


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    """The running platform; each worker of a test run has its own."""
    folder = tmp_path_factory.mktemp("sdk")
    embedded = Embedded(
        folder, options=calm_market(folder / "candles"), env={"NIJA_BROKERS__COINBASE__BASE_URL": NOBODY}
    )
    embedded.create_admin(*ADMIN)
    with embedded:
        yield embedded


@pytest.fixture(scope="session")
def administrator() -> tuple[str, str]:
    """E-mail and password of the platform's administrator."""
    return ADMIN


@pytest.fixture
def base_url(platform: Embedded) -> str:
    return f"{platform.url}/api/v1"


@pytest.fixture
def account(platform: Embedded) -> Iterator[ApiClient]:
    """A new account in its trial, by way of plain HTTP."""
    with ApiClient(platform.url).register() as client:
        yield client


@pytest.fixture
def client(account: ApiClient, base_url: str) -> Iterator[NIJAClient]:
    """The account's SDK client."""
    with NIJAClient(api_key=account.token, base_url=base_url) as made:
        yield made


@pytest.fixture
def alert(client: NIJAClient, account: ApiClient) -> Callable[[str], None]:
    """Sends an alert to the account's bot, which runs on paper and waits for alerts."""
    client.config.update_settings(trading={"allowed_pairs": ["BTC-USD"], "paper_trading": True})
    client.trading.start(broker="coinbase", paper_trading=True, strategy="SIGNALS_ONLY")
    key = client.config.rotate_webhook_key().webhook_key
    wait_for("the bot runs", lambda: client.trading.status().status == "running", every=0.2)

    def send(action: str) -> None:
        told = {"symbol": "COINBASE:BTCUSD", "action": action, "strategy": "APEX_V72", "api_key": key}
        account.ok("POST", "/webhooks/tradingview", told)

    return send
