"""Which ledger a user looks at, and the cash in it.

Paper and live are two ledgers; within one, each broker has its own cash.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from nija_common.values.document import Collection, Document
from nija_common.values.money import Units

Mode = Literal["paper", "live"]


class LastRun(Document):
    """Where a user's bot last ran, per ledger and over all. Id: the user's."""

    collection: ClassVar[Collection] = Collection("last_runs")

    paper: bool
    paper_broker: str | None = None
    live_broker: str | None = None

    def broker(self, paper: bool) -> str | None:
        """The broker the bot last ran on in that ledger; None if it never did."""
        return self.paper_broker if paper else self.live_broker


class Balance(Document):
    """The cash of one broker in one ledger, as last known."""

    collection: ClassVar[Collection] = Collection("balances")

    user_id: str
    broker: str
    paper: bool
    currency: str
    cash: Units
    at_ms: int


def balance_id(user_id: str, paper: bool, broker: str) -> str:
    """The id of a balance."""
    return f"{user_id}/{'paper' if paper else 'live'}/{broker}"


def after_run(stored: LastRun | None, user_id: str, paper: bool, broker: str) -> LastRun:
    """The document once a bot has run there."""
    last = stored or LastRun(id=user_id, paper=paper)
    return last.model_copy(update={"paper": paper, "paper_broker" if paper else "live_broker": broker})


def is_paper(mode: Mode | None, last: LastRun | None) -> bool:
    """The ledger that is asked for: the named one, else the one the bot last ran on, else paper."""
    if mode is not None:
        return mode == "paper"
    return last is None or last.paper
