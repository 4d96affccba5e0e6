"""Walk-forward: for each window the point that its train chose, and what that made in the test behind it.

The choice sees the figures of train spans only. It is the point with the highest net expectancy over its standard error
among those with enough trades; where none has enough, the parameters stay as they were given.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nija_cli.optimize.measure import Measured
from nija_cli.optimize.windows import Window
from nija_cli.optimize.work import Record
from nija_trading.domain.market.candles import DAY_MS, Floats

MIN_TRADES = 30


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a window came to. `number` is that of the chosen point, None where the defaults stayed."""

    window: Window
    number: int | None
    train: Measured
    test: Measured
    default: Measured
    """The defaults over the same test."""


@dataclass(frozen=True, slots=True)
class Joined:
    """Spans that are looked at together. `final` compounds them; `daily` are their returns one behind the other, empty
    of trains. `a_day` is the geometric mean of a day's return, which spans that overlap have too."""

    trades: int
    expectancy: float | None
    score: float | None
    final: float
    a_day: float
    daily: Floats


def best_of(measured: Sequence[Measured], least: int) -> int | None:
    """The number of the best one with at least `least` trades, the first of equals; None where there is none."""
    best, score = None, -math.inf
    for number, found in enumerate(measured):
        if found.trades >= least and found.score is not None and found.score > score:
            best, score = number, found.score
    return best


def walked(windows: Sequence[Window], points: Sequence[Record], default: Record, least: int) -> list[Chosen]:
    """Each window with the choice of its train."""
    found = []
    for place, window in enumerate(windows):
        number = best_of([point.train[place] for point in points], least)
        record = default if number is None else points[number]
        found.append(Chosen(window, number, record.train[place], record.test[place], default.test[place]))
    return found


def joined(spans: Sequence[Measured], days: int) -> Joined:
    """Spans of `days` in all, one behind the other. The standard error of all trades is made of the spans' means and errors."""
    count = sum(span.trades for span in spans)
    total = sum(span.trades * (span.expectancy or 0.0) for span in spans)
    mean = total / count if count else None
    daily = np.concatenate([span.daily for span in spans]) if spans else np.zeros(0)
    final = math.prod(span.final for span in spans)
    a_day = final ** (1 / days) - 1
    return Joined(count, mean, _score(spans, count, mean), final, a_day, daily)


def sides(walk: Sequence[Chosen]) -> tuple[Joined, Joined, Joined]:
    """What was chosen, in its trains and in its tests, and the defaults in the same tests."""
    train_days, test_days = (
        sum(span[1] - span[0] for span in spans) // DAY_MS
        for spans in ([found.window.train for found in walk], [found.window.test for found in walk])
    )
    return (
        joined([found.train for found in walk], train_days),
        joined([found.test for found in walk], test_days),
        joined([found.default for found in walk], test_days),
    )


def curve(windows: Sequence[Window], spans: Sequence[Measured]) -> tuple[list[int], list[float]]:
    """(moments, equity as a multiple of the cash) of test spans that follow each other, day by day."""
    moments, equity, base = [windows[0].test[0]], [1.0], 1.0
    for window, span in zip(windows, spans, strict=True):
        moments += [window.test[0] + (day + 1) * DAY_MS for day in range(len(span.equity))]
        equity += [base * value for value in span.equity]
        base *= span.final
    return moments, equity


def _score(spans: Sequence[Measured], count: int, mean: float | None) -> float | None:
    """Mean over standard error of all trades: squares within each span and between them."""
    if mean is None or count < 2:
        return None
    squares = 0.0
    for span in spans:
        if span.expectancy is not None:
            within = (span.error or 0.0) ** 2 * span.trades * (span.trades - 1)
            squares += within + span.trades * (span.expectancy - mean) ** 2
    error = math.sqrt(squares / (count - 1) / count)
    return mean / error if error else None
