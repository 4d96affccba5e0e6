"""What an exchange tells without a key, through ccxt: its markets' rules, candles, the best prices.

ccxt is imported when an exchange is first opened: its package loads every exchange, which takes a second and 100 MB.
It takes any answer with status 200 for a good one, so what comes back is looked at before it is believed.
"""

from __future__ import annotations

import asyncio
import importlib
import itertools
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from nija_common.values.clock import Clock
from nija_trading.domain.market.candles import Candle
from nija_trading.domain.market.feed import believable
from nija_trading.domain.market.grid import TIMEFRAME, Quote
from nija_trading.domain.matching.money import ONE, units
from nija_trading.domain.matching.terms import VENUES, MarketRules

TIMEOUT_S = 5.0
"""Of one answer; a candle that takes longer is asked for again while its step still waits."""
DEADLINE_S = 15.0
"""Of one call with its turn in ccxt's queue, which keeps to the exchange's rate."""
OPEN_TIMEOUT_S = 30.0
"""Of the list of all markets, which is long."""
WHOLE_SECOND_MS = 1000
"""Exchanges tell their time in whole seconds."""
PAGES: Mapping[str, int] = {"coinbase": 300, "kraken": 720}
"""Candles in one answer, at most."""
BATCHES = frozenset({"kraken"})
"""Who tells the prices of several markets in one answer; Coinbase's list of all has no bid and ask."""


class ExchangeAway(Exception):
    """No answer, or none that can be believed. `busy`: the exchange asks for fewer calls."""

    def __init__(self, message: str, *, busy: bool = False) -> None:
        super().__init__(message)
        self.busy = busy


