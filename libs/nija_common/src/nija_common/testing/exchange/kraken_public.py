"""Kraken spot, the paths that need no key: assets, pairs, candles, prices, the book, the time, the system's state.

Errors come with status 200. A pair is asked for by any of its names and answered under the one that Kraken keeps
(`XXBTZUSD`). The last candle of an answer is the one that is still being made. Not here: WebSockets.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from nija_common.testing.exchange.coinbase_public import known_at
from nija_common.testing.exchange.kraken_private import ASSETS
from nija_common.testing.exchange.state import Candle, Exchange, Market

MOST_CANDLES = 720
INTERVALS = (1, 5, 15, 30, 60, 240, 1440, 10080, 21600)
ALTERNATIVE = {"BTC": "XBT"}


def routes(exchange: Exchange) -> list[Route]:
    """The public paths."""
    paths = _Public(exchange)
    return [
        Route("/0/public/Time", paths.time),
        Route("/0/public/SystemStatus", paths.status),
        Route("/0/public/Assets", paths.assets),
        Route("/0/public/AssetPairs", paths.pairs),
        Route("/0/public/Ticker", paths.ticker),
        Route("/0/public/Depth", paths.depth),
        Route("/0/public/OHLC", paths.candles),
    ]


class _Public:
    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def time(self, request: Request) -> Response:
        now = self._exchange.now_s()
        told = datetime.fromtimestamp(now, UTC).strftime("%a, %d %b %y %H:%M:%S +0000")
        return _result({"unixtime": int(now), "rfc1123": told})

    async def status(self, request: Request) -> Response:
        told = datetime.fromtimestamp(self._exchange.now_s(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return _result({"status": "online", "timestamp": told})

    async def assets(self, request: Request) -> Response:
        with self._exchange.lock:
            codes = {code for market in self._exchange.markets.values() for code in (market.base, market.quote)}
        found = {}
        for code in sorted(codes):
            told = {"aclass": "currency", "altname": ALTERNATIVE.get(code, code), "decimals": 10}
            found[ASSETS.get(code, code)] = {**told, "display_decimals": 5, "status": "enabled"}
        return _result(found)

    async def pairs(self, request: Request) -> Response:
        with self._exchange.lock:
            return _result({id_of(market): _pair(market) for market in self._exchange.markets.values()})

    async def ticker(self, request: Request) -> Response:
        found = {}
        for name in filter(None, request.query_params.get("pair", "").split(",")):
            market = self._market(name)
            quote = None if market is None else self._exchange.quotes.get(market.symbol)
            if market is None or quote is None:
                return _error("EQuery:Unknown asset pair")
            found[id_of(market)] = {
                "a": [quote.ask, "1", "1.000"],
                "b": [quote.bid, "1", "1.000"],
                "c": [quote.last, "0.00100000"],
                "v": ["100.00000000", "600.00000000"],
                "p": [quote.last, quote.last],
                "t": [6405, 21103],
                "l": [quote.last, quote.last],
                "h": [quote.last, quote.last],
                "o": quote.last,
            }
        return _result(found)

    async def depth(self, request: Request) -> Response:
        market = self._market(request.query_params.get("pair", ""))
        quote = None if market is None else self._exchange.quotes.get(market.symbol)
        if market is None or quote is None:
            return _error("EQuery:Unknown asset pair")
        now = int(self._exchange.now_s())
        return _result({id_of(market): {"asks": [[quote.ask, "1.000", now]], "bids": [[quote.bid, "1.000", now]]}})

    async def candles(self, request: Request) -> Response:
        asked = request.query_params
        market = self._market(asked.get("pair", ""))
        if market is None:
            return _error("EQuery:Unknown asset pair")
        interval = int(asked.get("interval", "1"))
        if interval not in INTERVALS:
            return _error("EGeneral:Invalid arguments")
        since, seconds, now = int(asked.get("since", "-1")), 60 * interval, self._exchange.now_s()
        with self._exchange.lock:
            found = list(self._exchange.candles.get((market.symbol, seconds), ()))
        told = [known_at(candle, seconds, now) for candle in found if since < candle.start_s <= now]
        rows = [_row(candle) for candle in told[-MOST_CANDLES:]]
        last = rows[-2][0] if len(rows) > 1 else since
        return _result({id_of(market): rows, "last": last})

    def _market(self, name: str) -> Market | None:
        with self._exchange.lock:
            for market in self._exchange.markets.values():
                if name in (id_of(market), _alternative(market), market.symbol.replace("-", "/")):
                    return market
        return None


def id_of(market: Market) -> str:
    """The name that Kraken keeps a pair under."""
    base, quote = ASSETS.get(market.base, market.base), ASSETS.get(market.quote, market.quote)
    old = base != market.base and quote != market.quote
    return base + quote if old else _alternative(market)


def _alternative(market: Market) -> str:
    return ALTERNATIVE.get(market.base, market.base) + ALTERNATIVE.get(market.quote, market.quote)


def _pair(market: Market) -> dict[str, object]:
    return {
        "altname": _alternative(market),
        "wsname": f"{ALTERNATIVE.get(market.base, market.base)}/{market.quote}",
        "aclass_base": "currency",
        "base": ASSETS.get(market.base, market.base),
        "aclass_quote": "currency",
        "quote": ASSETS.get(market.quote, market.quote),
        "lot": "unit",
        "cost_decimals": 5,
        "pair_decimals": _decimals(market.price_step),
        "lot_decimals": _decimals(market.quantity_step),
        "lot_multiplier": 1,
        "leverage_buy": [],
        "leverage_sell": [],
        "fees": [[0, 0.4], [10_000, 0.35]],
        "fees_maker": [[0, 0.25], [10_000, 0.2]],
        "fee_volume_currency": "ZUSD",
        "margin_call": 80,
        "margin_stop": 40,
        "ordermin": market.least_quantity,
        "costmin": market.least_cost,
        "tick_size": market.price_step,
        "status": "online",
    }


def _decimals(step: str) -> int:
    exponent = Decimal(step).normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _row(candle: Candle) -> list[object]:
    prices = [candle.open, candle.high, candle.low, candle.close]
    return [candle.start_s, *prices, candle.close, candle.volume, 1]


def _result(result: Mapping[str, object]) -> Response:
    return JSONResponse({"error": [], "result": result})


def _error(message: str) -> Response:
    return JSONResponse({"error": [message]})
