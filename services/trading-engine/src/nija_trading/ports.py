"""What trading needs of the outside: a market's candles, and a broker that takes orders."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from nija_trading.domain.apex.parameters import RiskProfile
from nija_trading.domain.apex.step import SymbolClose
from nija_trading.domain.brokering import Reply
from nija_trading.domain.connections import BrokerKey, KeyReport
from nija_trading.domain.controls import MarketClock
from nija_trading.domain.desk import Desk
from nija_trading.domain.records import Order
from nija_trading.domain.stepping import Opening
from nija_trading.domain.trading import Mark


class Market(Protocol):
    """Closed candles and the steps that they make. Steps are closing times (UTC milliseconds of the market).

    Candles and features of a market are computed once, whatever the number of bots that look at them.
    """

    @property
    def first_ms(self) -> int:
        """The first step that is decided."""
        ...

    @property
    def last_ms(self) -> int | None:
        """The last step there will be; None where there is no end."""
        ...

    def due(self, clock: MarketClock, now_ms: int) -> int:
        """The last step that has come by the wall clock's `now_ms`."""
        ...

    def comes_at(self, clock: MarketClock, step_ms: int) -> int:
        """When a step comes, by the wall clock."""
        ...

    def after(self, step_ms: int) -> int | None:
        """The step after this one; None behind the last."""
        ...

    def closes(self, symbols: Iterable[str], step_ms: int, profile: RiskProfile) -> tuple[SymbolClose, ...]:
        """The candles of these symbols that close at a step, in the order given, with their signals."""
        ...

    def openings(self, symbols: Iterable[str], step_ms: int) -> tuple[Opening, ...]:
        """The candles of the step after this one whose open is known as soon as this one has closed."""
        ...

    def mark(self, symbol: str, step_ms: int) -> Mark | None:
        """The last known price at a step; None where there is none yet."""
        ...

    def last_open(self, symbols: Iterable[str], step_ms: int) -> int | None:
        """Opening of the newest candle of these symbols that has closed by a step."""
        ...


class Broker(Protocol):
    """Takes orders by a client order id of ours. An id that was sent once is never sent again blindly."""

    async def submit(self, desk: Desk, order: Order) -> Reply:
        """Sends an intent."""
        ...

    async def look_up(self, desk: Desk, order: Order) -> Reply | None:
        """What became of an intent whose answer was lost; None where it is certain that it was never sent."""
        ...

    async def cash(self, desk: Desk) -> int | None:
        """The ledger's cash in units of 1e-8, to be compared with what its recorded fills explain. None where that is not
        possible now: an order may have been filled of which the desk does not know yet."""
        ...


class BrokerKeys(Protocol):
    """Tries keys at exchanges. All calls with one key go one after the other."""

    async def check(self, broker: str, key: BrokerKey) -> KeyReport:
        """Asks the exchange what the key may do and how much cash there is.

        Raises INVALID_API_KEY where the exchange refuses the key, BROKER_ERROR where it cannot be asked. What the
        exchange or its library said is in neither.
        """
        ...
