"""Money and quantities as integers of 1e-8, and the only places where they are rounded.

Cash, order values, fees and quantities are `int`s that count hundred-millionths; prices are float64. Rules:
a value (price times quantity) and a fee are rounded to the nearest unit, half to even, so that the noise of a
float product never shows; a quantity that is bought or a share that is sold is cut down, never up; a rate is
taken to 8 decimals, so that a tenth of 3.0 is exactly 0.3.
"""

from __future__ import annotations

from decimal import Decimal

ONE = 100_000_000
"""Units in 1.0."""


def units(amount: float | int | str | Decimal) -> int:
    """An amount such as 10000 or "0.25" in units, to the nearest."""
    return round(Decimal(str(amount)) * ONE)


def as_decimal(amount: int) -> Decimal:
    """Units as the exact decimal number that they stand for."""
    return Decimal(amount).scaleb(-8)


def as_float(amount: int) -> float:
    """Units as a float, for reports and charts."""
    return amount / ONE


def value_of(price: float, quantity: int) -> int:
    """Worth of a quantity at a price, in units of the quote currency, to the nearest."""
    return round(price * quantity)


def fee_of(value: int, rate: float) -> int:
    """Fee on a value, to the nearest unit."""
    return round(value * rate)


def rate_units(rate: float) -> int:
    """A rate in hundred-millionths, as `part_of` takes it."""
    return round(rate * ONE)


def part_of(amount: int, rate: int) -> int:
    """That rate, in hundred-millionths, of an amount, cut down to the unit."""
    return amount * rate // ONE


def portion(amount: int, rate: float) -> int:
    """`rate` of an amount, cut down to the unit; exact for rates of up to 8 decimals."""
    return part_of(amount, rate_units(rate))


def reaches(part: int, whole: int, rate: float) -> bool:
    """Whether `part` is at least `rate` of `whole`, without rounding."""
    return part * ONE >= whole * rate_units(rate)


def cut(quantity: int, step: int) -> int:
    """A quantity cut down to a multiple of the market's step (both in units)."""
    return quantity // step * step


def quantity_for(value: int, price: float, step: int) -> int:
    """The quantity that a value buys at a price, cut to the step."""
    return cut(int(value / price), step)
