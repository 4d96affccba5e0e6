"""TradingView alerts: what is read from a body, and how the same alert is known again. Webhook keys, too.

JSON whatever the content type; names that we do not know are ignored, a left-over `{{` is an error.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal

from nija_common.errors import ErrorCode, NijaError
from nija_common.values.document import Collection, Document, Index
from nija_common.values.ids import derived_id
from nija_common.values.money import units

Action = Literal["buy", "sell", "close"]
OLDEST_MS = 60_000
SAME_ID_MS = 86_400_000
SAME_CONTENT_MS = 60_000
QUOTES = ("USDT", "USDC", "USD", "EUR", "GBP", "BTC", "ETH")
_SYMBOL = re.compile(r"[A-Z0-9]{1,12}-[A-Z0-9]{2,6}")
_ALIASES = {"XBT": "BTC"}
_TEXT_LIMIT = 200


class WebhookKey(Document):
    """A user's webhook key: its hash, and enough of its end to recognise it by."""

    collection: ClassVar[Collection] = Collection("webhook_keys", (Index("by_hash", ("key_hash",), unique=True),))

    key_hash: str
    ending: str
    created_at_ms: int


class SeenAlert(Document):
    """An alert that was accepted, and the trade that it became."""

    collection: ClassVar[Collection] = Collection("seen_alerts", ttl_field="expires_at_ms")

    trade_id: str
    expires_at_ms: int


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert that can be acted on. `size` in units, None: as a score of 3."""

    symbol: str
    action: Action
    price: float | None
    size: int | None
    identity: tuple[str, ...]
    remembered_ms: int

    def seen_id(self, user_id: str) -> str:
        """The id under which the alert is remembered."""
        return derived_id("alr", user_id, *self.identity)


def body_of(raw: bytes) -> Mapping[str, Any]:
    """The JSON object of a body. Raises VALIDATION_ERROR."""
    try:
        found = json.loads(raw, parse_constant=_not_json)
        # JSON may spell half of a surrogate pair, which is no character and has no UTF-8: a UnicodeEncodeError.
        json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise _invalid({"body": "not valid JSON"}) from None
    if not isinstance(found, dict):
        raise _invalid({"body": "not a JSON object"})
    return found


def key_of(body: Mapping[str, Any]) -> str:
    """The webhook key of an alert; empty where it has none."""
    key = body.get("api_key")
    return key if isinstance(key, str) and len(key) <= _TEXT_LIMIT else ""


def alert_of(body: Mapping[str, Any], now_ms: int) -> Alert:
    """The alert of a body. Raises VALIDATION_ERROR naming every field that cannot be used."""
    faults: dict[str, object] = {}
    for name, value in body.items():
        if isinstance(value, str) and "{{" in value:
            faults[name] = "a placeholder that TradingView did not fill in"
    action = body.get("action")
    if action not in ("buy", "sell", "close"):
        faults.setdefault("action", "must be buy, sell or close")
    symbol = _symbol(body.get("symbol"), faults)
    price, size = _positive(body, "price", faults), _positive(body, "size_usd", faults)
    alert_id = body.get("alert_id")
    if alert_id is not None and (not isinstance(alert_id, str | int) or len(str(alert_id)) > _TEXT_LIMIT):
        faults.setdefault("alert_id", f"must be text of at most {_TEXT_LIMIT} characters")
    _check_time(body.get("time"), now_ms, faults)
    if faults:
        raise _invalid(faults)
    if alert_id is not None:
        identity, remembered = ("id", str(alert_id)), SAME_ID_MS
    else:
        content = {name: value for name, value in body.items() if name != "api_key"}
        identity, remembered = ("content", json.dumps(content, sort_keys=True)), SAME_CONTENT_MS
    return Alert(symbol, action, price, None if size is None else units(size), identity, remembered)  # type: ignore[arg-type]


def normalised(symbol: str) -> str | None:
    """`BTC-USD` for `BTCUSD`, `BTC/USD`, `COINBASE:BTCUSD`, `XBTUSD`; None where nothing can be made of it."""
    text = symbol.strip().upper().rsplit(":", 1)[-1].replace("/", "-")
    if "-" not in text:
        quote = next((q for q in QUOTES if text.endswith(q) and len(text) > len(q)), None)
        if quote is None:
            return None
        text = f"{text.removesuffix(quote)}-{quote}"
    base, quote = text.split("-", 1)
    text = f"{_ALIASES.get(base, base)}-{quote}"
    return text if _SYMBOL.fullmatch(text) else None


def _symbol(value: object, faults: dict[str, object]) -> str:
    found = normalised(value) if isinstance(value, str) and len(value) <= _TEXT_LIMIT else None
    if found is None:
        faults.setdefault("symbol", "must be a pair such as BTC-USD")
    return found or ""


def _positive(body: Mapping[str, Any], name: str, faults: dict[str, object]) -> float | None:
    value = body.get(name)
    if value is None:
        return None
    try:
        number = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else 0.0
    except (ValueError, OverflowError):
        number = 0.0
    if not 0 < number < 1e12:
        faults.setdefault(name, "must be a number above 0")
        return None
    return number


def _check_time(value: object, now_ms: int, faults: dict[str, object]) -> None:
    """TradingView's `{{timenow}}`: ISO 8601 in UTC; seconds or milliseconds since 1970 are understood too."""
    if value is None:
        return
    at_ms: float | None = None
    if isinstance(value, int | float) and not isinstance(value, bool):
        at_ms = value if value > 1e11 else value * 1000
    elif isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
            at_ms = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000
        except (ValueError, OverflowError):
            at_ms = None
    if at_ms is None:
        faults.setdefault("time", "must be a time such as 2026-01-29T10:42:00Z")
    elif not now_ms - OLDEST_MS <= at_ms <= now_ms + OLDEST_MS:
        faults.setdefault("time", "is more than 60 seconds away from now")


def _invalid(faults: Mapping[str, object]) -> NijaError:
    return NijaError(ErrorCode.VALIDATION_ERROR, f"Not valid: {', '.join(sorted(faults))}.", faults)


def _not_json(constant: str) -> object:
    raise ValueError(constant)
