"""Stepping as a live worker does gives exactly the trades of `simulate`.

Candle by candle features, everything through JSON between two steps, and the next open as soon as it is known.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import pytest

from nija_trading.domain.apex.booking import book as book_fills
from nija_trading.domain.apex.features import FeedState, advance, start_feed
from nija_trading.domain.apex.parameters import PROFILES, Limits, Parameters, RiskLevel
from nija_trading.domain.apex.protections import Protections
from nija_trading.domain.apex.signals import signals
from nija_trading.domain.apex.simulate import simulate
from nija_trading.domain.apex.step import AccountView, Rulebook, SymbolClose, decide
from nija_trading.domain.market.candles import Candles
from nija_trading.domain.market.timeline import Timeline
from nija_trading.domain.matching.book import PaperBook, move_stop, place
from nija_trading.domain.matching.codec import order_from, order_to
from nija_trading.domain.matching.match import Matched, open_phase, rest_of_candle
from nija_trading.domain.matching.money import units
from nija_trading.domain.matching.orders import MarketOrder, Side
from nija_trading.domain.matching.position import PositionState
from nija_trading.domain.matching.terms import COINBASE

HOUR = 3_600_000


class Worker:
    """One account, kept as JSON text between two steps, and the feeds' states."""

    def __init__(self, feeds: Mapping[str, Candles], rules: Rulebook, cash: int) -> None:
        self.feeds, self.rules = feeds, rules
        self.states: dict[str, FeedState] = {}
        self.fills: list[Any] = []
        self.kept = self.dump(PaperBook(cash), {}, Protections.start(cash), {}, {})

    @staticmethod
    def dump(
        book: PaperBook,
        positions: Mapping[str, PositionState],
        protections: Protections,
        sent: Mapping[str, MarketOrder],
        marks: Mapping[str, float],
    ) -> str:
        return json.dumps(
            {
                "book": book.to_dict(),
                "positions": {symbol: position.to_dict() for symbol, position in positions.items()},
                "protections": protections.to_dict(),
                "sent": {order_id: order_to(order) for order_id, order in sent.items()},
                "marks": dict(marks),
            }
        )

    def load(self) -> None:
        kept = json.loads(self.kept)
        self.book = PaperBook.from_dict(kept["book"])
        self.positions: Mapping[str, PositionState] = {
            symbol: PositionState.from_dict(row) for symbol, row in kept["positions"].items()
        }
        self.protections = Protections.from_dict(kept["protections"])
        self.sent: dict[str, Any] = {order_id: order_from(row) for order_id, row in kept["sent"].items()}
        self.marks: dict[str, float] = kept["marks"]

    def save(self) -> None:
        self.kept = self.dump(self.book, self.positions, self.protections, self.sent, self.marks)

    def take(self, matched: Matched) -> None:
        self.book = matched.book
        booked = book_fills(self.positions, self.protections, matched.fills, matched.ended, self.sent, self.rules)
        self.positions, self.protections = booked.positions, booked.protections
        self.fills += matched.fills
        for order_id in [fill.order_id for fill in matched.fills] + [end.order_id for end in matched.ended]:
            self.sent.pop(order_id, None)

    def opens(self, indexes: Mapping[str, int]) -> None:
        """The next candles' opens are known: fill what was decided at the close before."""
        self.load()
        for symbol, index in indexes.items():
            candle = self.feeds[symbol][index]
            self.take(open_phase(self.book, self.rules.venue, symbol, candle.time_ms, candle.open))
        self.save()

    def row(self, symbol: str, index: int) -> SymbolClose:
        """The signals of a candle, from the feed's state and that candle alone."""
        candles, params = self.feeds[symbol], self.rules.params
        if symbol in self.states:
            self.states[symbol], found = advance(self.states[symbol], candles.slice(index, index + 1), params)
        else:
            self.states[symbol], found = start_feed(candles.slice(0, index + 1), params)
        row = signals(found, params, self.rules.profile).row(len(found) - 1)
        return SymbolClose(symbol, candles[index], row)

    def closes(self, indexes: Mapping[str, int], closed_ms: int) -> None:
        self.load()
        closes = [self.row(symbol, index) for symbol, index in indexes.items()]
        for close in closes:
            self.take(rest_of_candle(self.book, self.rules.venue, close.symbol, close.candle))
            self.marks[close.symbol] = close.candle.close
        self.save()
        self.load()
        view = AccountView(
            cash=self.book.cash,
            positions=self.positions,
            protections=self.protections,
            allowed_pairs=tuple(self.feeds),
            marks=self.marks,
            pending_entries={o.symbol: o.value for o in self.sent.values() if o.side is Side.BUY},
            pending_exits=frozenset(o.symbol for o in self.sent.values() if o.side is Side.SELL),
        )
        decision = decide(view, closes, self.rules)
        self.protections = decision.protections
        self.positions = {**self.positions, **decision.positions}
        for move in decision.stop_moves:
            self.book = move_stop(self.book, move.symbol, move.price, move.reason)
        orders = [leave.order(f"{leave.symbol}-{closed_ms}-sell", closed_ms) for leave in decision.exits]
        orders += [
            entry.order(f"{entry.symbol}-{closed_ms}-buy", closed_ms, self.rules.params) for entry in decision.entries
        ]
        for order in orders:
            self.sent[order.order_id] = order
            self.book = place(self.book, order)
        self.save()


@pytest.mark.parametrize(("seed", "level"), [(3, "low"), (14, "medium"), (15, "high"), (92, "high")])
def test_stepping_like_a_worker_gives_the_trades_of_the_runner(seed: int, level: str, markets: ModuleType) -> None:
    feeds = {f"S{n}-USD": Candles.of(HOUR, markets.market(seed + n, 330, HOUR)) for n in range(3)}
    limits = Limits(position_value=units(400), positions=2, daily_trades=2, daily_loss=units(30))
    rules = Rulebook(Parameters(), PROFILES[RiskLevel(level)], limits, COINBASE)
    expected = simulate(feeds, rules, units(10_000))
    timeline, worker = Timeline.of(feeds), Worker(feeds, rules, units(10_000))
    for step in range(timeline.first_step, len(timeline)):
        here = {symbol: timeline.candle_at(symbol, step) for symbol in feeds}
        indexes = {symbol: index for symbol, index in here.items() if index is not None}
        worker.opens(indexes)
        worker.closes(indexes, int(timeline.closes_ms[step]))
    trades = (*expected.trades, *expected.open_trades)
    wanted = sorted((f for trade in trades for f in trade.fills), key=lambda f: (f.market_time, f.order_id))
    assert sorted(worker.fills, key=lambda f: (f.market_time, f.order_id)) == wanted
    assert len(wanted) > 5
    assert worker.book == expected.book
    assert worker.protections == expected.protections
