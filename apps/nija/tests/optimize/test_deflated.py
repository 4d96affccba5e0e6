"""The Deflated Sharpe Ratio against the paper's own numbers and against a calculation that shares no code with ours."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nija_cli.optimize.deflated import Moments, deflated_sharpe_ratio, expected_maximum

PAPER = Moments(count=1250, sharpe=2.5 / math.sqrt(250), skew=-3.0, kurtosis=10.0)
"""Bailey and López de Prado 2014, the numerical example: five years of days, an annual Sharpe ratio of 2.5."""
PAPER_VARIANCE = 0.5 / 250


def test_the_paper_s_example() -> None:
    assert expected_maximum(PAPER_VARIANCE, 100) == pytest.approx(0.1132, abs=5e-5)
    assert deflated_sharpe_ratio(PAPER, PAPER_VARIANCE, 100) == pytest.approx(0.9004, abs=5e-5)
    assert deflated_sharpe_ratio(PAPER, PAPER_VARIANCE, 46) == pytest.approx(0.9505, abs=5e-5)


def normal(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2))


def quantile(p: float) -> float:
    low, high = -40.0, 40.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if normal(middle) < p else (low, middle)
    return low


@given(st.lists(st.floats(-0.2, 0.2), min_size=20, max_size=80), st.floats(1e-6, 0.05), st.integers(2, 5_000))
@settings(max_examples=60, deadline=None)
def test_it_is_what_the_formulas_say_worked_out_another_way(values: list[float], variance: float, trials: int) -> None:
    if max(values) - min(values) < 1e-3:
        return
    count, mean = len(values), math.fsum(values) / len(values)
    second, third, fourth = (math.fsum((v - mean) ** n for v in values) / count for n in (2, 3, 4))
    sharpe = mean / math.sqrt(second * count / (count - 1))
    skew, kurtosis = third / second**1.5, fourth / second**2
    luck = math.sqrt(variance) * (
        (1 - 0.5772156649015329) * quantile(1 - 1 / trials) + 0.5772156649015329 * quantile(1 - 1 / (trials * math.e))
    )
    spread = math.sqrt(1 - skew * sharpe + (kurtosis - 1) / 4 * sharpe**2)
    expected = normal((sharpe - luck) * math.sqrt(count - 1) / spread)
    found = Moments.of(np.array(values))
    assert (found.sharpe, found.skew, found.kurtosis) == pytest.approx((sharpe, skew, kurtosis), abs=1e-9)
    assert deflated_sharpe_ratio(found, variance, trials) == pytest.approx(expected if sharpe else 0.0, abs=1e-9)


def test_more_trials_and_more_spread_among_them_are_less_evidence() -> None:
    by_trials = [deflated_sharpe_ratio(PAPER, PAPER_VARIANCE, trials) for trials in (1, 2, 10, 100, 10_000)]
    assert by_trials == sorted(by_trials, reverse=True)
    assert by_trials[0] > 0.999
    assert deflated_sharpe_ratio(PAPER, 4 * PAPER_VARIANCE, 100) < by_trials[3] - 0.5


@pytest.mark.parametrize("returns", [[], [0.01], [0.0] * 50])
def test_nothing_risked_is_no_evidence(returns: list[float]) -> None:
    assert deflated_sharpe_ratio(Moments.of(np.array(returns)), 0.0, 1) == 0.0
