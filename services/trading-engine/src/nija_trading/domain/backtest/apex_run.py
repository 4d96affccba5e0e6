"""APEX V7.2 over candles of the past: one account, all its symbols, every rule on, at once instead of step by step.

The run goes from event to event: a candle whose signals want an entry, the open that fills it, the candles at
which a trade's fills come. In between nothing is looked at. What happens at an event is decided by the live
engine's own functions; `apex/simulate.py`, which looks at every candle, makes the same trades to the unit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from nija_trading.domain.apex.features import Features, feature_blocks
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
    steps = Steps.of(feeds, order, rules.params.warm_up)
    tapes = [Tape.of(symbol, feeds[symbol], steps) for symbol in order if symbol in feeds]
    blocks = [feature_blocks(tape.candles, rules.params) for tape in tapes]
    return _run(steps, tapes, blocks, rules, cash, order)


def _run(
    steps: Steps,
    tapes: Sequence[Tape],
    blocks: Sequence[Iterable[Features]],
    rules: Rulebook,
    cash: int,
    order: tuple[str, ...],
) -> Result:
    cues = [Cues.of(found, rules) for found in blocks]
    run = AccountRun(steps, tapes, cues, rules, cash)
    run.go()
    equity = run.ledger.curve(steps.first, len(steps) - 1)
    return Result(
        strategy=VERSION.lower(),
        symbols=order,
        timeframe_ms=tapes[0].candles.timeframe_ms,
        bars=sum(len(tape) for tape in tapes),
        cash=cash,
        final_equity=int(equity[-1]) if len(equity) else cash,
        orders=run.ledger.orders,
        trades=tuple(run.trades),
        open_trades=run.open_trades(),
        equity_ms=steps.closes_ms[steps.first :],
        equity=equity,
    )
