"""What the tests of the Python SDK share: a client, and a bot that obeys alerts."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from nija_common.testing.client import ApiClient
from nija_common.testing.platforms import wait_for
from nija_sdk import NIJAClient


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
