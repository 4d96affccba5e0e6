"""Coinbase Advanced Trade, the paths that need no key: products, candles, prices, the book, currencies, the time.

Numbers are text, candles come newest first, and an interval without a trade has no candle. A candle that is still
being made shows what is known of it: its open. Not here: WebSockets, futures.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from nija_common.testing.exchange.state import Candle, Exchange, Market, Quote

GRANULARITIES = {
    "ONE_MINUTE": 60,
    "FIVE_MINUTE": 300,
    "FIFTEEN_MINUTE": 900,
    "THIRTY_MINUTE": 1800,
    "ONE_HOUR": 3600,
    "TWO_HOUR": 7200,
    "SIX_HOUR": 21_600,
    "ONE_DAY": 86_400,
}
MOST_CANDLES = 350
"""Coinbase refuses a span that could hold as many."""
FIAT = {"USD": "US Dollar", "EUR": "Euro", "GBP": "British Pound"}
FIRST_TRADE = "0.00000001"


def routes(exchange: Exchange) -> list[Route]:
    """The public paths."""
    paths = _Public(exchange)
    market = "/api/v3/brokerage/market"
    return [
        Route("/v2/time", paths.time),
        Route("/api/v3/brokerage/time", paths.time_v3),
        Route("/v2/currencies", paths.fiat),
        Route("/v2/currencies/crypto", paths.crypto),
        Route("/v2/exchange-rates", paths.rates),
        Route(f"{market}/products", paths.products),
        Route(f"{market}/product_book", paths.book),
        Route(f"{market}/products/{{product_id}}", paths.product),
        Route(f"{market}/products/{{product_id}}/ticker", paths.ticker),
        Route(f"{market}/products/{{product_id}}/candles", paths.candles),
    ]


class _Public:
    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def time(self, request: Request) -> Response:
        now = self._exchange.now_s()
        return JSONResponse({"data": {"iso": _iso(now), "epoch": int(now)}})

    async def time_v3(self, request: Request) -> Response:
        now = self._exchange.now_s()
        told = {"iso": _iso(now), "epochSeconds": str(int(now)), "epochMillis": str(int(now * 1000))}
        return JSONResponse(told)

    async def fiat(self, request: Request) -> Response:
        found = [{"id": code, "name": name, "min_size": "0.01"} for code, name in FIAT.items()]
        return JSONResponse({"data": found})

    async def crypto(self, request: Request) -> Response:
        with self._exchange.lock:
            bases = sorted({market.base for market in self._exchange.markets.values()})
        found = [{"asset_id": f"asset-{code.lower()}", "code": code, "name": code, "exponent": 8} for code in bases]
        return JSONResponse({"data": [{**each, "type": "crypto", "color": "#000000"} for each in found]})

    async def rates(self, request: Request) -> Response:
        with self._exchange.lock:
            rates = {
                market.base: str(1 / Decimal(quote.last))
                for symbol, market in self._exchange.markets.items()
                if market.quote == "USD" and (quote := self._exchange.quotes.get(symbol)) is not None
            }
        return JSONResponse({"data": {"currency": "USD", "rates": {"USD": "1.0", **rates}}})

    async def products(self, request: Request) -> Response:
        if request.query_params.get("product_type") == "FUTURE":
            return JSONResponse({"products": [], "num_products": 0, "pagination": None})
        with self._exchange.lock:
            found = [self._product(market) for market in self._exchange.markets.values()]
        return JSONResponse({"products": found, "num_products": len(found), "pagination": None})

    async def product(self, request: Request) -> Response:
        market = self._exchange.markets.get(request.path_params["product_id"])
        return _unknown() if market is None else JSONResponse(self._product(market))

    async def ticker(self, request: Request) -> Response:
        symbol = request.path_params["product_id"]
        quote = self._exchange.quotes.get(symbol)
        if quote is None:
            return _unknown()
        trade = {
            "trade_id": "1",
            "product_id": symbol,
            "price": quote.last,
            "size": "0.001",
            "time": _iso(self._exchange.now_s()),
            "side": "BUY",
            "bid": "",
            "ask": "",
            "exchange": "coinbase",
        }
        return JSONResponse({"trades": [trade], "best_bid": quote.bid, "best_ask": quote.ask})

    async def book(self, request: Request) -> Response:
        symbol = request.query_params.get("product_id", "")
        quote = self._exchange.quotes.get(symbol)
        if quote is None:
            return _unknown()
        middle = (Decimal(quote.bid) + Decimal(quote.ask)) / 2
        spread = Decimal(quote.ask) - Decimal(quote.bid)
        side = {name: [{"price": price, "size": "1"}] for name, price in (("bids", quote.bid), ("asks", quote.ask))}
        pricebook = {"product_id": symbol, **side, "time": _iso(self._exchange.now_s())}
        return JSONResponse(
            {
                "pricebook": pricebook,
                "last": quote.last,
                "mid_market": str(middle),
                "spread_bps": str(spread / middle * 10_000),
                "spread_absolute": str(spread),
            }
        )

    async def candles(self, request: Request) -> Response:
        symbol = request.path_params["product_id"]
        if symbol not in self._exchange.markets:
            return _unknown()
        asked = request.query_params
        seconds = GRANULARITIES.get(asked.get("granularity", ""))
        if seconds is None:
            return _refused("unsupported granularity")
        start, end = int(asked.get("start", "0")), int(asked.get("end", "0"))
        if (end - start) // seconds >= MOST_CANDLES:
            return _refused("number of candles requested should be less than 350")
        now = self._exchange.now_s()
        with self._exchange.lock:
            found = list(self._exchange.candles.get((symbol, seconds), ()))
        told = [_row(known_at(candle, seconds, now)) for candle in found if start <= candle.start_s <= min(end, now)]
        return JSONResponse({"candles": told[::-1]})

    def _product(self, market: Market) -> dict[str, object]:
        quote = self._exchange.quotes.get(market.symbol, Quote("", "", ""))
        return {
            "product_id": market.symbol,
            "price": quote.last,
            "price_percentage_change_24h": "0.1",
            "volume_24h": "1000",
            "base_increment": market.quantity_step,
            "quote_increment": market.price_step,
            "price_increment": market.price_step,
            "quote_min_size": market.least_cost,
            "quote_max_size": "150000000",
            "base_min_size": market.least_quantity,
            "base_max_size": "3400",
            "base_name": market.base,
            "quote_name": FIAT.get(market.quote, market.quote),
            "is_disabled": False,
            "new": False,
            "status": "online",
            "cancel_only": False,
            "limit_only": False,
            "post_only": False,
            "trading_disabled": False,
            "auction_mode": False,
            "product_type": "SPOT",
            "quote_currency_id": market.quote,
            "base_currency_id": market.base,
            "fcm_trading_session_details": None,
            "base_display_symbol": market.base,
            "quote_display_symbol": market.quote,
            "view_only": False,
            "display_name": market.symbol,
            "product_venue": "CBE",
            "best_bid_price": "",
            "best_ask_price": "",
        }


def known_at(candle: Candle, seconds: int, now_s: float) -> Candle:
    """What an exchange can tell of a candle at a moment at or after its opening: all of it, or only its open."""
    if now_s >= candle.start_s + seconds:
        return candle
    price = candle.open
    return Candle(candle.start_s, price, price, price, price, FIRST_TRADE)


def _row(candle: Candle) -> dict[str, str]:
    return {
        "start": str(candle.start_s),
        "low": candle.low,
        "high": candle.high,
        "open": candle.open,
        "close": candle.close,
        "volume": candle.volume,
    }


def _iso(now_s: float) -> str:
    return datetime.fromtimestamp(now_s, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _unknown() -> Response:
    return JSONResponse({"error": "NOT_FOUND", "error_details": "valid product_id is required"}, 404)


def _refused(reason: str) -> Response:
    return JSONResponse({"error": "INVALID_ARGUMENT", "error_details": reason, "message": reason}, 400)
