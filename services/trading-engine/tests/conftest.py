"""Random markets, and the literal oracle, for every test of the engine."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


def load_module(path: Path) -> ModuleType:
    """A module of a test folder, which is no package."""
    name = f"nija_trading_tests_{path.parent.name}_{path.stem}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def literal() -> ModuleType:
    """The strategy page, read literally."""
    return load_module(Path(__file__).parent / "unit/oracle/literal.py")


@pytest.fixture(scope="session")
def markets() -> ModuleType:
    """Random markets."""
    return load_module(Path(__file__).parent / "unit/oracle/markets.py")


@pytest.fixture(scope="session")
def scenarios() -> ModuleType:
    """Markets and rules by seed."""
    return load_module(Path(__file__).parent / "unit/oracle/scenarios.py")


@pytest.fixture(scope="session")
def random_market() -> Callable[..., list[Any]]:
    """`(seed, bars, timeframe_ms)` -> candles that trend, stall, jump and fall."""
    found: Callable[..., list[Any]] = load_module(Path(__file__).parent / "unit/oracle/markets.py").market
    return found


@pytest.fixture(scope="session")
def faults() -> Any:
    """The store that dies."""
    return load_module(Path(__file__).parent / "component/faults.py")


@pytest.fixture(scope="session")
def live() -> Any:
    """Markets that trade on a fake exchange."""
    return load_module(Path(__file__).parent / "component/live.py")
