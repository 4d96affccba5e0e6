"""Candles that come after their step was taken: their path is met, exits are decided, and nothing is lost by a crash."""

from __future__ import annotations

from typing import Any

import pytest

from nija_trading.adapters.replay_market import ReplayMarket
from nija_trading.domain.account import Ledger
from nija_trading.domain.apex.simulate import simulate
from nija_trading.domain.market.candles import Candles, timeframe_ms
from nija_trading.domain.records import PAPER_CASH
from nija_trading.handlers.memory import step_seen

HOUR = timeframe_ms("1h")


class Tardy(ReplayMarket):
    """A market whose candles of one symbol are not known for a while: `(symbol, step)` of those that are awaited."""

    awaited: frozenset[tuple[str, int]] = frozenset()

    def known(self, broker: str, symbol: str, step_ms: int) -> bool:
        return (symbol, step_ms) not in self.awaited

    def closes(self, broker: str, symbols: Any, step_ms: int, profile: Any) -> Any:
        there = [symbol for symbol in symbols if self.known(broker, symbol, step_ms)]
        return super().closes(broker, there, step_ms, profile)


@pytest.fixture
def tardy(driver: Any) -> Any:
    """A driver that sees its steps as the worker does, on a market that may be late."""

    class Late(driver):  # type: ignore[misc]
        def __init__(self, feeds: dict[str, Candles], terms: Any, crash_at: Any = lambda _: None) -> None:
            super().__init__(feeds, terms, crash_at)
            self.market = Tardy(feeds, 1.0)
            self.late: dict[str, frozenset[int]] = {}

        def _seen(self, desk: Any, step_ms: int) -> Any:
            awaited = {(s, at) for s, steps in self.late.items() for at in steps if step_ms in steps}
            self.market.awaited = frozenset(awaited)
            return step_seen(self.market, desk, step_ms, self.terms)

    return Late


def inside(trade: Any, steps: list[int]) -> list[int]:
    """Two steps in a row in the middle of a trade, before its last exit."""
    held = [at for at in steps if trade.fills[0].market_time + 2 * HOUR < at < trade.fills[-1].market_time - HOUR]
    return held[:2]


@pytest.mark.parametrize("seed", [2, 8])
def test_candles_that_come_late_are_made_up_for(
    seed: int, random_feeds: Any, terms_for: Any, tardy: Any, compare: Any
) -> None:
    mine, plain = compare
    feeds = random_feeds(seed, 500)
    terms = terms_for(seed, tuple(feeds))
    expected = simulate(feeds, terms.rules, PAPER_CASH)
    (symbol,) = feeds
    steps = [int(at) for at in feeds[symbol].closes_ms]
    ran = tardy(feeds, terms)
    chosen = [found for trade in expected.trades if len(found := inside(trade, steps)) == 2]
    ran.late = {symbol: frozenset(at for pair in chosen for at in pair)}
    ran.run()
    assert chosen, "some trade is long enough"
    assert mine(ran) == plain(expected.trades)
    assert ran.stored.ledger.late == {}


def test_a_stop_that_was_touched_in_a_late_candle_fills_where_it_stood(
    random_feeds: Any, terms_for: Any, tardy: Any, compare: Any
) -> None:
    mine, plain = compare
    hits = 0
    for seed in (2, 4):
        feeds = random_feeds(seed, 400)
        terms = terms_for(seed, tuple(feeds))
        expected = simulate(feeds, terms.rules, PAPER_CASH)
        (symbol,) = feeds
        stops = [t for t in expected.trades if t.fills[-1].reason.value in ("stop_loss", "trailing_stop")]
        for trade in stops[:3]:
            at = trade.fills[-1].market_time + HOUR
            if trade.fills[0].market_time + 2 * HOUR >= at:
                continue
            ran = tardy(feeds, terms)
            ran.late = {symbol: frozenset((at,))}
            ran.run()
            assert plain([trade])[0] in mine(ran), f"seed {seed}, stop at {at}"
            hits += 1
    assert hits > 2


@pytest.mark.parametrize("k", (3, 17, 31))
def test_a_crash_while_candles_are_awaited_loses_none(
    k: int, random_feeds: Any, terms_for: Any, tardy: Any, compare: Any
) -> None:
    mine, _ = compare
    feeds = random_feeds(4, 300)
    terms = terms_for(4, tuple(feeds))
    (symbol,) = feeds
    late = {symbol: frozenset(int(at) for at in feeds[symbol].closes_ms[110::3])}
    calm = tardy(feeds, terms)
    calm.late = late
    calm.run()
    torn = tardy(feeds, terms, lambda n: "crash" if n % k == 0 else None)
    torn.late = late
    torn.run()
    assert mine(torn) == mine(calm)
    assert torn.stored.book == calm.stored.book


def test_what_a_ledger_awaits_survives_its_document() -> None:
    ledger = Ledger(
        broker="coinbase", paper=True, matched_ms=3, decided_ms=2, protections={}, late={"BTC-USD": (1, None)}
    )
    assert Ledger.model_validate_json(ledger.model_dump_json()) == ledger
