"""Tasks over made candles."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nija_cli.backtest.options import Options
from nija_cli.optimize.windows import windows_of
from nija_cli.optimize.work import Task
from nija_trading.domain.market.candles import DAY_MS, HOUR_MS, Candles

START_MS = 1_600_000_000_000 // HOUR_MS * HOUR_MS


def options(strategy: str, params: tuple[str, ...], fee: float | None) -> Options:
    """Of a backtest, all else at its default."""
    return Options(
        strategy=strategy,
        candles=(Path("unread"),),
        folder=None,
        symbols=(),
        timeframe=None,
        from_ms=None,
        to_ms=None,
        cash=10_000.0,
        broker="coinbase",
        fee=fee,
        slippage=None,
        risk_profile=None,
        max_position_usd=None,
        max_positions=None,
        max_daily_loss_usd=None,
        max_daily_trades=None,
        params=params,
    )


@pytest.fixture(scope="session")
def random_walk() -> Callable[..., Candles]:
    """Makes hourly candles of a fair random walk, whose expected price is today's; with `drift` (a candle) it goes up
    and down in turn, `phases` hours each."""

    def make(seed: int, hours: int, drift: float = 0.0, phases: int = 200) -> Candles:
        rng = np.random.default_rng(seed)
        direction = np.where(np.arange(hours) // phases % 2, -1.0, 1.0)
        close = 100 * np.exp(np.cumsum(rng.normal(-0.00005, 0.01, hours) + drift * direction))
        opened = np.concatenate(([100.0], close[:-1]))
        high = np.maximum(opened, close) * (1 + np.abs(rng.normal(0, 0.003, hours)))
        low = np.minimum(opened, close) * (1 - np.abs(rng.normal(0, 0.003, hours)))
        times = START_MS + np.arange(hours, dtype=np.int64) * HOUR_MS
        return Candles(HOUR_MS, times, opened, high, low, close, rng.lognormal(3, 0.5, hours))

    return make


@pytest.fixture(scope="session")
def make_task() -> Callable[..., Task]:
    """Makes a task over one symbol; `train` and `test` in days, 0 without a walk-forward."""

    def make(
        candles: Candles,
        names: tuple[str, ...],
        strategy: str = "ema_cross",
        params: tuple[str, ...] = (),
        fee: float | None = 0.0,
        train: int = 0,
        test: int = 0,
    ) -> Task:
        feeds = {"BTC-USD": candles}
        windows = windows_of(feeds, train * DAY_MS, test * DAY_MS) if train else ()
        return Task(options(strategy, params, fee), names, feeds, tuple(windows))

    return make
