"""Random markets that are unkind on purpose: gaps in time and price, flat stretches, ticks, days without volume."""

from __future__ import annotations

import random

Row = tuple[int, float, float, float, float, float]

MONDAY = 1_700_438_400_000 + 10 * 3_600_000
"""20 November 2023, 10:00 UTC: days and weeks change a while after the warm-up."""


def market(seed: int, bars: int, timeframe: int, level: float = 100.0) -> list[Row]:
    """Candles `(opening ms, open, high, low, close, volume)` that trend, stall, jump and fall."""
    rng = random.Random(seed)
    grid = rng.choice((0.0, 0.0, 0.01, 0.1, 0.25))
    price, volatility, drift, left = level, 0.004, 0.0, 0
    volume, at = 10.0 ** rng.uniform(-2, 4), MONDAY
    rows: list[Row] = []
    flat = False
    for _ in range(bars):
        if left == 0:
            left = rng.randint(4, 40)
            flat = rng.random() < 0.08
            volatility = 10 ** rng.uniform(-3.3, -1.9)
            drift = rng.choice((0.0, 0.35, 0.35, -0.35)) * volatility
            if rng.random() < 0.1:
                at += timeframe * rng.choice((1, 2, 30, 300))
        left -= 1
        opened = price * (1 + (rng.gauss(0, 3 * volatility) if rng.random() < 0.07 else 0.0))
        close = opened if flat else opened * (1 + rng.gauss(drift, volatility))
        wick = 0.0 if flat else volatility * opened
        high = max(opened, close) + rng.choice((0.0, abs(rng.gauss(0, 0.7)))) * wick
        low = min(opened, close) - rng.choice((0.0, abs(rng.gauss(0, 0.7)))) * wick
        opened, high, low, close = (snap(value, grid, level) for value in (opened, high, low, close))
        amount = 0.0 if rng.random() < 0.02 else volume * rng.lognormvariate(0, 0.5)
        rows.append((at, opened, high, low, close, amount))
        at += timeframe
        price = close
        if price < level / 5 or price > level * 5:
            price = level
    return rows


def snap(value: float, grid: float, level: float) -> float:
    """On the market's grid, if it has one."""
    step = grid * level / 100
    return max(round(round(value / step) * step, 9), step) if step else value
