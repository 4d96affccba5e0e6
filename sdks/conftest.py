"""One running `nija up` for all tests of the SDKs, and people on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nija_common.testing.candles import calm_market
from nija_common.testing.client import ApiClient
from nija_common.testing.platforms import Embedded

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


@pytest.fixture(scope="session")
def base_url(platform: Embedded) -> str:
    """As both SDKs take it."""
    return f"{platform.url}/api/v1"


@pytest.fixture
def account(platform: Embedded) -> Iterator[ApiClient]:
    """A new account in its trial, by way of plain HTTP."""
    with ApiClient(platform.url).register() as client:
        yield client
