"""A crash before or after any commit of a step changes no trade: promise 5, without store and processes."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from nija_common.events.trading import TradeClosed, TradeOpened, TradeReduced
from nija_common.testing.long_run import LONG
from nija_trading.domain.apex.simulate import simulate
from nija_trading.domain.records import PAPER_CASH

SEEDS = 36 if LONG else 18
KILLS_OF_ONE_RUN = 60 if LONG else 20
BARS = 420


def held(book: Any) -> dict[str, int]:
    return {symbol: holding.quantity for symbol, holding in book.holdings.items()}


def never(_: int) -> str | None:
    return None


@pytest.mark.parametrize("seed", range(12))
def test_the_engine_makes_the_plain_runners_trades(
    seed: int, random_feeds: Any, terms_for: Any, driver: Any, compare: Any
) -> None:
    mine, plain = compare
    feeds = random_feeds(seed, 900)
    terms = terms_for(seed, tuple(feeds))
    ran = driver(feeds, terms, never)
    ran.run()
    expected = simulate(feeds, terms.rules, PAPER_CASH)
    assert mine(ran) == plain(expected.trades)
    assert ran.stored.book.cash == expected.book.cash
    assert held(ran.stored.book) == held(expected.book)
    assert ran.stored.ledger.state.trades == expected.protections.trades
    assert (ran.stored.account.stopped_by == "drawdown") == expected.protections.drawdown_reached


@pytest.mark.parametrize("part", range(6))
def test_a_crash_before_or_after_any_commit_leaves_the_same_trades(
    part: int, random_feeds: Any, terms_for: Any, driver: Any, compare: Any
) -> None:
    mine, _ = compare
    traded = 0
    for seed in range(part, SEEDS, 6):
        feeds = random_feeds(seed, BARS)
        terms = terms_for(seed, tuple(feeds))
        calm = driver(feeds, terms, never)
        calm.run()
        traded += len(mine(calm))
        torn = driver(feeds, terms, crashes(seed))
        torn.run()
        assert mine(torn) == mine(calm), f"seed {seed}"
        assert torn.stored.book == calm.stored.book, f"seed {seed}"
        assert counted(torn) == counted(calm), f"seed {seed}"
        assert torn.stored.account.reserved == sum(o.reserved for o in torn.stored.open_orders()), f"seed {seed}"
    assert traded > SEEDS // 2


def test_a_crash_at_every_single_commit_of_one_run(
    random_feeds: Any, terms_for: Any, driver: Any, compare: Any
) -> None:
    mine, _ = compare
    seed = 3
    feeds = random_feeds(seed, 260)
    terms = terms_for(seed, tuple(feeds))
    calm = driver(feeds, terms, never)
    calm.run()
    assert mine(calm)
    for k in range(1 + seed, calm.commits + 1, max(1, calm.commits // KILLS_OF_ONE_RUN)):
        torn = driver(feeds, terms, lambda n, k=k: "crash" if n == k else None)
        torn.run()
        assert mine(torn) == mine(calm), f"killed at {k}"


@pytest.mark.parametrize("seed", range(8))
def test_a_stored_desk_is_folded_at_any_step_to_what_memory_has(
    seed: int, random_feeds: Any, terms_for: Any, driver: Any
) -> None:
    feeds = random_feeds(seed, 420)
    steps = {"flat": 0, "holding": 0}

    class Looking(driver):  # type: ignore[misc]
        def stepped(self, desk: Any) -> None:
            folded = self.loaded()
            assert folded.ledger == desk.ledger
            assert folded.positions == desk.positions
            steps["holding" if desk.positions else "flat"] += 1

    Looking(feeds, terms_for(seed, tuple(feeds)), never).run()
    assert min(steps.values()) > 20


def crashes(seed: int) -> Callable[[int], str | None]:
    """Dies now and then, sometimes twice in a row."""
    rng = random.Random(seed)
    return lambda _: "crash" if rng.random() < 0.03 else None


def counted(ran: Any) -> tuple[int, ...]:
    """How often each fact was told: none may be missing or double."""
    return tuple(sum(isinstance(e, kind) for e in ran.events) for kind in (TradeOpened, TradeReduced, TradeClosed))
