"""APEX V7.2 over candles of the past: one account, all its symbols, every rule on, at once instead of step by step.

The run goes from event to event: a candle whose signals want an entry, the open that fills it, the candles at
which a trade's fills come. In between nothing is looked at. What happens at an event is decided by the live
engine's own functions; `apex/simulate.py`, which looks at every candle, makes the same trades to the unit.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from nija_trading.domain.apex.features import FEATURE_PARAMETERS, Features, feature_blocks
from nija_trading.domain.apex.parameters import VERSION
from nija_trading.domain.apex.step import Rulebook
from nija_trading.domain.backtest.account_run import AccountRun
from nija_trading.domain.backtest.result import Result
from nija_trading.domain.backtest.tape import Cues, Steps, Tape
from nija_trading.domain.market.candles import Candles


def run_apex(feeds: Mapping[str, Candles], rules: Rulebook, cash: int, pairs: Sequence[str] | None = None) -> Result:
    """Run APEX over `{symbol: candles}` from `cash` (units of 1e-8); `pairs` is the order of `allowed_pairs`.

    The steps are those of `simulate`: from the first symbol's 100th candle on. ValueError without candles or
    with feeds of several timeframes.
    """
    order = tuple(feeds) if pairs is None else tuple(pairs)
    with _collector_at_rest():
        steps, tapes = _tapes(feeds, order, rules.params.warm_up)
        blocks = [feature_blocks(tape.candles, rules.params) for tape in tapes]
        return _run(steps, tapes, blocks, rules, cash, order)


def run_grid(
    feeds: Mapping[str, Candles], rulebooks: Iterable[Rulebook], cash: int, pairs: Sequence[str] | None = None
) -> list[Result]:
    """`run_apex` for each rulebook in turn; what several of them read of the candles is computed once.

    Features are kept for the parameters that they depend on (`FEATURE_PARAMETERS`), so rulebooks that differ in
    scores, gates, stops, sizes or limits cost their signals and their trades alone.
    """
    order = tuple(feeds) if pairs is None else tuple(pairs)
    known: dict[tuple[object, ...], tuple[Steps, list[Tape], list[list[Features]]]] = {}
    results: list[Result] = []
    with _collector_at_rest():
        for rules in rulebooks:
            params = rules.params
            key = (params.warm_up, *(getattr(params, name) for name in FEATURE_PARAMETERS))
            if key not in known:
                steps, tapes = _tapes(feeds, order, params.warm_up)
                known[key] = (steps, tapes, [list(feature_blocks(tape.candles, params)) for tape in tapes])
            results.append(_run(*known[key], rules, cash, order))
    return results


def _tapes(feeds: Mapping[str, Candles], order: Sequence[str], warm_up: int) -> tuple[Steps, list[Tape]]:
    steps = Steps.of(feeds, order, warm_up)
    return steps, [Tape.of(symbol, feeds[symbol], steps) for symbol in order if symbol in feeds]


def _run(
    steps: Steps,
    tapes: Sequence[Tape],
    blocks: Sequence[Iterable[Features]],
    rules: Rulebook,
    cash: int,
    order: tuple[str, ...],
) -> Result:
    cues = [Cues.of(tape, found, rules) for tape, found in zip(tapes, blocks, strict=True)]
    run = AccountRun(steps, tapes, cues, rules, cash)
    run.go()
    equity = run.ledger.curve(steps.first, len(steps) - 1)
    return Result(
        strategy=VERSION.lower(),
        symbols=order,
        timeframe_ms=steps.timeframe_ms,
        bars=sum(len(tape) for tape in tapes),
        cash=cash,
        final_equity=int(equity[-1]) if len(equity) else cash,
        orders=run.ledger.orders,
        trades=tuple(run.trades),
        open_trades=run.open_trades(),
        equity_ms=steps.closes_ms[steps.first :],
        equity=equity,
    )


@contextmanager
def _collector_at_rest() -> Iterator[None]:
    """No search for cycles meanwhile: a run makes none, and its many small records would set one off again and again."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()
