"""Whether what a search found is more than the luck of having tried so often, in a number and in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nija_cli.optimize.deflated import ENOUGH, Moments, deflated_sharpe_ratio, expected_maximum
from nija_cli.optimize.measure import Measured
from nija_cli.optimize.walk_forward import Joined

DAYS = 365
"""A year of a market that never closes."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """The judged series' moments (a day), the trials' number and variance, and what follows.

    `luck` is the Sharpe ratio a day that the best of so many worthless trials is expected to have; `dsr` the Deflated
    Sharpe Ratio; `words` one sentence or two for a person.
    """

    of: str
    moments: Moments
    trials: int
    variance: float
    luck: float
    dsr: float
    sufficient: bool
    words: str


def evidence_of(
    trials: Sequence[Measured], best: Measured | None, walk: tuple[Joined, Joined] | None, least: int
) -> Evidence:
    """The evidence for the best trial, or, of a walk-forward (joined tests, those of the defaults), for its joined tests.

    `trials` are all points over all candles, whose daily Sharpe ratios say how far apart luck throws them; `best` is
    None where no point had enough trades anywhere.
    """
    sharpes = [Moments.of(trial.daily).sharpe for trial in trials]
    variance = float(np.var(sharpes, ddof=1)) if len(sharpes) > 1 else 0.0
    if walk is not None:
        of, moments = "the joined out-of-sample result", Moments.of(walk[0].daily)
    else:
        of, moments = "the best trial", Moments.of(np.zeros(0) if best is None else best.daily)
    count = len(trials)
    luck = expected_maximum(variance, count)
    dsr = 0.0 if best is None else deflated_sharpe_ratio(moments, variance, count)
    beaten = walk is None or walk[0].final > walk[1].final
    sufficient = dsr >= ENOUGH and beaten
    words = (
        _words(of, moments, count, luck, dsr, beaten)
        if best is not None
        else (f"Evidence is insufficient: none of {count:,} trials had the {least} trades that a choice needs.")
    )
    return Evidence(of, moments, count, variance, luck, dsr, sufficient, words)


def a_year(sharpe: float) -> float:
    """A daily Sharpe ratio as one of a year."""
    return sharpe * math.sqrt(DAYS)


def _words(of: str, moments: Moments, trials: int, luck: float, dsr: float, beaten: bool) -> str:
    said = (
        f"the Deflated Sharpe Ratio of {of} is {dsr:.3f} over {moments.count:,} days and {trials:,} trials. The best of "
        f"so many worthless trials would show a Sharpe ratio of {a_year(luck):.2f} a year by luck alone; this is "
        f"{a_year(moments.sharpe):.2f}."
    )
    if dsr < ENOUGH:
        return f"Evidence is insufficient (below {ENOUGH}): {said} Keep the defaults."
    if not beaten:
        return f"Evidence is insufficient, as out of sample the defaults did better: {said} Keep the defaults."
    return (
        f"There is evidence ({ENOUGH} or more): {said} It counts this search's trials only, none that you made before."
    )
