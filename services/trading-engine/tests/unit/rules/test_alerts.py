"""How an alert's body is read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nija_common.errors import ErrorCode, NijaError
from nija_trading.domain.alerts import alert_of, body_of, key_of, normalised

NOW = 1_769_683_320_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("BTCUSD", "BTC-USD"),
        ("BTC/USD", "BTC-USD"),
        ("BTC-USD", "BTC-USD"),
        ("COINBASE:BTCUSD", "BTC-USD"),
        ("XBTUSD", "BTC-USD"),
        ("kraken:xbt/usd", "BTC-USD"),
        ("ETHUSDT", "ETH-USDT"),
        ("SOLBTC", "SOL-BTC"),
        ("USD", None),
        ("", None),
        ("BTC USD", None),
        ("A-B-C", None),
    ],
)
def test_symbols(text: str, expected: str | None) -> None:
    assert normalised(text) == expected


@pytest.mark.parametrize("field", ["api_key", "symbol", "more"])
def test_half_of_a_surrogate_pair_is_refused_wherever_it_stands(field: str) -> None:
    with pytest.raises(NijaError) as caught:
        body_of(b'{"action": "buy", "%s": ["\\ud800"]}' % field.encode())
    assert caught.value.code is ErrorCode.VALIDATION_ERROR


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    try:
        body = body_of(raw)
        assert isinstance(key_of(body), str)
        alert_of(body, NOW)
    except NijaError as error:
        assert error.code is ErrorCode.VALIDATION_ERROR


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(["symbol", "action", "price", "size_usd", "alert_id", "time", "strategy", "api_key"])


@given(st.dictionaries(names, json_values))
def test_any_values_are_read_or_refused_field_by_field(body: dict[str, Any]) -> None:
    try:
        alert = alert_of(body, NOW)
    except NijaError as error:
        assert error.code is ErrorCode.VALIDATION_ERROR
        assert error.details
    else:
        assert alert.action in ("buy", "sell", "close")
        assert alert.price is None or alert.price > 0
        assert alert.seen_id("usr_a") == alert_of(body, NOW).seen_id("usr_a")


def test_the_same_content_is_the_same_alert_and_an_id_wins_over_it() -> None:
    body = {"symbol": "BTCUSD", "action": "buy", "api_key": "x", "note": "a"}
    again = json.loads(json.dumps(dict(reversed(body.items()))))
    assert alert_of(body, NOW).seen_id("u") == alert_of({**again, "api_key": "y"}, NOW).seen_id("u")
    assert alert_of(body, NOW).seen_id("u") != alert_of({**body, "note": "b"}, NOW).seen_id("u")
    assert alert_of(body, NOW).seen_id("u") != alert_of(body, NOW).seen_id("v")
    named = {**body, "alert_id": "7"}
    assert alert_of(named, NOW).seen_id("u") == alert_of({**named, "note": "b"}, NOW).seen_id("u")


@pytest.mark.parametrize(
    ("time", "good"),
    [
        ("2026-01-29T10:42:00Z", True),
        ("2026-01-29T10:41:00Z", True),
        ("2026-01-29T10:40:59Z", False),
        (NOW, True),
        (NOW // 1000, True),
        ("yesterday", False),
        ("{{timenow}}", False),
        (True, False),
    ],
)
def test_times(time: Any, good: bool) -> None:
    body = {"symbol": "BTCUSD", "action": "buy", "time": time}
    if good:
        assert alert_of(body, NOW).symbol == "BTC-USD"
        return
    with pytest.raises(NijaError) as refused:
        alert_of(body, NOW)
    assert list(refused.value.details) == ["time"]
