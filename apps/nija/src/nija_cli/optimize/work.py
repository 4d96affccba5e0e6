"""One point of a search, run: over all candles, and over each window as an account that begins flat with the cash.

A window's run knows no candle from the window's end on. APEX's indicators look backwards only, which the engine's
tests hold them to; a strategy of signals is asked anew with the candles up to each window's end, so that what it wants
in a train window cannot have seen the test behind it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from nija_cli.backtest.options import Options
from nija_cli.backtest.strategies import Class, Plan, Signals, class_for, plan_of
from nija_cli.optimize.axes import Point
from nija_cli.optimize.measure import Measured, last_closes, measured
from nija_cli.optimize.windows import Window
from nija_trading.domain.apex.step import Rulebook
from nija_trading.domain.backtest.apex_run import Prepared, Span
from nija_trading.domain.backtest.result import Result
from nija_trading.domain.backtest.signal_run import run_targets
from nija_trading.domain.backtest.strategy import Targets
from nija_trading.domain.market.candles import Candles


class Record(NamedTuple):
    """What is kept of a point: all candles, then each window's train (without its days) and test."""

    whole: Measured
    train: tuple[Measured, ...]
    test: tuple[Measured, ...]

    def plain(self) -> dict[str, Any]:
        """As JSON keeps it."""
        return {
            "whole": self.whole.plain(),
            "train": [found.plain() for found in self.train],
            "test": [found.plain() for found in self.test],
        }

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> Record:
        """Raises KeyError or TypeError for what `plain` did not make."""
        return cls(
            Measured.from_plain(values["whole"]),
            tuple(map(Measured.from_plain, values["train"])),
            tuple(map(Measured.from_plain, values["test"])),
        )


class Task(NamedTuple):
    """What all points of a search have in common; a process can send it to another."""

    options: Options
    names: tuple[str, ...]
    feeds: Mapping[str, Candles]
    windows: tuple[Window, ...]


class Work:
    """Runs points of a task; what they share is computed once."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.made: Class | None = class_for(task.options)

    def plan(self, point: Point | None) -> Plan:
        """The run of a point; None for the one that nothing is searched in. Raises WrongUsage."""
        options = self.task.options
        if point is not None:
            names = self.task.names
            kept = [text for text in options.params if text.partition("=")[0].strip() not in names]
            texts = [f"{name}={value}" for name, value in zip(names, point, strict=True)]
            options = dataclasses.replace(options, params=(*kept, *texts))
        return plan_of(options, self.made)

    def record(self, point: Point | None) -> Record:
        """The point, run. Raises Failed where a strategy of the user's fails."""
        plan, windows = self.plan(point), self.task.windows
        spans = [span for window in windows for span in window]
        rule = plan.rule
        results: Iterable[Result]
        if isinstance(rule, Rulebook):
            results = self._prepared.results(rule, plan.cash, spans)
        else:
            results = self._signalled(rule, plan, spans)
        found = [
            measured(result, self._last_closes(None if span is None else span[1]), rule.venue, span)
            for result, span in zip(results, [None, *spans], strict=True)
        ]
        return Record(found[0], tuple(span.bare() for span in found[1::2]), tuple(found[2::2]))

    @cached_property
    def _prepared(self) -> Prepared:
        return Prepared(self.task.feeds)

    @cached_property
    def _closes(self) -> dict[int | None, dict[str, float]]:
        return {}

    def _last_closes(self, end_ms: int | None) -> dict[str, float]:
        if end_ms not in self._closes:
            self._closes[end_ms] = last_closes(self.task.feeds, end_ms)
        return self._closes[end_ms]

    def _signalled(self, rule: Signals, plan: Plan, spans: Sequence[Span]) -> Iterator[Result]:
        feeds = self.task.feeds
        yield plan.run(feeds)
        asked: dict[int, dict[str, Targets]] = {}
        for span in spans:
            if span[1] not in asked:
                asked[span[1]] = {symbol: _asked(rule, candles, span[1]) for symbol, candles in feeds.items()}
            pieces, targets = {}, {}
            for symbol, candles in feeds.items():
                start, stop = np.searchsorted(candles.time_ms, span).tolist()
                if stop > start:
                    pieces[symbol] = candles.slice(start, stop)
                    targets[symbol] = asked[span[1]][symbol][start:stop]
            yield run_targets(plan.strategy, targets, pieces, rule.venue, plan.cash)


def _asked(rule: Signals, candles: Candles, end_ms: int) -> Targets:
    """The targets of a strategy that is shown the candles before `end_ms` alone."""
    count = int(np.searchsorted(candles.time_ms, end_ms))
    return rule.strategy.targets(candles.slice(0, count)) if count else np.zeros(0, dtype=np.int8)
