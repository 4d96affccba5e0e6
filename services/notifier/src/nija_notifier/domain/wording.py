"""Numbers and moments as people read them in a mail: amounts with their currency, times in UTC, one line each."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Decimal

from nija_common.values.money import price as rounded_price

MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
LONGEST_LINE = 300
LONGEST_NAME = 80
_CENT = Decimal("0.01")
_LINK = re.compile(r"://|www\.|@|\w\.\w{2,}")


def usd(text: str) -> str:
    """`1,234.50 USD` of an amount as decimal text."""
    return f"{_cents(Decimal(text)):,f} USD"


def usd_change(text: str) -> str:
    """As `usd`, a gain with its sign: `+12.50 USD`."""
    return f"{_cents(Decimal(text)):+,f} USD"


def cents(amount: int, currency: str) -> str:
    """`149.00 USD` of an amount in cents."""
    return f"{Decimal(amount).scaleb(-2):,.2f} {currency.upper()}"


def price(value: float) -> str:
    """A price as answers show it, with separators and at least two places: `43,210.50`."""
    number = Decimal(repr(rounded_price(value))).normalize()
    return f"{_cents(number) if number.as_tuple().exponent > -2 else number:,f}"  # type: ignore[operator]


def quantity(text: str) -> str:
    """A quantity without trailing zeros."""
    return f"{Decimal(text).normalize():,f}"


def percent_change(value: float | str) -> str:
    """`+1.25 %` of a number in per cent."""
    return f"{_cents(Decimal(str(value))):+,f} %"


def share(text: str) -> str:
    """`62.5 %` of a fraction as decimal text."""
    return f"{(Decimal(text) * 100).quantize(Decimal('0.1'), ROUND_HALF_EVEN):f} %"


def moment(ms: int) -> str:
    """`29 January 2026, 10:42 UTC`."""
    at = datetime.fromtimestamp(ms / 1000, UTC)
    return f"{_day(at.date())}, {at:%H:%M} UTC"


def period(text: str) -> str:
    """`29 January 2026`, or `19 January 2026 to 25 January 2026`, of ISO days; whatever else it is stays as it is."""
    try:
        return " to ".join(_day(date.fromisoformat(day)) for day in text.split(" to "))
    except ValueError:
        return text


def words(name: str) -> str:
    """A reason's word as words: `trailing_stop` is `trailing stop`."""
    return name.replace("_", " ")


def line(text: str) -> str:
    """One line of printable text: what somebody typed can neither add lines to a mail nor headers."""
    printable = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(printable.split())[:LONGEST_LINE]


def salutation(full_name: str) -> str:
    """How a mail begins. Whoever registers chooses the name and the address: a name that mail programs would turn
    into a link, or a very long one, is left out, so that nobody sends advertising by registering strangers."""
    name = line(full_name)
    if not name or len(name) > LONGEST_NAME or _LINK.search(name):
        return "Hello,"
    return f"Hello {name},"


def _cents(number: Decimal) -> Decimal:
    # Adding zero makes of -0.00 a plain 0.00.
    return number.quantize(_CENT, ROUND_HALF_EVEN) + 0


def _day(day: date) -> str:
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}"
