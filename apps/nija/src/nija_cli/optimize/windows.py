"""The windows of a walk-forward: where it trains, and where it then tests what it chose there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from nija_cli.endings import Failed, WrongUsage
from nija_trading.domain.backtest.apex_run import Span
from nija_trading.domain.market.candles import DAY_MS, Candles

LEAD = 100
"""Candles before the first window, for indicators; as many as APEX waits for."""

_DURATION = re.compile(r"([1-9][0-9]{0,4})([dw])")


class Window(NamedTuple):
    """A train span and the test span right behind it."""

    train: Span
    test: Span


def duration_ms(text: str, option: str) -> int:
    """Milliseconds of `30d` or `4w`. Raises WrongUsage."""
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise WrongUsage(f"{option} {text!r} is no length; write whole days or weeks, such as 30d or 4w")
    return int(found[1]) * DAY_MS * (7 if found[2] == "w" else 1)


def windows_of(feeds: Mapping[str, Candles], train_ms: int, test_ms: int) -> list[Window]:
    """Windows from the first symbol's candle `LEAD` on, rolled by the test's length, as many as fit whole.

    Raises Failed where not one fits, or where one has no candles.
    """
    first = min((int(candles.time_ms[LEAD]) for candles in feeds.values() if len(candles) > LEAD), default=None)
    end = max(int(candles.closes_ms[-1]) for candles in feeds.values())
    days = 0.0 if first is None else (end - first) / DAY_MS
    if first is None or first + train_ms + test_ms > end:
        raise Failed(
            f"the candles are too few: behind the first {LEAD} there are {days:.1f} days, and one window of --train "
            f"and --test takes {(train_ms + test_ms) // DAY_MS}"
        )
    count = (end - first - train_ms) // test_ms
    starts = [first + number * test_ms for number in range(count)]
    windows = [Window((s, s + train_ms), (s + train_ms, s + train_ms + test_ms)) for s in starts]
    for span in (span for window in windows for span in window):
        if not any(np.subtract(*np.searchsorted(candles.time_ms, span)) for candles in feeds.values()):
            raise Failed(
                f"there are no candles in {span[0]} to {span[1]}: a gap as long as a window; cut it off with --from"
            )
    return windows
