"""`ema_cross`: long while a fast exponential average of closes is above a slow one. The plainest rule there is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nija_trading.domain.apex import indicators as ind
from nija_trading.domain.backtest.strategy import FLAT, LONG, Targets
from nija_trading.domain.market.candles import Candles


@dataclass(frozen=True, slots=True)
class EmaCross:
    """Lengths in candles. Averages are seeded with the first close; crosses count from candle `slow` (from 0) on."""

    name: ClassVar[str] = "ema_cross"

    fast: int = 10
    slow: int = 20

    def __post_init__(self) -> None:
        if not 1 <= self.fast < self.slow:
            raise ValueError(f"ema_cross needs 1 <= fast < slow; fast is {self.fast}, slow is {self.slow}")

    def targets(self, candles: Candles) -> Targets:
        """`LONG` where the fast average comes to lie above the slow one, `FLAT` where it comes to lie below."""
        gap = ind.ema(candles.close, self.fast)[0] - ind.ema(candles.close, self.slow)[0]
        wanted = np.zeros(len(gap), dtype=np.int8)
        now, before = gap[1:], gap[:-1]
        wanted[1:][(now > 0) & (before <= 0)] = LONG
        wanted[1:][(now < 0) & (before >= 0)] = FLAT
        wanted[: self.slow] = 0
        return wanted
