"""Settings as an operator writes them: what is wrong is named."""

from __future__ import annotations

import ipaddress

import pytest

from nija_common.errors import SettingsError
from nija_common.runtime.settings import load
from nija_gateway.settings import GatewaySettings


def test_networks_and_limits_are_read_from_variables() -> None:
    settings = load(
        GatewaySettings,
        {"NIJA_TRUSTED_PROXIES": "10.0.0.0/8, ::1,192.0.2.7", "NIJA_LIMITS__LOGIN_PER_MINUTE": "7"},
    )
    assert settings.trusted_proxies == tuple(
        ipaddress.ip_network(network) for network in ("10.0.0.0/8", "::1/128", "192.0.2.7/32")
    )
    assert settings.limits.login_per_minute == 7
    assert settings.limits.register_per_hour == 5
    assert load(GatewaySettings, {}).trusted_proxies == ()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NIJA_TRUSTED_PROXIES", "10.0.0.0/33"),
        ("NIJA_TRUSTED_PROXIES", "10.0.0.1/8"),
        ("NIJA_TRUSTED_PROXIES", "everyone"),
        ("NIJA_LIMITS__OPEN_PER_MINUTE", "0"),
        ("NIJA_LIMITS__OPEN_PER_MINUTE", "many"),
        ("NIJA_GATEWAY_REPLICAS", "0"),
    ],
)
def test_a_wrong_value_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        load(GatewaySettings, {name: value})
