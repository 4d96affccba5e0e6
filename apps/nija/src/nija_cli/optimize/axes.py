"""Which points are searched: `--grid NAME=…` and `--range NAME=LOW:HIGH` as axes, and the points that they span.

A point is a value's text for each axis, as `--param` would have it. What a text means is the strategy's matter.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from nija_cli.backtest.parameters import read
from nija_cli.endings import WrongUsage

MOST_VALUES = 100_000
DIGITS = 6
"""Of a number that is drawn from a range."""

Point = tuple[str, ...]
"""One text for each axis."""


class Choices(NamedTuple):
    """An axis of values that are listed."""

    name: str
    values: tuple[str, ...]


class Range(NamedTuple):
    """An axis from `low` to `high`, both included, to draw from; of whole numbers or not."""

    name: str
    low: float
    high: float
    whole: bool


Axis = Choices | Range


def axes_of(grids: Sequence[str], ranges: Sequence[str], defaults: Mapping[str, Any], strategy: str) -> list[Axis]:
    """The axes, the listed ones first. Raises WrongUsage for what is no axis or no parameter of the strategy."""
    axes: list[Axis] = []
    for text in grids:
        name, values = _parted(text, "--grid", "NAME=V1,V2,… or NAME=START:STOP:STEP")
        found = _listed(text, values)
        for value in found:
            _known("--grid", f"{name}={value}", defaults, strategy)
        axes.append(Choices(name, found))
    for text in ranges:
        name, ends = _parted(text, "--range", "NAME=LOW:HIGH")
        axes.append(_range(text, name, ends, defaults, strategy))
    names = [axis.name for axis in axes]
    for name in names:
        if names.count(name) > 1:
            raise WrongUsage(f"{name} is searched twice; one --grid or --range for each parameter")
    return axes


def size_of(axes: Sequence[Choices]) -> int:
    """How many points a grid has."""
    size = 1
    for axis in axes:
        size *= len(axis.values)
    return size


def grid(axes: Sequence[Choices]) -> list[Point]:
    """Every point, the last axis changing fastest."""
    return list(itertools.product(*(axis.values for axis in axes)))


def drawn(axes: Sequence[Axis], count: int, seed: int) -> list[Point]:
    """`count` different points drawn evenly; fewer where there are no more. The same seed draws the same."""
    source = random.Random(seed)
    found: dict[Point, None] = {}
    for _ in range(20 * count):
        if len(found) == count:
            break
        found.setdefault(tuple(_drawn(axis, source) for axis in axes))
    return list(found)


def _drawn(axis: Axis, source: random.Random) -> str:
    if isinstance(axis, Choices):
        return source.choice(axis.values)
    if axis.whole:
        return str(source.randint(int(axis.low), int(axis.high)))
    return f"{source.uniform(axis.low, axis.high):.{DIGITS}g}"


def _known(option: str, text: str, defaults: Mapping[str, Any], strategy: str) -> None:
    try:
        read((text,), defaults, strategy)
    except WrongUsage as error:
        raise WrongUsage(str(error).replace("--param", option, 1)) from error


def _parted(text: str, option: str, form: str) -> tuple[str, str]:
    name, equals, values = text.partition("=")
    if not equals or not name.strip() or not values.strip():
        raise WrongUsage(f"{option} {text!r} is not {form}")
    return name.strip(), values.strip()


def _listed(text: str, values: str) -> tuple[str, ...]:
    """The values of an axis: between `|`, else a START:STOP:STEP, else between commas; each once."""
    if "|" in values:
        parts = [part.strip() for part in values.split("|")]
    elif ":" in values:
        parts = _stepped(text, values)
    else:
        parts = [part.strip() for part in values.split(",")]
    if not all(parts):
        raise WrongUsage(f"--grid {text!r} has an empty value")
    return tuple(dict.fromkeys(parts))


def _stepped(text: str, values: str) -> list[str]:
    try:
        start, stop, step = (Decimal(part.strip()) for part in values.split(":"))
        if not all(number.is_finite() for number in (start, stop, step)):
            raise ValueError
    except (InvalidOperation, ValueError):
        raise WrongUsage(f"--grid {text!r} is not NAME=START:STOP:STEP, three numbers") from None
    if step <= 0 or stop < start:
        raise WrongUsage(f"--grid {text!r} is empty: STEP is above 0, and STOP not below START")
    if (stop - start) / step >= MOST_VALUES:
        raise WrongUsage(f"--grid {text!r} has more than {MOST_VALUES:,} values")
    return [f"{start + number * step:f}" for number in range(int((stop - start) / step) + 1)]


def _range(text: str, name: str, ends: str, defaults: Mapping[str, Any], strategy: str) -> Range:
    low, colon, high = (part.strip() for part in ends.partition(":"))
    if not colon or ":" in high:
        raise WrongUsage(f"--range {text!r} is not NAME=LOW:HIGH")
    for end in (low, high):
        _known("--range", f"{name}={end}", defaults, strategy)
    default = defaults[name]
    if isinstance(default, bool) or not isinstance(default, int | float):
        raise WrongUsage(f"--range {text!r}: {name} is no number; list its values with --grid")
    found = Range(name, float(low), float(high), isinstance(default, int))
    if found.low > found.high:
        raise WrongUsage(f"--range {text!r} is empty: HIGH is below LOW")
    return found
