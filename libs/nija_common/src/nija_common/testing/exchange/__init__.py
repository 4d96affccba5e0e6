"""A fake exchange: what Coinbase and Kraken answer over HTTP, from a state that a test writes. For tests and by hand.

`state.py` is what the exchange knows, `server.py` the real HTTP server around it; one module for each venue's public
and private paths. It checks signatures as the venues do, and fails when it is told to. It is no simulator of markets.
"""

from __future__ import annotations

from nija_common.testing.exchange.server import RunningExchange, run_exchange
from nija_common.testing.exchange.state import ApiKey, Call, Candle, Exchange, Fault, FaultKind, Market, Quote

__all__ = [
    "ApiKey",
    "Call",
    "Candle",
    "Exchange",
    "Fault",
    "FaultKind",
    "Market",
    "Quote",
    "RunningExchange",
    "run_exchange",
]
