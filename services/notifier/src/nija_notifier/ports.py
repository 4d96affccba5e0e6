"""The ports to the outside: who carries a letter, and who remembers what has been told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from nija_notifier.domain.mail import Letter
from nija_notifier.domain.trade_updates import TradeUpdate


class MailRefused(Exception):
    """The mail was not taken. `permanent`: trying again is no use. The text holds neither address nor content."""

    def __init__(self, reason: str, *, permanent: bool) -> None:
        super().__init__(reason)
        self.permanent = permanent


class Mailer(Protocol):
    """Two adapters: a folder (`nija up`), SMTP."""

    async def send(self, letter: Letter) -> None:
        """Returns once the letter has been handed over; the same letter may be given twice. Raises MailRefused."""
        ...


class Lost(Exception):
    """What a client has missed cannot be told: too old, too much, an id that was never given, nobody to ask now."""

    def __init__(self, reason: Literal["too_old", "too_many", "unknown", "busy", "unavailable"]) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Past:
    """A user's trade updates after an offset, in order, up to before the offset `end`."""

    updates: tuple[TradeUpdate, ...]
    end: int


class History(Protocol):
    """Where trade updates are that this process has not in memory. One adapter: the bus itself."""

    async def after(self, user_id: str, offset: int) -> Past:
        """All of the user's trade updates after that offset which are there at the time of the call. Raises Lost."""
        ...
