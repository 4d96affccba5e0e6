"""The Deflated Sharpe Ratio: how likely a Sharpe ratio is real, given how many were tried to find it.

After Bailey, D. H. and López de Prado, M. (2014), "The Deflated Sharpe Ratio: Correcting for Selection Bias, Backtest
Overfitting and Non-Normality", Journal of Portfolio Management 40 (5). All Sharpe ratios here are per observation (a
day), not per year.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from nija_trading.domain.market.candles import Floats

ENOUGH = 0.95
"""From this probability on, a result counts as evidence."""
_EULER_MASCHERONI = float(np.euler_gamma)
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Moments:
    """Of a series of returns: how many, mean over standard deviation, skewness, kurtosis (3 for a normal one)."""

    count: int
    sharpe: float
    skew: float
    kurtosis: float

    @classmethod
    def of(cls, returns: Floats) -> Moments:
        """The moments of returns; of fewer than two, or of equal ones, the Sharpe ratio is 0 (nothing was risked)."""
        if len(returns) < 2 or float(np.ptp(returns)) == 0.0:
            return cls(len(returns), 0.0, 0.0, 3.0)
        apart = returns - returns.mean()
        variance = float(np.mean(apart**2))
        return cls(
            len(returns),
            float(returns.mean() / returns.std(ddof=1)),
            float(np.mean(apart**3)) / variance**1.5,
            float(np.mean(apart**4)) / variance**2,
        )


def expected_maximum(variance: float, trials: int) -> float:
    """The Sharpe ratio that the best of so many trials is expected to have though none of them is worth anything.

    SR0 = √V · ((1 - γ) · Z⁻¹(1 - 1/N) + γ · Z⁻¹(1 - 1/(N·e))), with V the `variance` of the trials' Sharpe ratios, N
    the number of `trials`, γ the Euler-Mascheroni constant and Z⁻¹ the normal quantile; 0 for a single trial.
    """
    if trials < 2:
        return 0.0
    most = _NORMAL.inv_cdf(1 - 1 / trials)
    beyond = _NORMAL.inv_cdf(1 - 1 / (trials * math.e))
    return math.sqrt(variance) * ((1 - _EULER_MASCHERONI) * most + _EULER_MASCHERONI * beyond)


def deflated_sharpe_ratio(found: Moments, variance: float, trials: int) -> float:
    """The probability that the true Sharpe ratio is above that of the best of so many worthless trials.

    DSR = Z((SR - SR0) · √(T - 1) / √(1 - γ3·SR + (γ4 - 1)/4 · SR²)), with SR the Sharpe ratio of T returns, γ3 their
    skewness, γ4 their kurtosis and SR0 of `expected_maximum`. With fewer than two returns, or none but equal ones, 0:
    there is nothing to judge.
    """
    if found.count < 2 or found.sharpe == 0.0:
        return 0.0
    spread = 1 - found.skew * found.sharpe + (found.kurtosis - 1) / 4 * found.sharpe**2
    beyond = (found.sharpe - expected_maximum(variance, trials)) * math.sqrt(found.count - 1)
    return _NORMAL.cdf(beyond / math.sqrt(spread)) if spread > 0 else float(beyond > 0)
