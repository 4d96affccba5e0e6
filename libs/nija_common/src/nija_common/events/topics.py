"""The catalogue of topics. The kind of a topic fixes its retention and what a consumer may assume.

Topics are cut by ordering: events whose order matters share a topic and a key. Nothing relies on order
between topics.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from nija_common.values.shards import PARTITIONS

HOUR_MS = 3_600_000


class Kind(StrEnum):
    """What a topic carries."""

    STATE = "state"
    """Full snapshots of one entity, one event type a topic, compacted: rebuild from offset 0, ignore an older revision."""
    FACT = "fact"
    """What happened, past tense, kept 7 days: none may be missed, handling is idempotent."""
    WAKE_UP = "wake-up"
    """Look into your database; kept an hour, some may be lost."""
    EPHEMERAL = "ephemeral"
    """A reading that is soon replaced; kept an hour, some may be lost."""


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic: its name without the namespace, its kind, and what its key is."""

    name: str
    kind: Kind
    key: str
    partitions: int = PARTITIONS
    kept: bool = False
    """Never dropped by age: an operator has to look at it first."""

    @property
    def sequenced(self) -> bool:
        """Whether its events carry `seq` and are committed with documents (state and fact)."""
        return self.kind in (Kind.STATE, Kind.FACT)

    @property
    def policy(self) -> dict[str, str]:
        """The topic's settings on Kafka."""
        if self.kind is Kind.STATE:
            return {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.1"}
        if self.kept:
            return {"cleanup.policy": "delete", "retention.ms": "-1"}
        retention = 7 * 24 * HOUR_MS if self.kind is Kind.FACT else HOUR_MS
        return {"cleanup.policy": "delete", "retention.ms": str(retention)}


USERS = Topic("nija-users", Kind.STATE, "user")
SESSIONS = Topic("nija-sessions", Kind.FACT, "user")
SUBSCRIPTIONS = Topic("nija-subscriptions", Kind.STATE, "user")
SETTINGS = Topic("nija-settings", Kind.STATE, "user")
CONTROLS = Topic("nija-controls", Kind.STATE, "global or user")
TRADING_COMMANDS = Topic("nija-trading-commands", Kind.WAKE_UP, "user")
TRADING = Topic("nija-trading", Kind.FACT, "user")
MARKET_MARKS = Topic("nija-market-marks", Kind.EPHEMERAL, "symbol")
PAYMENTS = Topic("nija-payments", Kind.FACT, "user")
ADMIN = Topic("nija-admin", Kind.FACT, "user")
USAGE = Topic("nija-usage", Kind.FACT, "global or user")
MAIL = Topic("nija-mail", Kind.FACT, "user")
AUDIT = Topic("nija-audit", Kind.FACT, "user")


def parked_topic(service: str) -> Topic:
    """Where a service's consumers put what they cannot handle, with the error beside it."""
    return Topic(f"nija-parked-{service}", Kind.FACT, "original", kept=True)


SHARED_TOPICS: tuple[Topic, ...] = (
    USERS,
    SESSIONS,
    SUBSCRIPTIONS,
    SETTINGS,
    CONTROLS,
    TRADING_COMMANDS,
    TRADING,
    MARKET_MARKS,
    PAYMENTS,
    ADMIN,
    USAGE,
    MAIL,
    AUDIT,
)
