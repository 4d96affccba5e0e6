"""`--param NAME=VALUE`: constants of a strategy by their names, read as the kind of value that each one is."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any

from nija_cli.endings import WrongUsage
from nija_trading.domain.apex.parameters import Parameters, RiskProfile
from nija_trading.domain.matching.money import as_float, units

MONEY = frozenset({"hard_cap_value"})
"""Parameters that are amounts: units of 1e-8 inside, the quote currency on the command line."""
LONGEST = 1_000_000


def apex_parameters(given: Iterable[str], profile: RiskProfile) -> tuple[Parameters, RiskProfile]:
    """APEX's constants and the profile's with those that are given. Raises WrongUsage."""
    values = read(given, apex_defaults(profile), "apex_v72")
    own = {field.name for field in dataclasses.fields(Parameters)}
    try:
        params = Parameters(**{name: value for name, value in values.items() if name in own})
    except ValueError as error:
        raise WrongUsage(f"--param: {error}") from error
    _check_together(params)
    return params, dataclasses.replace(profile, **{name: value for name, value in values.items() if name not in own})


def apex_defaults(profile: RiskProfile) -> dict[str, Any]:
    """Every constant of APEX and of the profile, with its value."""
    own, risk = (
        {field.name: getattr(values, field.name) for field in dataclasses.fields(values)}
        for values in (Parameters(), profile)
    )
    del risk["level"]
    return own | risk


def shown(values: object) -> dict[str, Any]:
    """A dataclass's fields as plain values, amounts in the quote currency."""
    found = {}
    for field in dataclasses.fields(values):  # type: ignore[arg-type]  # checked by the caller: a dataclass
        value = getattr(values, field.name)
        if isinstance(value, Enum):
            value = value.value
        elif isinstance(value, tuple):
            value = list(value)
        found[field.name] = as_float(value) if field.name in MONEY else value
    return found


def read(given: Iterable[str], defaults: Mapping[str, Any], strategy: str) -> dict[str, Any]:
    """The values of `NAME=VALUE` texts, each of the kind of its default. Raises WrongUsage."""
    found: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals:
            raise WrongUsage(f"--param {text!r} is not NAME=VALUE")
        if name not in defaults:
            known = ", ".join(sorted(defaults)) or "none"
            raise WrongUsage(f"--param {name}: {strategy} has no such parameter; it has: {known}")
        if name in found:
            raise WrongUsage(f"--param {name} is given twice")
        found[name] = _value(name, value.strip(), defaults[name])
    return found


def _value(name: str, text: str, default: Any) -> Any:
    if isinstance(default, bool):
        words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
        if text.lower() not in words:
            raise WrongUsage(f"--param {name}={text}: write true or false")
        return words[text.lower()]
    if isinstance(default, Enum):
        kinds = {kind.value: kind for kind in type(default)}
        if text not in kinds:
            raise WrongUsage(f"--param {name}={text}: write one of {', '.join(kinds)}")
        return kinds[text]
    if isinstance(default, tuple):
        return tuple(_number(name, part) for part in text.split(",") if part.strip())
    if name in MONEY:
        return units(_number(name, text, most=1e9))
    if isinstance(default, int):
        return _count(name, text)
    if isinstance(default, float):
        return _number(name, text)
    return text


def _count(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text[:10]) <= LONGEST:
        raise WrongUsage(f"--param {name}={text}: write a whole number from 1 to {LONGEST:,}")
    return int(text)


def _number(name: str, text: str, most: float = math.inf) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and 0 <= number <= most) or "_" in text:
        raise WrongUsage(f"--param {name}={text}: write a number, 0 or more")
    return number


def _check_together(params: Parameters) -> None:
    """Values that are each a number and make no sense together."""
    if any(not 0 < share <= 1 for share in params.level_shares):
        raise WrongUsage("--param level_shares: each share is above 0 and at most 1")
    if params.stop_minimum > params.stop_maximum:
        raise WrongUsage(f"--param stop_minimum {params.stop_minimum} is above stop_maximum {params.stop_maximum}")
    if params.stop_maximum >= 1:
        raise WrongUsage("--param stop_maximum: a stop lies less than all of the price below it (below 1)")
    if params.market_count > 5:
        raise WrongUsage("--param market_count: there are 5 conditions")
