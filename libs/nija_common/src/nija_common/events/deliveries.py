"""Events that ask for something to be sent or recorded: mails, and rows of the audit log."""

from __future__ import annotations

from typing import Any, ClassVar

from nija_common.events.base import Event
from nija_common.events.topics import AUDIT, MAIL


class MailRequested(Event):
    """Emitted by a service that wants a mail sent. The template belongs to notifier.

    `fields` never hold a secret; what does (a reset link) is in `sealed`, encrypted for notifier with the
    platform's key-encryption key and bound to this event's `mail_id`.
    """

    topic = MAIL
    type = "mail.requested"
    example: ClassVar[dict[str, Any]] = {
        "user_id": "usr_01jk0000000000000000000000",
        "mail_id": "mail_01jk0000000000000000000000",
        "template": "reset_password",
        "to": "user@example.com",
        "fields": {"full_name": "John Doe"},
        "sealed": None,
        "expires_at_ms": 1769686920000,
    }

    user_id: str
    mail_id: str
    template: str
    to: str
    fields: dict[str, str]
    sealed: str | None
    expires_at_ms: int | None


class AuditRecorded(Event):
    """Emitted by every service for what an auditor asks about: logins, refusals, stops, orders, changes by administrators.

    `user_id` is whom it is about (`global` for the platform), `actor` who did it. `metadata` never holds a secret.
    """

    topic = AUDIT
    type = "audit.recorded"
    example: ClassVar[dict[str, Any]] = {
        "user_id": "usr_01jk0000000000000000000000",
        "log_id": "log_01jk0000000000000000000000",
        "event_type": "user_login",
        "actor": "usr_01jk0000000000000000000000",
        "ip_address": "192.0.2.1",
        "user_agent": "curl/8.0",
        "metadata": {"login_method": "email_password", "success": True},
        "at_ms": 1769683320000,
    }

    user_id: str
    log_id: str
    event_type: str
    actor: str
    ip_address: str | None
    user_agent: str | None
    metadata: dict[str, str | int | float | bool | None]
    at_ms: int
