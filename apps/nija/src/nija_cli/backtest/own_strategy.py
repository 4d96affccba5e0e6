"""A user's own strategy in one Python file: found, and looked at while it runs.

The file runs as any program of the user's, with his rights. It must hold exactly one dataclass with a `name` and a
method `targets` (`nija_trading.domain.backtest.strategy`); docs/strategies.md shows one.
"""

from __future__ import annotations

import dataclasses
import importlib.machinery
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from nija_cli.endings import Failed
from nija_trading.domain.backtest.strategy import SignalStrategy, Targets
from nija_trading.domain.market.candles import Candles

CUTS = (0.5, 0.9)
"""Parts of the candles after which a strategy is asked again, to see that it does not look ahead."""


def strategy_of(path: Path) -> Callable[..., SignalStrategy]:
    """The strategy's class; calling it with parameters by keyword makes one. Raises Failed."""
    if not path.is_file():
        raise Failed(f"{path}: there is no such file")
    name = f"nija_strategy_{path.stem}"
    loader = importlib.machinery.SourceFileLoader(name, str(path))
    spec = importlib.util.spec_from_loader(name, loader)
    if spec is None:
        raise Failed(f"{path}: it is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    try:
        loader.exec_module(module)
    except Exception as error:  # the user's code may raise anything
        raise Failed(_said(error, str(path))) from error
    found: list[Any] = [
        value
        for value in vars(module).values()
        if inspect.isclass(value) and value.__module__ == name and callable(getattr(value, "targets", None))
    ]
    if len(found) != 1:
        raise Failed(f"{path}: {len(found)} classes with a method `targets`; a strategy's file has exactly one")
    made: Callable[..., SignalStrategy] = found[0]
    title = found[0].__name__
    if not dataclasses.is_dataclass(found[0]) or not isinstance(getattr(made, "name", None), str):
        raise Failed(f'{path}: {title} is to be a dataclass with `name: ClassVar[str] = "…"`')
    if any(field.default is dataclasses.MISSING for field in dataclasses.fields(found[0])):
        raise Failed(f"{path}: every parameter of {title} needs a default")
    return made


class OwnStrategy:
    """A strategy of a user's file, whose answers are looked at before they are traded."""

    def __init__(self, strategy: SignalStrategy, path: str) -> None:
        self._strategy = strategy
        self._path = path

    @property
    def name(self) -> str:
        """As the file has it."""
        return self._strategy.name

    def targets(self, candles: Candles) -> Targets:
        """The strategy's targets. Raises Failed where it fails, answers anything else, or has looked ahead."""
        whole = self._asked(candles)
        for part in CUTS:
            count = int(len(candles) * part)
            early = self._asked(candles.slice(0, count))
            changed = np.flatnonzero(early != whole[:count])
            if len(changed):
                raise Failed(
                    f"{self._path}: targets() looks ahead: what it wants at candle {int(changed[0])} is another with"
                    f" {count} candles than with {len(candles)}"
                )
        return whole

    def _asked(self, candles: Candles) -> Targets:
        try:
            answer = np.asarray(self._strategy.targets(_read_only(candles)))
        except Exception as error:  # the user's code may raise anything
            raise Failed(_said(error, self._path)) from error
        if answer.shape != (len(candles),) or not np.isin(answer, (-1, 0, 1)).all():
            raise Failed(f"{self._path}: targets() is to answer one of -1, 0, 1 for each of {len(candles)} candles")
        return answer.astype(np.int8)


def _read_only(candles: Candles) -> Candles:
    """The same candles in columns that refuse to be written to."""
    time_ms, *prices = (
        candles.time_ms.view(),
        candles.open.view(),
        candles.high.view(),
        candles.low.view(),
        candles.close.view(),
        candles.volume.view(),
    )
    for column in (time_ms, *prices):
        column.flags.writeable = False
    return Candles(candles.timeframe_ms, time_ms, *prices)


def _said(error: Exception, path: str) -> str:
    """One line: where in the strategy's file, and what."""
    if isinstance(error, SyntaxError):
        return f"{path}:{error.lineno}: {error.msg}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    place = f"{path}:{frames[-1].lineno}" if frames else path
    return f"{place}: {type(error).__name__}: {error}"
