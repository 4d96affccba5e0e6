"""Amounts. Cash and quantities are integers of 1e-8 (`Units`); `Decimal` begins at the order that leaves for a broker.

Answers show USD to 2 places, quantities to 8, prices to the market's tick or else 8 significant digits.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

Units = int
"""An amount or quantity in units of 1e-8."""

SCALE = 100_000_000
UNITS_A_CENT = SCALE // 100
HALF_A_CENT = UNITS_A_CENT // 2


def units(value: str | int | float | Decimal) -> Units:
    """The nearest multiple of 1e-8 (half to even). A float is read by its shortest decimal form."""
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    return int((number * SCALE).to_integral_value(ROUND_HALF_EVEN))


def decimal_of(amount: Units) -> Decimal:
    """The exact amount as a Decimal with 8 places."""
    return Decimal(amount).scaleb(-8)


def text_of(amount: Units) -> str:
    """The exact amount as text without an exponent, as events carry it."""
    return f"{decimal_of(amount):f}"


def usd(amount: Units) -> float:
    """For an answer: USD rounded to 2 places (half to even)."""
    cents, rest = divmod(amount, UNITS_A_CENT)
    if rest >= HALF_A_CENT and (rest > HALF_A_CENT or cents % 2):
        cents += 1
    return cents / 100


def quantity(amount: Units) -> float:
    """For an answer: a quantity with up to 8 places."""
    return amount / SCALE


def price(value: float, tick: float | None = None) -> float:
    """For an answer: a price to the market's tick, or else to 8 significant digits."""
    if tick:
        step = Decimal(repr(tick))
        return float((Decimal(repr(value)) / step).to_integral_value(ROUND_HALF_EVEN) * step)
    return float(f"{value:.8g}")
