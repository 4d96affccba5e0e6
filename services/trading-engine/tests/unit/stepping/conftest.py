"""A bot on a market of its own, driven through `next_turn` with its commits kept in memory."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from nija_common.events.base import Event
from nija_trading.adapters.replay_market import ReplayMarket
from nija_trading.domain import account as accounts
from nija_trading.domain.apex.parameters import PROFILES, Limits, RiskLevel
from nija_trading.domain.apex.step import Rulebook
from nija_trading.domain.brokering import look_up_on_paper, outcome, stops_moved, submit_on_paper
from nija_trading.domain.controls import UNTRIPPED
from nija_trading.domain.desk import Desk, Terms, Turn, changes, committed
from nija_trading.domain.gates import PARAMETERS
from nija_trading.domain.market.candles import Candles, timeframe_ms
from nija_trading.domain.matching.book import PaperBook
from nija_trading.domain.matching.codec import fill_to
from nija_trading.domain.matching.terms import COINBASE
from nija_trading.domain.records import PAPER_CASH, Trade, new_paper_account
from nija_trading.domain.stepping import Step, next_turn
from nija_trading.handlers.memory import carried_to

HOUR = timeframe_ms("1h")


class Crash(Exception):
    """The process is gone: what is only in memory is lost."""


class Driver:
    """What a worker does for one bot, without store and clock. `crash_at`: commits before or after which it dies."""

    def __init__(self, feeds: dict[str, Candles], terms: Terms, crash_at: Callable[[int], str | None]) -> None:
        self.market = ReplayMarket(feeds, 1.0)
        self.terms = terms
        self.crash_at = crash_at
        self.commits = 0
        self.events: list[Event] = []
        self.trades: dict[str, Trade] = {}
        account, _ = accounts.begin(
            accounts.new_account("usr_a"),
            broker="coinbase",
            paper=True,
            strategy="APEX_V72",
            risk_profile=terms.rules.profile.level.value,
            switch=UNTRIPPED,
            at_ms=0,
        )
        account, _ = accounts.run(account, cash=PAPER_CASH, step_ms=self.market.first_ms - 1, live=False, at_ms=0)
        paper = new_paper_account("usr_a", "coinbase")
        self.stored = Desk(account, "paper/coinbase", paper, PaperBook.from_dict(paper.book))
        self.shard_step = self.market.first_ms - 1

    def run(self) -> None:
        """To the end of the market, starting anew after each crash."""
        while True:
            try:
                self._live()
                return
            except Crash:
                continue

    def _live(self) -> None:
        desk = self.loaded()
        due = self.market.first_ms if self.shard_step < self.market.first_ms else self.market.after(self.shard_step)
        while due is not None:
            desk = self._step(desk, due)
            self._point()
            self.shard_step = due
            self._point()
            self.stepped(desk)
            due = self.market.after(due)

    def loaded(self) -> Desk:
        """What a worker makes of the stored desk."""
        return carried_to(self.market, self.stored, self.shard_step, self.terms)

    def stepped(self, desk: Desk) -> None:
        """A step is over, and recorded."""

    def _step(self, desk: Desk, step_ms: int) -> Desk:
        while True:
            desk = self._settled(desk)
            turn = next_turn(desk, self._seen(desk, step_ms), self.terms, step_ms)
            if turn is None:
                return desk
            desk = self._applied(turn)

    def _settled(self, desk: Desk) -> Desk:
        work = desk
        events: list[Event] = []
        for order in desk.submitting():
            reply = look_up_on_paper(work.book, order) or submit_on_paper(work.book, COINBASE, order)
            turn = outcome(work, reply, self.terms, 0)
            work = turn.desk
            events += turn.events
        if work.stops_differ():
            turn = stops_moved(work, 0)
            work = turn.desk
            events += turn.events
        return desk if work is desk else self._applied(Turn(work, tuple(events), write=True))

    def _applied(self, turn: Turn) -> Desk:
        if not turn.write:
            return turn.desk
        self._point()
        written = changes(self.stored, turn.desk)
        self.trades.update({d.id: d for d in written.saves if isinstance(d, Trade)})
        self.events += turn.events
        self.stored = committed(turn.desk, written)
        self._point()
        return self.stored

    def _point(self) -> None:
        self.commits += 1
        if self.crash_at(self.commits):
            raise Crash

    def _seen(self, desk: Desk, step_ms: int) -> Step:
        symbols = [*self.terms.pairs, *sorted(desk.symbols() - set(self.terms.pairs))]
        marks = {s: m.price for s in desk.symbols() if (m := self.market.mark("coinbase", s, step_ms)) is not None}
        closes = self.market.closes("coinbase", symbols, step_ms, self.terms.rules.profile)
        return Step(step_ms, closes, marks, self.market.openings("coinbase", symbols, step_ms))


def final_trades(driver: Driver) -> list[tuple[Any, ...]]:
    """Closed trades as what a user would compare: symbol and every fill."""
    closed = [t for t in driver.trades.values() if t.status == "closed"]
    return sorted((t.symbol, [_bare(f) for f in t.fills]) for t in closed)


def simulated_trades(trades: Sequence[Any]) -> list[tuple[Any, ...]]:
    """The plain runner's trades in the same shape."""
    return sorted((t.position.symbol, [_bare(fill_to(f)) for f in t.fills]) for t in trades)


def _bare(fill: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(v for k, v in fill.items() if k != "order_id")


@pytest.fixture(scope="session")
def random_feeds(random_market: Callable[..., list[Any]]) -> Callable[[int, int], dict[str, Candles]]:
    """One or two unkind markets for a seed."""

    def make(seed: int, bars: int) -> dict[str, Candles]:
        names = ("BTC-USD", "ETH-USD")[: 1 + seed % 2]
        return {name: Candles.of(HOUR, random_market(1000 * seed + i, bars, HOUR)) for i, name in enumerate(names)}

    return make


@pytest.fixture(scope="session")
def terms_for() -> Callable[[int, tuple[str, ...]], Terms]:
    """Terms that bind often enough to matter."""

    def make(seed: int, pairs: tuple[str, ...]) -> Terms:
        rng = random.Random(seed)
        level = rng.choice(list(RiskLevel))
        profile = replace(PROFILES[level], minimum_score=2, minimum_adx=10.0, drawdown=rng.choice((0.02, 0.2)))
        limits = Limits(rng.choice((None, 30_000_000_000)), rng.choice((None, 1, 3)), rng.choice((None, 2)), None)
        return Terms(Rulebook(PARAMETERS, profile, limits, COINBASE), pairs, None, True)

    return make


@pytest.fixture(scope="session")
def driver() -> type[Driver]:
    return Driver


@pytest.fixture(scope="session")
def compare() -> tuple[Callable[..., Any], Callable[..., Any]]:
    """(trades of a driver, trades of the plain runner) in one shape."""
    return final_trades, simulated_trades
