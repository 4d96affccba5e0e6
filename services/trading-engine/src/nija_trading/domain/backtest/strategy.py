"""Strategies of signals: what a user writes to have a rule of his own backtested, in one file.

A strategy is a frozen dataclass of its parameters with a name and one pure function of candles; it is added to
`strategies/__init__.py`. Money, orders and fills are not its matter: `signal_run.py` trades what it wants.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nija_trading.domain.market.candles import Candles

Targets = NDArray[np.int8]
"""One value a candle: `LONG` wants a long, `FLAT` wants none, `UNCHANGED` wants what there is."""

LONG, UNCHANGED, FLAT = 1, 0, -1


class SignalStrategy(Protocol):
    """A rule that is long or flat: decided at a close, traded at the next open, all in, without a stop.

    Implementations are frozen dataclasses whose fields are the parameters, all with defaults; their
    `__post_init__` raises ValueError for values that make no sense.
    """

    @property
    def name(self) -> str:
        """What the strategy is called in commands and results."""

    def targets(self, candles: Candles) -> Targets:
        """The target at each close; the value at candle i depends on candles 0 to i alone."""
