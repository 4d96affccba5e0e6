"""APEX V7.2 over candles of the past: one account, all its symbols, every rule on, at once instead of step by step.

The run goes from event to event: a candle whose signals want an entry, the open that fills it, the candles at
which a trade's fills come. In between nothing is looked at. What happens at an event is decided by the live
engine's own functions; `apex/simulate.py`, which looks at every candle, makes the same trades to the unit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from nija_common.collector import collector_at_rest
from nija_trading.domain.apex.features import FEATURE_PARAMETERS, Features, feature_blocks
from nija_trading.domain.apex.parameters import VERSION
from nija_trading.domain.apex.step import Rulebook
from nija_trading.domain.backtest.account_run import AccountRun
from nija_trading.domain.backtest.result import Result
from nija_trading.domain.backtest.tape import Cues, Steps, Tape
from nija_trading.domain.market.candles import Candles

Span = tuple[int, int]
"""From the opening of the first candle to before that of the last one's next, UTC milliseconds."""

KEPT_FEATURES = 4
"""Sets of features that are kept at once; one of a year of 5-minute candles takes some 20 MB."""


def run_apex(feeds: Mapping[str, Candles], rules: Rulebook, cash: int, pairs: Sequence[str] | None = None) -> Result:
    """Run APEX over `{symbol: candles}` from `cash` (units of 1e-8); `pairs` is the order of `allowed_pairs`.

    The steps are those of `simulate`: from the first symbol's 100th candle on. ValueError without candles or
    with feeds of several timeframes.
    """
    order = tuple(feeds) if pairs is None else tuple(pairs)
    with collector_at_rest():
        steps, tapes = _tapes(feeds, order, rules.params.warm_up)
        cues = [Cues.of(tape, feature_blocks(tape.candles, rules.params), rules) for tape in tapes]
        return _traded(steps, tapes, cues, rules, cash, order)


def run_grid(
    feeds: Mapping[str, Candles], rulebooks: Iterable[Rulebook], cash: int, pairs: Sequence[str] | None = None
) -> list[Result]:
    """`run_apex` for each rulebook in turn; what several of them read of the candles is computed once (`Prepared`)."""
    prepared = Prepared(feeds, pairs)
    with collector_at_rest():
        return [prepared.results(rules, cash)[0] for rules in rulebooks]


class Prepared:
    """Feeds that many rulebooks run over, each over the whole and over spans of it.

    Features are kept for the parameters that they depend on (`FEATURE_PARAMETERS`), so rulebooks that differ in
    scores, gates, stops, sizes or limits cost their signals and their trades alone. Those of the latest few sets
    of such parameters are kept: rulebooks are best given in their order.
    """

    def __init__(self, feeds: Mapping[str, Candles], pairs: Sequence[str] | None = None) -> None:
        self.feeds = feeds
        self.order = tuple(feeds) if pairs is None else tuple(pairs)
        self._features: dict[tuple[object, ...], list[list[Features]]] = {}
        self._whole: dict[int, tuple[Steps, list[Tape]]] = {}
        self._spans: dict[Span, tuple[Steps, list[Tape], list[slice]]] = {}

    def results(self, rules: Rulebook, cash: int, spans: Iterable[Span] = ()) -> list[Result]:
        """`run_apex` over all candles, then over each span.

        A span is an account of its own that begins flat with `cash`: its first decision is at the close of the
        first candle that opens in the span, by indicators that know all candles before it; candles from the end
        of the span on do not exist for it, and what is open then stays in `open_trades`.
        """
        params = rules.params
        with collector_at_rest():
            if params.warm_up not in self._whole:
                self._whole[params.warm_up] = _tapes(self.feeds, self.order, params.warm_up)
            steps, tapes = self._whole[params.warm_up]
            features = self._features_of(rules, tapes)
            cues = [Cues.of(tape, blocks, rules) for tape, blocks in zip(tapes, features, strict=True)]
            found = [_traded(steps, tapes, cues, rules, cash, self.order)]
            for span in spans:
                steps, pieces, places = self._cut(span, tapes)
                parts = [cue.slice(place.start, place.stop) for cue, place in zip(cues, places, strict=True)]
                found.append(_traded(steps, pieces, parts, rules, cash, self.order))
        return found

    def _features_of(self, rules: Rulebook, tapes: Sequence[Tape]) -> list[list[Features]]:
        key = tuple(getattr(rules.params, name) for name in FEATURE_PARAMETERS)
        if key not in self._features:
            while len(self._features) >= KEPT_FEATURES:
                del self._features[next(iter(self._features))]
            self._features[key] = [list(feature_blocks(tape.candles, rules.params)) for tape in tapes]
        return self._features[key]

    def _cut(self, span: Span, tapes: Sequence[Tape]) -> tuple[Steps, list[Tape], list[slice]]:
        """Steps and tapes of a span, and which candles of each symbol they are. ValueError for a span without candles."""
        if span not in self._spans:
            feeds, places = {}, []
            for tape in tapes:
                start, stop = np.searchsorted(tape.candles.time_ms, span).tolist()
                feeds[tape.symbol] = tape.candles.slice(start, stop)
                places.append(slice(start, stop))
            if not any(len(candles) for candles in feeds.values()):
                raise ValueError(f"there are no candles from {span[0]} to {span[1]}")
            self._spans[span] = (*_tapes(feeds, self.order, 1), places)
        return self._spans[span]


def _tapes(feeds: Mapping[str, Candles], order: Sequence[str], warm_up: int) -> tuple[Steps, list[Tape]]:
    steps = Steps.of(feeds, order, warm_up)
    return steps, [Tape.of(symbol, feeds[symbol], steps) for symbol in order if symbol in feeds]


def _traded(
    steps: Steps, tapes: Sequence[Tape], cues: Sequence[Cues], rules: Rulebook, cash: int, order: tuple[str, ...]
) -> Result:
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
