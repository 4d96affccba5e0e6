"""What trading needs of the outside: a market's candles, and a broker that takes orders."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from nija_trading.domain.apex.parameters import RiskProfile
from nija_trading.domain.apex.step import SymbolClose
from nija_trading.domain.brokering import Reply
from nija_trading.domain.connections import BrokerKey, KeyReport
from nija_trading.domain.controls import MarketClock
from nija_trading.domain.desk import Desk
from nija_trading.domain.matching.terms import Venue
from nija_trading.domain.records import Order
from nija_trading.domain.stepping import Opening
from nija_trading.domain.trading import Mark


@dataclass(frozen=True, slots=True)
class Look:
    """One market that a bot looks at. `since_ms`: steps behind this one are still to be taken by somebody who holds
    something; None: only what comes matters. `opening`: an order waits for the open of the next candle."""

    broker: str
    symbol: str
    since_ms: int | None = None
    opening: bool = False


class Market(Protocol):
    """Closed candles and the steps that they make. Steps are closing times (UTC milliseconds of the market).

    Candles and features of a market are computed once, whatever the number of bots that look at them. All reads answer
    from memory; what an exchange has to be asked for is read by `run` and `ask`, outside of every unit of work.
    """

    @property
    def paced(self) -> bool:
        """Whether steps come by a clock of the market's own, which is stored; else they come with the time of day."""
        ...

    @property
    def look_ms(self) -> int | None:
        """How long after a step prices are looked at again; None where nothing happens between two steps."""
        ...

    @property
    def first_ms(self) -> int:
        """The first step that is decided."""
        ...

    @property
    def last_ms(self) -> int | None:
        """The last step there will be; None where there is no end."""
        ...

    def due(self, clock: MarketClock | None, now_ms: int) -> int:
        """The last step that has come by the wall clock's `now_ms`; without a clock where the market is not paced."""
        ...

    def comes_at(self, clock: MarketClock | None, step_ms: int) -> int:
        """When a step comes, by the wall clock."""
        ...

    def after(self, step_ms: int) -> int | None:
        """The step after this one; None behind the last."""
        ...

    def closes(
        self, broker: str, symbols: Iterable[str], step_ms: int, profile: RiskProfile
    ) -> tuple[SymbolClose, ...]:
        """The candles of these symbols that close at a step, in the order given, with their signals."""
        ...

    def openings(self, broker: str, symbols: Iterable[str], step_ms: int) -> tuple[Opening, ...]:
        """The candles that open at a step and whose first price is known."""
        ...

    def known(self, broker: str, symbol: str, step_ms: int) -> bool:
        """Whether a symbol's candle of a step is there, or is known to be missing."""
        ...

    def waits(self, broker: str, symbols: Iterable[str], step_ms: int) -> bool:
        """Whether a step over these symbols is still to wait for candles."""
        ...

    def loaded(self, broker: str, symbols: Iterable[str]) -> bool:
        """Whether each of these has its first candles, or is known not to be traded at that broker."""
        ...

    def mark(self, broker: str, symbol: str, step_ms: int) -> Mark | None:
        """The last close at a step; None where there is none yet."""
        ...

    def price(self, broker: str, symbol: str, step_ms: int) -> Mark | None:
        """What an order is filled at that no close decides: a fresh quote where there is one, else the last close."""
        ...

    def last_open(self, broker: str, symbols: Iterable[str], step_ms: int) -> int | None:
        """Opening of the newest candle of these symbols that has closed by a step."""
        ...

    def venue(self, broker: str) -> Venue:
        """A broker's fees, and the rules of its markets as far as they are known."""
        ...

    def notes(self) -> Mapping[str, str]:
        """What is wrong with the data, for people: by `broker` or by `broker/symbol`."""
        ...

    def watch(self, looks: Iterable[Look]) -> None:
        """All that the bots of this worker look at from now on."""
        ...

    async def ask(self, broker: str, symbols: Iterable[str]) -> None:
        """Reads quotes for an order that is about to be filled. Raises nothing, and comes back within two seconds."""
        ...

    async def run(self, moved: Callable[[], object]) -> None:
        """Reads what is watched, until cancelled; `moved` is called when there is news."""
        ...

    async def close(self) -> None:
        """Closes its connections."""
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
