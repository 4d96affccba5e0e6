"""One account as administrators list it: who it is, how it stands, what it trades, when it was last seen.

What is searched lies in `AccountCard` and its `SearchWord` rows, because a query takes one collection and one index.
What is only shown stays with the snapshot it came in (`people.py`) or with the facts it is counted from
(`TradingCard`, `Activity`).
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from nija_analytics.domain.people import SubscriptionCard, UserCard
from nija_common.events.identity import AccountStatus
from nija_common.values.document import Collection, Document, Index
from nija_common.values.money import Units
from nija_common.values.tiers import Tier
from nija_common.values.times import DAY_MS


class AccountCard(Document):
    """What accounts are listed by. Id: the user's. `registered_at_ms` is None until auth has told of the account:
    such a card is in no list.

    `standing` is the administrator's word and `past_due` billing's; `status` is what both come to.
    """

    collection: ClassVar[Collection] = Collection(
        "account_cards",
        (
            Index("by_age", ("registered_at_ms",)),
            Index("by_tier", ("tier", "registered_at_ms")),
            Index("by_status", ("status", "registered_at_ms")),
            Index("by_tier_and_status", ("tier", "status", "registered_at_ms")),
        ),
    )
    email: str = ""
    registered_at_ms: int | None = None
    standing: AccountStatus = "active"
    past_due: bool = False
    status: AccountStatus = "active"
    tier: Tier = Tier.FREE

    def search_rows(self) -> list[SearchWord]:
        """The rows by which the account is found (version 0)."""
        return [
            SearchWord(
                id=f"{self.id}/{number}",
                user_id=self.id,
                text=text,
                shared=shared,
                tier=self.tier,
                status=self.status,
            )
            for number, (text, shared) in enumerate(words(self.email))
        ]


class SearchWord(Document):
    """The e-mail address from the beginning of one of its words to its end, in lower case. Id: user and number.

    `shared`: how many characters it begins with in common with the row before it, in the order of `text`, of the same
    user. Of a user's rows that begin with a search, exactly one shares fewer characters than the search has: so nobody
    is counted twice, however many words match.
    """

    collection: ClassVar[Collection] = Collection(
        "account_words",
        (
            Index("by_text", ("shared", "text")),
            Index("by_tier", ("tier", "shared", "text")),
            Index("by_status", ("status", "shared", "text")),
            Index("by_tier_and_status", ("tier", "status", "shared", "text")),
        ),
    )
    user_id: str
    text: str
    shared: int
    tier: Tier
    status: AccountStatus


class LedgerResults(BaseModel):
    """Closed trades of one ledger; `net`: the sum of their `realized_pnl`. A trade is won above zero."""

    model_config = ConfigDict(frozen=True)
    trades: int = 0
    wins: int = 0
    net: Units = 0


class TradingCard(Document):
    """What an account trades. Id: the user's. `paper`: the ledger that its bot last ran on.

    `open_positions`: by id, whether on paper. `brokers`: connections by id, with the broker's name.
    """

    collection: ClassVar[Collection] = Collection("trading_cards")
    running: bool = False
    paper: bool = True
    open_positions: dict[str, bool] = Field(default_factory=dict)
    brokers: dict[str, str] = Field(default_factory=dict)
    paper_results: LedgerResults = LedgerResults()
    live_results: LedgerResults = LedgerResults()

    @property
    def results(self) -> LedgerResults:
        """Those of the ledger that is shown."""
        return self.paper_results if self.paper else self.live_results

    @property
    def positions_shown(self) -> int:
        """Open positions of the ledger that is shown."""
        return sum(paper == self.paper for paper in self.open_positions.values())


class Activity(Document):
    """When an account was last seen: a call with its token, or a login. Id: the user's."""

    collection: ClassVar[Collection] = Collection("activity")
    last_ms: int

    @property
    def day(self) -> int:
        """The UTC day of it, counted from 1970-01-01."""
        return self.last_ms // DAY_MS


def shown_status(standing: AccountStatus, past_due: bool) -> AccountStatus:
    """`disabled` and `suspended` as the administrator said; `suspended` as well for a failed payment: either way the
    platform answers ACCOUNT_SUSPENDED."""
    return "suspended" if standing == "active" and past_due else standing


def with_user(card: AccountCard, user: UserCard) -> AccountCard:
    """The card as auth's snapshot has it."""
    return card.model_copy(
        update={
            "email": user.email,
            "registered_at_ms": user.registered_at_ms,
            "standing": user.status,
            "status": shown_status(user.status, card.past_due),
        }
    )


def with_subscription(card: AccountCard, subscription: SubscriptionCard) -> AccountCard:
    """The card as billing's snapshot has it."""
    past_due = subscription.status == "past_due"
    return card.model_copy(
        update={
            "tier": subscription.tier,
            "past_due": past_due,
            "status": shown_status(card.standing, past_due),
        }
    )


def words(email: str) -> list[tuple[str, int]]:
    """What the search rows of an address hold, by number: text, and characters shared with the one before it."""
    text = search_text(email)
    starts = [i for i, c in enumerate(text) if i == 0 or (c.isalnum() and not text[i - 1].isalnum())]
    found: list[tuple[str, int]] = []
    for word in sorted(text[start:] for start in starts):
        found.append((word, _shared(found[-1][0], word) if found else 0))
    return found


def search_text(text: str) -> str:
    """An address or a search as they are compared: without blanks around it, in lower case."""
    return text.strip().lower()


def _shared(one: str, other: str) -> int:
    length = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        length += 1
    return length
