"""Strategies of signals, a file each; the table of those that can be named."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from nija_trading.domain.backtest.strategies.ema_cross import EmaCross
from nija_trading.domain.backtest.strategy import SignalStrategy

SIGNAL_STRATEGIES: Mapping[str, Callable[..., SignalStrategy]] = {EmaCross.name: EmaCross}
"""Strategies by name; calling one makes it with its default parameters or with others by keyword."""
