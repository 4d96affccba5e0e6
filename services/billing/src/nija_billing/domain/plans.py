"""The four plans: names, prices, what each promises. Prices are whole cents inside; limits are those of the tiers.

Not here: which plan an account is on (`subscription.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

from nija_common.events.subscriptions import Interval
from nija_common.values.tiers import LIMITS, Tier, TierLimits

Cents = int


@dataclass(frozen=True, slots=True)
class Plan:
    """One plan as it is sold. `features` is the text that customers read."""

    tier: Tier
    name: str
    monthly: Cents
    yearly: Cents
    features: tuple[str, ...]
    popular: bool = False

    @property
    def limits(self) -> TierLimits:
        return LIMITS[self.tier]

    @property
    def yearly_savings(self) -> Cents:
        """What a year paid at once saves against twelve months."""
        return 12 * self.monthly - self.yearly

    def amount(self, interval: Interval) -> Cents:
        """The price of one period."""
        return self.yearly if interval == "yearly" else self.monthly


PLANS: tuple[Plan, ...] = (
    Plan(
        Tier.FREE,
        "Free",
        0,
        0,
        (
            "Paper trading only",
            "Basic strategy (APEX V7.2)",
            "1 exchange connection",
            "Community support",
            "Basic analytics",
        ),
    ),
    Plan(
        Tier.BASIC,
        "Basic",
        4_900,
        47_000,
        (
            "Live trading",
            "APEX V7.2 strategy",
            "2 exchange connections",
            "Email support",
            "Standard analytics",
            "Mobile app access",
        ),
    ),
    Plan(
        Tier.PRO,
        "Pro",
        14_900,
        143_000,
        (
            "All Basic features",
            "Meta-AI optimization",
            "MMIN multi-market intelligence",
            "5 exchange connections",
            "Priority support",
            "Advanced analytics",
            "Custom risk profiles",
            "TradingView integration",
        ),
        popular=True,
    ),
    Plan(
        Tier.ENTERPRISE,
        "Enterprise",
        49_900,
        479_000,
        (
            "All Pro features",
            "GMIG macro intelligence",
            "Unlimited exchanges",
            "Dedicated support",
            "Custom strategy tuning",
            "API access",
            "White-label option",
            "Multi-account management",
        ),
    ),
)

_BY_TIER = {plan.tier: plan for plan in PLANS}


def plan_of(tier: Tier) -> Plan:
    """The plan of a tier."""
    return _BY_TIER[tier]
