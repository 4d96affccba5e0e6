"""What the fake exchange knows: markets, prices, keys with their balances; which calls came, and which are to fail.

One object stands for Coinbase and Kraken alike; each venue's modules translate names and shapes. Symbols are written
`BTC-USD`. Amounts and prices are decimal text, as the venues send them. The server runs in a thread of its own: a test
changes the state between calls, or under `lock`.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Literal

Venue = Literal["coinbase", "kraken"]


@dataclass(frozen=True, slots=True)
class Market:
    """A spot market. `price_step`, `quantity_step`: least increments; `least_quantity`, `least_cost`: smallest order."""

    symbol: str
    price_step: str = "0.01"
    quantity_step: str = "0.00000001"
    least_quantity: str = "0.0001"
    least_cost: str = "1"

    @property
    def base(self) -> str:
        return self.symbol.split("-")[0]

    @property
    def quote(self) -> str:
        return self.symbol.split("-")[1]


@dataclass(frozen=True, slots=True)
class Candle:
    """One candle. `start_s`: opening, Unix seconds."""

    start_s: int
    open: str
    high: str
    low: str
    close: str
    volume: str


@dataclass(frozen=True, slots=True)
class Quote:
    """The best prices and the last one."""

    bid: str
    ask: str
    last: str


@dataclass(slots=True)
class ApiKey:
    """An account's key. `verifier`: what checks its signatures: for Coinbase a public key in PEM, or the secret of a
    legacy key; for Kraken the secret in base64. `permissions` are the venue's own words (Coinbase: view, trade,
    transfer; Kraken: query-funds, modify-trades, withdraw-funds, …)."""

    name: str
    venue: Venue
    verifier: str = field(repr=False)
    permissions: frozenset[str]
    balances: dict[str, str] = field(default_factory=dict)
    held: dict[str, str] = field(default_factory=dict)
    last_nonce: int = 0


class FaultKind(StrEnum):
    """What goes wrong. `drop` closes the connection without an answer; `garbage` is HTML with status 200."""

    DELAY = "delay"
    DROP = "drop"
    STATUS = "status"
    GARBAGE = "garbage"


@dataclass(frozen=True, slots=True)
class Fault:
    """One failure. `delay_s` passes first, whatever the kind; `status` is that of STATUS, with `retry_after` for a 429.

    `after`: the call takes its effect, and only its answer is lost.
    """

    kind: FaultKind
    status: int = 503
    delay_s: float = 0.0
    retry_after: int | None = None
    after: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """A call that came: `key` is the name of the API key that signed it, where one did."""

    venue: Venue
    method: str
    path: str
    query: str
    at_s: float
    key: str | None = None


@dataclass(slots=True)
class _Script:
    path: str
    faults: deque[Fault]
    always: Fault | None


class Exchange:
    """The state. `now_s` is the exchange's own clock (Unix seconds)."""

    def __init__(self, now_s: Callable[[], float] = time.time) -> None:
        self.now_s = now_s
        self.lock = threading.RLock()
        self.markets: dict[str, Market] = {}
        self.quotes: dict[str, Quote] = {}
        self.candles: dict[tuple[str, int], list[Candle]] = {}
        self.keys: dict[str, ApiKey] = {}
        self.calls: list[Call] = []
        self._scripts: list[_Script] = []

    def add_market(self, market: Market, quote: Quote | None = None) -> Market:
        """Lists a market."""
        with self.lock:
            self.markets[market.symbol] = market
            if quote is not None:
                self.quotes[market.symbol] = quote
        return market

    def add_candles(self, symbol: str, seconds: int, candles: Iterable[Candle]) -> None:
        """Adds candles of a timeframe; those that are there are replaced by the same opening."""
        with self.lock:
            known = {candle.start_s: candle for candle in self.candles.get((symbol, seconds), [])}
            known.update((candle.start_s, candle) for candle in candles)
            self.candles[symbol, seconds] = [known[start] for start in sorted(known)]

    def add_key(self, key: ApiKey) -> ApiKey:
        """Opens an account with that key."""
        with self.lock:
            self.keys[key.name] = key
        return key

    def will_fail(self, path: str, *faults: Fault, always: Fault | None = None) -> None:
        """The next calls whose path contains `path` fail in this order; after them each one as `always`, if given."""
        with self.lock:
            self._scripts.append(_Script(path, deque(faults), always))

    def heal(self) -> None:
        """Nothing fails any more."""
        with self.lock:
            self._scripts.clear()

    def next_fault(self, path: str) -> Fault | None:
        """What is to happen to this call; taken from the script."""
        with self.lock:
            for script in self._scripts:
                if script.path not in path:
                    continue
                if script.faults:
                    return script.faults.popleft()
                if script.always is not None:
                    return script.always
        return None

    def record(self, call: Call) -> None:
        """Notes a call."""
        with self.lock:
            self.calls.append(call)

    def calls_to(self, path: str) -> list[Call]:
        """The calls whose path contains `path`, in the order in which they came."""
        with self.lock:
            return [call for call in self.calls if path in call.path]

    def accept_nonce(self, key: ApiKey, nonce: int) -> bool:
        """Whether a nonce is above all that this key has used; it is used then."""
        with self.lock:
            if nonce <= key.last_nonce:
                return False
            key.last_nonce = nonce
            return True

    def held_of(self, key: ApiKey, asset: str) -> Decimal:
        """What open orders hold of an asset."""
        return Decimal(key.held.get(asset, "0"))
