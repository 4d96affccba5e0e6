"""The port to the outside: who carries a letter."""

from __future__ import annotations

from typing import Protocol

from nija_notifier.domain.mail import Letter


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
