"""Candles: columns, slices, appending, timeframes."""

from __future__ import annotations

import numpy as np
import pytest

from nija_trading.domain.market.candles import Candle, Candles, timeframe_ms

ROWS = [(0, 1.0, 2.0, 0.5, 1.5, 10.0), (60_000, 1.5, 1.6, 1.4, 1.5, 0.0), (180_000, 1.5, 3.0, 1.5, 2.0, 1.0)]


@pytest.mark.parametrize(("text", "length"), [("1m", 60_000), ("5m", 300_000), ("1h", 3_600_000), ("1d", 86_400_000)])
def test_a_timeframe_is_its_length_in_milliseconds(text: str, length: int) -> None:
    assert timeframe_ms(text) == length


@pytest.mark.parametrize("text", ["", "m", "5", "0m", "-5m", "5x", "5 m", "٥m", "1.5h"])
def test_what_is_no_timeframe_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="timeframe"):
        timeframe_ms(text)


def test_rows_and_columns_are_the_same_candles() -> None:
    candles = Candles.of(60_000, ROWS)
    assert list(candles) == [Candle(*row) for row in ROWS]
    assert candles.closes_ms.tolist() == [60_000, 120_000, 240_000]
    assert len(Candles.of(60_000, [])) == 0


def test_a_slice_shares_the_columns() -> None:
    candles = Candles.of(60_000, ROWS)
    part = candles.slice(1, 3)
    assert list(part) == [Candle(*row) for row in ROWS[1:]]
    assert np.shares_memory(part.close, candles.close)


def test_appending_goes_on_behind_the_last_candle() -> None:
    whole = Candles.of(60_000, ROWS)
    assert list(whole.slice(0, 2).append(whole.slice(2, 3))) == list(whole)
    assert list(whole.slice(0, 0).append(whole)) == list(whole)


def test_appending_refuses_time_that_stands_still_and_other_timeframes() -> None:
    whole = Candles.of(60_000, ROWS)
    with pytest.raises(ValueError, match="does not come after"):
        whole.append(whole.slice(2, 3))
    with pytest.raises(ValueError, match="two timeframes"):
        whole.append(Candles.of(300_000, ROWS))
