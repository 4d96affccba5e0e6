"""The plain runner: one account over one or several feeds, step by step, in memory.

It calls exactly the functions that the live worker calls with storage in between, in the same order: matching,
booking, decision, orders. It is the reference for a fast backtester; it keeps no statistics.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nija_trading.domain.apex.booking import book
from nija_trading.domain.apex.features import features
from nija_trading.domain.apex.protections import Protections
from nija_trading.domain.apex.signals import signals
from nija_trading.domain.apex.step import AccountView, Refusal, Rulebook, SymbolClose, decide
from nija_trading.domain.market.candles import Candles
from nija_trading.domain.market.timeline import Timeline
from nija_trading.domain.matching.book import PaperBook, move_stop, place
from nija_trading.domain.matching.match import Matched, open_phase, rest_of_candle
from nija_trading.domain.matching.orders import Fill, MarketOrder, Side
from nija_trading.domain.matching.position import PositionState


@dataclass(frozen=True, slots=True)
class Trade:
    """A position with its fills: the entry first, then the exits."""

    position: PositionState
    fills: tuple[Fill, ...]

    @property
    def exits(self) -> tuple[Fill, ...]:
        """The fills that sold."""
        return self.fills[1:]


@dataclass(frozen=True, slots=True)
class Simulation:
    """What a run left: closed trades in the order of their last exits, open ones apart, and the last state.

    `equity` is (closing time, equity in units of 1e-8) of each step; `refusals` (closing time, refusal);
    `orders` the number of filled orders.
    """

    trades: tuple[Trade, ...]
    open_trades: tuple[Trade, ...]
    equity: tuple[tuple[int, int], ...]
    refusals: tuple[tuple[int, Refusal], ...]
    orders: int
    book: PaperBook
    protections: Protections


def simulate(
    feeds: Mapping[str, Candles], rules: Rulebook, cash: int, pairs: Sequence[str] | None = None
) -> Simulation:
    """Run APEX over `{symbol: candles}` from `cash` (units of 1e-8); `pairs` is the order of `allowed_pairs`.

    ValueError without candles or with feeds of several timeframes.
    """
    run = _Run(feeds, rules, cash, tuple(feeds) if pairs is None else tuple(pairs))
    for step in range(run.timeline.first_step, len(run.timeline)):
        run.step(step)
    return run.result()


class _Run:
    """One account on its way along the timeline."""

    def __init__(self, feeds: Mapping[str, Candles], rules: Rulebook, cash: int, pairs: tuple[str, ...]) -> None:
        self.feeds = feeds
        self.rules = rules
        self.pairs = pairs
        self.timeline = Timeline.of(feeds, rules.params.warm_up)
        self.signals = {
            symbol: signals(features(candles, rules.params), rules.params, rules.profile)
            for symbol, candles in feeds.items()
        }
        self.book = PaperBook(cash)
        self.protections = Protections.start(cash)
        self.positions: Mapping[str, PositionState] = {}
        self.sent: dict[str, MarketOrder] = {}
        self.marks: dict[str, float] = {}
        self.fills: dict[str, list[Fill]] = {}
        self.trades: list[Trade] = []
        self.equity: list[tuple[int, int]] = []
        self.refusals: list[tuple[int, Refusal]] = []
        self.orders = 0

    def step(self, step: int) -> None:
        """Match the candles that close at this step, book, decide, and put the orders into the book."""
        closed_ms = int(self.timeline.closes_ms[step])
        closes: list[SymbolClose] = []
        for symbol in self.pairs:
            index = self.timeline.candle_at(symbol, step)
            if index is not None:
                row = self.signals[symbol].row(index)
                closes.append(SymbolClose(symbol, self.feeds[symbol][index], row))
        if not closes:
            return
        for close in closes:
            candle = close.candle
            self._book(open_phase(self.book, self.rules.venue, close.symbol, candle.time_ms, candle.open))
        for close in closes:
            self._book(rest_of_candle(self.book, self.rules.venue, close.symbol, close.candle))
            self.marks[close.symbol] = close.candle.close
        self._decide(closes, closed_ms)

    def _book(self, matched: Matched) -> None:
        """Book fills and endings, and keep each trade's fills together."""
        self.book = matched.book
        if not matched.fills and not matched.ended:
            return
        booked = book(self.positions, self.protections, matched.fills, matched.ended, self.sent, self.rules)
        self.positions, self.protections = booked.positions, booked.protections
        self.orders += len(matched.fills)
        finished = {position.symbol: position for position in booked.closed}
        for fill in matched.fills:
            self.fills.setdefault(fill.symbol, []).append(fill)
            self.sent.pop(fill.order_id, None)
        for ended in matched.ended:
            self.sent.pop(ended.order_id, None)
        for symbol, position in finished.items():
            self.trades.append(Trade(position, tuple(self.fills.pop(symbol))))

    def _decide(self, closes: Sequence[SymbolClose], closed_ms: int) -> None:
        waiting = self.sent.values()
        view = AccountView(
            cash=self.book.cash,
            positions=self.positions,
            protections=self.protections,
            allowed_pairs=self.pairs,
            marks=self.marks,
            pending_entries={o.symbol: o.value or 0 for o in waiting if o.side is Side.BUY},
            pending_exits=frozenset(o.symbol for o in waiting if o.side is Side.SELL),
        )
        decision = decide(view, closes, self.rules)
        self.protections = decision.protections
        self.positions = {**self.positions, **decision.positions}
        for move in decision.stop_moves:
            self.book = move_stop(self.book, move.symbol, move.price, move.reason)
        for leave in decision.exits:
            self._send(leave.order(f"{leave.symbol}-{closed_ms}-sell", closed_ms))
        for enter in decision.entries:
            order_id = f"{enter.symbol}-{closed_ms}-buy"
            self._send(enter.order(order_id, closed_ms, self.rules.params))
        self.equity.append((closed_ms, decision.equity))
        self.refusals += [(closed_ms, refusal) for refusal in decision.refusals]

    def _send(self, order: MarketOrder) -> None:
        self.sent[order.order_id] = order
        self.book = place(self.book, order)

    def result(self) -> Simulation:
        """The run as a value; positions that are still open stand apart."""
        still = tuple(Trade(position, tuple(self.fills[symbol])) for symbol, position in self.positions.items())
        return Simulation(
            tuple(self.trades),
            still,
            tuple(self.equity),
            tuple(self.refusals),
            self.orders,
            self.book,
            self.protections,
        )
