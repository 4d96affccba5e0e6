"""An exchange as the source of public candles, through ccxt, without a key.

ccxt keeps to the exchange's rate and repeats a call that got no answer. It takes any answer with status 200 for a good
one, so what comes back is looked at: an answer without candles counts only where it is JSON that says so.
"""

from __future__ import annotations

import importlib
import json
import math
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from nija_cli.endings import Failed, WrongUsage
from nija_trading.domain.market.candles import Candle

RETRIES = 5
TIMEOUT_MS = 20_000
PAGE = 300
"""Candles that are asked for at once where ccxt does not know an exchange's most."""


class Page(NamedTuple):
    """Candles of one answer, oldest first, none before what was asked for, and how many of its rows were unusable."""

    candles: list[Candle]
    unusable: int


class Source:
    """One exchange. Symbols are ours (`BTC-USD`). Close it when done."""

    def __init__(self, name: str, base_url: str | None, retry_ms: int) -> None:
        ccxt = importlib.import_module("ccxt")
        if name not in ccxt.exchanges:
            raise WrongUsage(f"--exchange {name}: ccxt knows no such exchange; there are {', '.join(ccxt.exchanges)}")
        retries = {"maxRetriesOnFailure": RETRIES, "maxRetriesOnFailureDelay": retry_ms}
        self.name = name
        self._errors: Any = ccxt
        self._api: Any = getattr(ccxt, name)({"timeout": TIMEOUT_MS, "enableRateLimit": True, "options": retries})
        if base_url is not None:
            self._api.urls["api"] = _moved(self._api.urls["api"], base_url.rstrip("/"))

    def close(self) -> None:
        """Closes its connections."""
        with suppress(AttributeError):
            self._api.session.close()

    def check(self, symbol: str, timeframe: str) -> None:
        """Reads the markets, where not known yet. Raises WrongUsage for what the exchange does not have, Failed."""
        if not self._api.has.get("fetchOHLCV"):
            raise Failed(f"{self.name} tells no candles")
        known = self._api.timeframes or {}
        if timeframe not in known:
            raise WrongUsage(f"--timeframe {timeframe}: {self.name} has {', '.join(known)}")
        markets = self._asked(self._api.load_markets)
        if _unified(symbol) not in markets:
            raise WrongUsage(f"--symbol {symbol}: {self.name} has no such market")

    def page_size(self, symbol: str) -> int:
        """Candles in one answer, at most."""
        limit = self._api.feature_value(_unified(symbol), "fetchOHLCV", "limit", PAGE)
        return int(limit) if isinstance(limit, int) and limit > 0 else PAGE

    def page(self, symbol: str, timeframe: str, since_ms: int, limit: int) -> Page:
        """The candles from `since_ms` on. Raises Failed."""
        rows = self._asked(self._api.fetch_ohlcv, _unified(symbol), timeframe, since_ms, limit)
        if not rows and not _says_nothing(self._api.last_http_response):
            raise Failed(f"{self.name} answered something that is no list of candles; try again later")
        found = [_candle(row) for row in rows]
        good = {candle.time_ms: candle for candle in found if candle is not None and candle.time_ms >= since_ms}
        return Page([good[time] for time in sorted(good)], sum(candle is None for candle in found))

    def _asked(self, call: Any, *arguments: Any) -> Any:
        try:
            return call(*arguments)
        except self._errors.NetworkError as error:
            raise Failed(f"{self.name} gives no answer: {_short(error)}") from error
        except self._errors.BaseError as error:
            raise Failed(f"{self.name} refuses: {_short(error)}") from error
        except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
            # ccxt reads answers without looking: one of another shape may raise any of these
            raise Failed(f"{self.name} answered something that cannot be read: {_short(error)}") from error


def _candle(row: Any) -> Candle | None:
    """A row as a candle; None where it cannot be right."""
    try:
        candle = Candle(int(row[0]), *(float(value) for value in row[1:6]))
    except (TypeError, ValueError):
        return None
    _, opened, high, low, close, volume = candle
    right = 0 < low <= opened <= high and low <= close <= high < math.inf and 0 <= volume < math.inf
    return candle if right else None


def _says_nothing(answer: Any) -> bool:
    """Whether an answer without candles is JSON, and not an empty object."""
    try:
        return bool(json.loads(answer) != {})
    except (TypeError, ValueError):
        return False


def _moved(urls: Any, base_url: str) -> Any:
    """The same addresses on another host."""
    if isinstance(urls, Mapping):
        return {name: _moved(value, base_url) for name, value in urls.items()}
    return re.sub(r"^https?://[^/]+", base_url, urls) if isinstance(urls, str) else urls


def _unified(symbol: str) -> str:
    return symbol.replace("-", "/", 1)


def _short(error: BaseException) -> str:
    return " ".join((str(error) or type(error).__name__).split())[:200]
