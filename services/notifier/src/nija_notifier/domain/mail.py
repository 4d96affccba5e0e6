"""Mails that are wanted: when to try, when to give up, and what stays of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from nija_common.events.deliveries import MailRequested
from nija_common.values.document import Collection, Document, Index
from nija_common.values.ids import derived_id
from nija_notifier.domain.notices import Notice
from nija_notifier.domain.recipients import Recipient

RETRY_AFTER_S = (30, 120, 600, 1_800, 3_600)
"""Pauses between the tries; after the last one the mail has failed."""

IN_HAND_MS = 120_000
"""A try that has told nothing for this long has died with its process: the mail is due again."""

KEPT_MS = 30 * 86_400_000
"""How long a finished delivery stays for whoever asks what became of a mail."""

ASK_AGAIN_MS = 30_000
"""Pause until somebody whom nobody has told us of yet is looked for again."""

Waiting = Literal["wanted", "queued"]
"""Both are to be sent. `queued` is what goes to many at once: it waits in a line of its own, so that a reset link
never stands behind a circular."""
DeliveryStatus = Literal["wanted", "queued", "sent", "failed", "expired", "unwanted"]
BULK = frozenset({"daily_summary", "weekly_report"})
"""Templates that services ask for in large numbers."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail as it is handed to a mailer. `mail_id` makes its Message-ID, alike at every try."""

    mail_id: str
    to: str
    subject: str
    text: str
    html: str

    def __repr__(self) -> str:
        return f"Letter(mail_id={self.mail_id!r})"


class Delivery(Document):
    """One mail. `sealed` and `fields` are wiped as soon as nothing is to be sent any more.

    `to` None: to the address of the account at the time of sending.
    """

    collection: ClassVar[Collection] = Collection(
        "deliveries", (Index("by_due", ("status", "due_at_ms")),), ttl_field="drop_at_ms"
    )

    user_id: str
    template: str
    to: str | None
    fields: dict[str, str]
    sealed: str | None
    expires_at_ms: int | None
    status: DeliveryStatus = "wanted"
    due_at_ms: int
    attempts: int = 0
    reason: str | None = None
    wanted_at_ms: int
    finished_at_ms: int | None = None
    drop_at_ms: int | None = None

    @property
    def waiting(self) -> bool:
        """Whether it is still to be sent."""
        return self.status in ("wanted", "queued")

    def taken(self, now_ms: int) -> Delivery:
        """A try begins: nobody else begins one until it has surely ended."""
        return self.model_copy(update={"attempts": self.attempts + 1, "due_at_ms": now_ms + IN_HAND_MS})

    def addressed(self, recipient: Recipient) -> Delivery:
        """With address and name of the account, where the wish did not bring them."""
        if self.to is not None:
            return self
        return self.model_copy(
            update={"to": recipient.email, "fields": {**self.fields, "full_name": recipient.full_name}}
        )

    def postponed(self, now_ms: int) -> Delivery:
        """Its account is not known yet: topics come in no order. No try has been made."""
        return self.model_copy(update={"due_at_ms": now_ms + ASK_AGAIN_MS})

    def expired(self, now_ms: int) -> bool:
        """Whether what the mail offers is over, so that sending it would only mislead."""
        return self.expires_at_ms is not None and self.expires_at_ms <= now_ms

    def finished(self, status: DeliveryStatus, now_ms: int, reason: str | None = None) -> Delivery:
        """The end: sent, failed, expired or unwanted. Contents are gone."""
        return self.model_copy(
            update={
                "status": status,
                "reason": reason,
                "fields": {},
                "sealed": None,
                "finished_at_ms": now_ms,
                "drop_at_ms": now_ms + KEPT_MS,
            }
        )

    def refused(self, reason: str, *, permanent: bool, now_ms: int) -> Delivery:
        """The mailer did not take it: again later, or never."""
        if permanent or self.attempts > len(RETRY_AFTER_S):
            return self.finished("failed", now_ms, reason)
        due = now_ms + RETRY_AFTER_S[self.attempts - 1] * 1000
        return self.model_copy(update={"due_at_ms": due, "reason": reason})


def wanted(event: MailRequested, now_ms: int) -> Delivery:
    """The delivery that an event asks for."""
    return Delivery(
        id=event.mail_id,
        user_id=event.user_id,
        template=event.template,
        to=event.to,
        fields=event.fields,
        sealed=event.sealed,
        expires_at_ms=event.expires_at_ms,
        status="queued" if event.template in BULK else "wanted",
        due_at_ms=now_ms,
        wanted_at_ms=now_ms,
    )


def delivery_id(event_id: str, template: str, user_id: str) -> str:
    """The id of the mail that an event causes for a user: the same however often the event is handled."""
    return derived_id("mail", event_id, template, user_id)


def delivery_of(notice: Notice, event_id: str, user_id: str, now_ms: int, status: Waiting) -> Delivery:
    """The delivery of a notice to a user."""
    return Delivery(
        id=delivery_id(event_id, notice.template, user_id),
        user_id=user_id,
        template=notice.template,
        to=None,
        fields=notice.fields,
        sealed=None,
        expires_at_ms=notice.expires_at_ms,
        status=status,
        due_at_ms=now_ms,
        wanted_at_ms=now_ms,
    )
