"""Walk-forward: no choice knows what came after its train, no window starts cold, and the windows are those asked for."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nija_cli.endings import Failed, WrongUsage
from nija_cli.optimize.axes import Point
from nija_cli.optimize.measure import Measured
from nija_cli.optimize.walk_forward import best_of, joined, walked
from nija_cli.optimize.windows import duration_ms, windows_of
from nija_cli.optimize.work import Task, Work
from nija_trading.domain.market.candles import DAY_MS, HOUR_MS, Candles

Walks = Callable[..., Candles]
Tasks = Callable[..., Task]

PEEKING = """
import numpy as np
from dataclasses import dataclass
from typing import ClassVar

@dataclass(frozen=True)
class Peeking:
    name: ClassVar[str] = "peeking"
    a: int = 1

    def targets(self, candles):
        # Now and then it looks ten candles ahead, where the check of strategies happens not to look.
        wanted = np.zeros(len(candles), dtype=np.int8)
        for i in range(len(candles)):
            if i % 100 == 18 and i + 10 < len(candles) and candles.close[i + 10] > candles.close[i]:
                wanted[i] = 1
            elif i % 100 == 60:
                wanted[i] = -1
        return wanted
"""


def changed_from(candles: Candles, start: int, seed: int, times: float = 1.0) -> Candles:
    """The same candles up to `start`, another market behind it, at so many times the price."""
    rng = np.random.default_rng(seed)
    factor = np.ones(len(candles))
    factor[start:] = times * np.exp(np.cumsum(rng.normal(0, 0.03, len(candles) - start)))
    opened, high, low, close = (column * factor for column in (candles.open, candles.high, candles.low, candles.close))
    volume = candles.volume.copy()
    volume[start:] *= rng.lognormal(0, 1, len(candles) - start)
    return Candles(candles.timeframe_ms, candles.time_ms, opened, high, low, close, volume)


SEARCHES: dict[str, tuple[tuple[str, ...], list[Point]]] = {
    "ema_cross": (("fast", "slow"), [(f, s) for f in ("3", "6", "9") for s in ("15", "25", "40")]),
    "apex_v72": (("stop_atr", "near"), [(s, n) for s in ("1.0", "2.0") for n in ("0.004", "0.02")]),
}


@pytest.mark.parametrize("strategy", SEARCHES)
@given(data=st.data())
@settings(max_examples=5, deadline=None)
def test_candles_behind_a_train_change_no_choice(
    strategy: str, data: st.DataObject, random_walk: Walks, make_task: Tasks
) -> None:
    names, points = SEARCHES[strategy]
    candles = random_walk(data.draw(st.integers(0, 1_000), "market"), 2_400)
    task = make_task(candles, names, strategy, train=30, test=10)
    place = data.draw(st.integers(0, len(task.windows) - 1), "window")
    end = int(np.searchsorted(candles.time_ms, task.windows[place].train[1]))
    other = task._replace(feeds={"BTC-USD": changed_from(candles, end, data.draw(st.integers(0, 1_000), "later"))})
    choices = []
    for run in (task, other):
        work = Work(run)
        walk = walked(run.windows, [work.record(point) for point in points], work.record(None), 2)
        choices.append([(window.number, window.train) for window in walk[: place + 1]])
    assert choices[0] == choices[1]
    assert any(number is not None for number, _ in choices[0])


def test_a_train_cannot_be_told_of_its_test_by_a_strategy_that_peeks(
    tmp_path: Path, random_walk: Walks, make_task: Tasks
) -> None:
    path = tmp_path / "peeking.py"
    path.write_text(PEEKING)
    candles = random_walk(5, 2_400)
    task = make_task(candles, ("a",), str(path), train=30, test=10)
    end = int(np.searchsorted(candles.time_ms, task.windows[0].train[1]))
    assert end == 820
    later = changed_from(candles, end, 1, times=0.5)
    assert candles.close[828] > candles.close[818] > later.close[828]
    other = task._replace(feeds={"BTC-USD": later})
    one, two = (Work(run).record(("3",)) for run in (task, other))
    assert one.train[0] == two.train[0]
    assert one.whole != two.whole


def test_a_window_s_run_is_that_of_an_account_begun_there_with_all_candles_before_known(
    random_walk: Walks, make_task: Tasks
) -> None:
    """By the engine's single run of two symbols: cut at the window's end, and waiting until its start."""
    candles = random_walk(11, 2_400)
    feeds = {"BTC-USD": candles, "ETH-USD": random_walk(12, 2_400)}
    loose = ("near=0.05", "minimum_score=2", "market_count=2")
    task = make_task(candles, (), "apex_v72", loose, train=30, test=10)._replace(feeds=feeds)
    record = Work(task).record(None)
    for span, found in ((task.windows[1].train, record.train[1]), (task.windows[1].test, record.test[1])):
        start, stop = np.searchsorted(candles.time_ms, span).tolist()
        alone = make_task(candles, (), "apex_v72", (*loose, f"warm_up={start + 1}"))
        whole = (
            Work(alone._replace(feeds={name: feed.slice(0, stop) for name, feed in feeds.items()})).record(None).whole
        )
        assert found.trades == whole.trades > 8
        assert (found.expectancy, found.error, found.final) == (whole.expectancy, whole.error, whole.final)
        assert found.equity in ((), whole.equity)


@given(st.integers(1, 60), st.integers(1, 30), st.integers(0, 120))
@settings(max_examples=60, deadline=None)
def test_tests_follow_each_other_and_their_trains(train: int, test: int, spare: int) -> None:
    hours = 100 + 24 * (train + test) + spare * 6
    times = np.arange(hours, dtype=np.int64) * HOUR_MS
    ones = np.ones(hours)
    windows = windows_of({"A": Candles(HOUR_MS, times, ones, ones, ones, ones, ones)}, train * DAY_MS, test * DAY_MS)
    assert windows[0].train[0] == 100 * HOUR_MS
    for window in windows:
        assert window.train[1] - window.train[0] == train * DAY_MS
        assert window.test == (window.train[1], window.train[1] + test * DAY_MS)
    assert [w.test[1] for w in windows[:-1]] == [w.test[0] for w in windows[1:]]
    end = hours * HOUR_MS
    assert windows[-1].test[1] <= end < windows[-1].test[1] + test * DAY_MS


def test_windows_that_do_not_fit_are_refused(random_walk: Walks) -> None:
    candles = random_walk(0, 1_000)
    with pytest.raises(Failed, match=r"there are 37.5 days, and one window of --train and --test takes 40"):
        windows_of({"A": candles}, 30 * DAY_MS, 10 * DAY_MS)
    times = candles.time_ms.copy()
    times[600:] += 90 * DAY_MS
    with pytest.raises(Failed, match="a gap as long as a window"):
        windows_of({"A": dataclasses.replace(candles, time_ms=times)}, 10 * DAY_MS, 5 * DAY_MS)
    for text in ("30", "30h", "0d", "-3d", "d", ""):
        with pytest.raises(WrongUsage, match="--train"):
            duration_ms(text, "--train")
    assert duration_ms("2w", "--train") == 14 * DAY_MS


def span(trades: int, expectancy: float, error: float, final: float = 1.0) -> Measured:
    return Measured(trades, expectancy, error, final, 0.0, (final,))


def test_the_best_is_the_surest_of_those_with_enough_trades() -> None:
    spans = [span(29, 0.9, 0.1), span(30, 0.02, 0.02), span(40, 0.05, 0.1), span(30, 0.04, 0.04)]
    assert best_of(spans, 30) == 1
    assert best_of(spans, 29) == 0
    assert best_of(spans, 41) is None
    assert best_of([Measured(30, 0.0, 0.0, 1.0, 0.0, ())], 30) is None


@given(st.lists(st.lists(st.floats(-0.5, 0.5), min_size=1, max_size=12), min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_joined_spans_have_the_score_of_all_their_trades(parts: list[list[float]]) -> None:
    every = np.array([value for part in parts for value in part])
    spans = [
        Measured(len(p), float(np.mean(p)), float(np.std(p, ddof=1)) / len(p) ** 0.5 if len(p) > 1 else None, 1, 0, ())
        for p in parts
    ]
    found = joined(spans, 1)
    assert found.trades == len(every)
    assert found.expectancy == pytest.approx(float(every.mean()), abs=1e-12)
    if len(every) > 1 and float(np.ptp(every)) > 1e-3:
        error = float(np.std(every, ddof=1)) / len(every) ** 0.5
        assert found.score == pytest.approx(float(every.mean()) / error, abs=1e-6)
