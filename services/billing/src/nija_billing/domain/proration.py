"""Proration in whole cents: what is left of a period that was paid for, and what a change of plan costs now.

    unused = price of the period x whole seconds left / seconds in the period

rounded to the nearest cent, half a cent in the customer's favour. The seconds left are those that have not begun, so
the second in which somebody asks counts as used up only when it is over.
"""

from __future__ import annotations

from dataclasses import dataclass

from nija_billing.domain.periods import Period, whole_second
from nija_billing.domain.plans import Cents


def unused(price: Cents, period: Period, at_ms: int) -> Cents:
    """What is left of `price` at that moment: between 0 and `price`, whenever one asks."""
    total = (period.end_ms - period.start_ms) // 1000
    left = min(max((period.end_ms - whole_second(at_ms)) // 1000, 0), total)
    return (2 * price * left + total) // (2 * total)


def refund(price: Cents, paid: Cents, period: Period, at_ms: int) -> Cents:
    """What an immediate cancellation gives back: the unused part, and never more than was paid for this period."""
    return min(unused(price, period, at_ms), paid)


@dataclass(frozen=True, slots=True)
class Quote:
    """What a plan costs now. `unused` is the credit of the running period, `balance` credit from earlier changes."""

    amount: Cents
    unused: Cents
    balance: Cents

    @property
    def proration_credit(self) -> Cents:
        """Everything that counts against the amount, as a number that is never above 0."""
        return -(self.unused + self.balance)

    @property
    def due(self) -> Cents:
        """To be paid now."""
        return max(0, self.amount + self.proration_credit)

    @property
    def balance_after(self) -> Cents:
        """Credit that is left for coming invoices."""
        return max(0, -(self.amount + self.proration_credit))