class PublicExchange:
    """One exchange. Symbols are ours (`BTC-USD`); ccxt knows what the exchange calls them, and how often it may be asked
    (`throttled`)."""

    def __init__(self, name: str, clock: Clock, base_url: str | None = None, *, throttled: bool = True) -> None:
        self.name = name
        self.page = PAGES[name]
        self._clock = clock
        self._base_url = base_url
        self._throttled = throttled
        self._api: Any = None
        self._behind_ms = 0
        self.rules: Mapping[str, MarketRules] = {}

    @property
    def opened(self) -> bool:
        """Whether its markets are known."""
        return bool(self.rules)

    async def open(self) -> None:
        """Reads the list of markets, again where it was read before. Raises ExchangeAway."""
        if self._api is None:
            ccxt = await asyncio.to_thread(importlib.import_module, "ccxt.async_support")
            self._api = getattr(ccxt, self.name)(self._options())
        self._api.timeout = OPEN_TIMEOUT_S * 1000
        try:
            markets = await self._asked(self._api.load_markets(True), OPEN_TIMEOUT_S)
        finally:
            self._api.timeout = TIMEOUT_S * 1000
        default = VENUES[self.name].default_rules
        rules = {
            f"{market['base']}-{market['quote']}": rules_of(market, default)
            for market in markets.values()
            if market.get("spot")
        }
        if not rules:
            raise ExchangeAway(f"{self.name} told of no market")
        self.rules = rules

    async def compare_clocks(self) -> None:
        """Reads the exchange's time: while its clock is behind ours its candles close later. Raises ExchangeAway."""
        before_ms = self._clock.now_ms()
        told = await self._asked(self._api.fetch_time())
        after_ms = self._clock.now_ms()
        if not isinstance(told, int) or told <= 0 or after_ms - before_ms > TIMEOUT_S * 1000:
            raise ExchangeAway(f"{self.name} does not tell the time")
        self._behind_ms = max(0, (before_ms + after_ms) // 2 - told - WHOLE_SECOND_MS)

    async def candles(self, symbol: str, start_ms: int, count: int) -> tuple[int, list[Candle]]:
        """(when it was asked by the exchange's clock, the candles from `start_ms` on, oldest first, the one that is being
        made among them).

        At most `count` and a page. Raises ExchangeAway.
        """
        asked_ms = self._clock.now_ms() - self._behind_ms
        limit = min(count, self.page)
        call = self._api.fetch_ohlcv(_unified(symbol), TIMEFRAME, start_ms, limit)
        rows = await self._asked(call)
        try:
            found = [Candle(int(row[0]), *(float(value) for value in row[1:6])) for row in rows]
        except (TypeError, ValueError) as error:
            raise ExchangeAway(f"{self.name} told of a candle that cannot be read: {error}") from None
        wrong = next((candle for candle in found if not believable(candle)), None)
        if wrong is not None or any(a.time_ms >= b.time_ms for a, b in itertools.pairwise(found)):
            raise ExchangeAway(f"{self.name} told of candles that cannot be right: {wrong}")
        return asked_ms, [candle for candle in found if start_ms <= candle.time_ms <= asked_ms]

    async def quotes(self, symbols: Sequence[str]) -> dict[str, Quote]:
        """The best prices now; markets without any are left out. Raises ExchangeAway."""
        asked_ms = self._clock.now_ms()
        names = [_unified(symbol) for symbol in symbols]
        if self.name in BATCHES:
            tickers = await self._asked(self._api.fetch_tickers(names))
        else:
            tickers = await self._each_ticker(names)
        found = {}
        for symbol, name in zip(symbols, names, strict=True):
            ticker = tickers.get(name) or {}
            bid, ask, last = (_price(ticker.get(field)) for field in ("bid", "ask", "last"))
            quote = Quote(bid, ask, last, asked_ms)
            if quote.price is not None and (bid is None or ask is None or bid <= ask):
                found[symbol] = quote
        return found

    async def close(self) -> None:
        """Closes its connections."""
        if self._api is not None:
            await self._api.close()

    async def _each_ticker(self, names: Sequence[str]) -> dict[str, Any]:
        """A call each; those that fail are left out unless all do."""
        calls = (self._asked(self._api.fetch_ticker(name)) for name in names)
        told = dict(zip(names, await asyncio.gather(*calls, return_exceptions=True), strict=True))
        failed = [answer for answer in told.values() if isinstance(answer, BaseException)]
        unexpected = next((error for error in failed if not isinstance(error, ExchangeAway)), None)
        if unexpected is not None or (failed and len(failed) == len(names)):
            raise unexpected or failed[0]
        return {name: answer for name, answer in told.items() if not isinstance(answer, BaseException)}

    def _options(self) -> dict[str, Any]:
        options: dict[str, Any] = {"timeout": TIMEOUT_S * 1000, "aiohttp_trust_env": True}
        options["enableRateLimit"] = self._throttled
        if self._base_url is not None:
            base = self._base_url.rstrip("/")
            options["urls"] = {"api": {"rest": base, "public": base, "private": base}}
        return options

    async def _asked(self, call: Any, seconds: float = DEADLINE_S) -> Any:
        """An answer; the vendor's failures become ours."""
        errors: Any = importlib.import_module("ccxt.base.errors")
        try:
            async with asyncio.timeout(seconds):
                return await call
        except (errors.RateLimitExceeded, errors.DDoSProtection) as error:
            raise ExchangeAway(_said(error), busy=True) from None
        except Exception as error:  # ccxt reads answers without looking: one of another shape may raise anything
            raise ExchangeAway(_said(error)) from error


def rules_of(market: Mapping[str, Any], default: MarketRules) -> MarketRules:
    """A market's rules as ccxt tells them; what it does not tell is the venue's default."""
    precision, limits = market["precision"], market["limits"]
    tick, step = precision.get("price"), precision.get("amount")
    quantity, cost = limits["amount"].get("min"), limits["cost"].get("min")
    return MarketRules(
        tick=default.tick if not tick else float(tick),
        step=default.step if not step else max(1, _up(step)),
        minimum_quantity=default.minimum_quantity if not quantity else _up(quantity),
        minimum_cost=default.minimum_cost if not cost else units(cost),
    )


def _up(amount: float) -> int:
    """An amount in units, a fraction of one counting as a whole."""
    return math.ceil(Decimal(str(amount)) * ONE)


def _unified(symbol: str) -> str:
    return symbol.replace("-", "/")


def _price(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) and value > 0 else None


def _said(error: BaseException) -> str:
    return (str(error) or type(error).__name__)[:200]
