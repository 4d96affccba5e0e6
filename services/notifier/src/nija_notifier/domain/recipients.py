"""Whom mails go to: address, name and wishes of every account. A read model of auth's and accounts' snapshots."""

from __future__ import annotations

from typing import ClassVar

from nija_common.events.identity import AccountStatus, UserSnapshot
from nija_common.events.preferences import NotificationSettings, SettingsSnapshot
from nija_common.values.document import Collection, Document, Index

Revision = tuple[int, int]


class Recipient(Document):
    """One account; the id is the user's. Either half may come first, so each has the revision it came with."""

    collection: ClassVar[Collection] = Collection("recipients", (Index("by_status", ("status",)),))

    email: str | None = None
    full_name: str = ""
    status: AccountStatus | None = None
    user_revision: Revision | None = None
    notifications: NotificationSettings = NotificationSettings()
    settings_revision: Revision | None = None

    def with_user(self, event: UserSnapshot, revision: Revision) -> Recipient:
        """As auth says; itself if that is not news."""
        if self.user_revision is not None and revision <= self.user_revision:
            return self
        return self.model_copy(
            update={
                "email": event.email,
                "full_name": event.full_name,
                "status": event.status,
                "user_revision": revision,
            }
        )

    def with_settings(self, event: SettingsSnapshot, revision: Revision) -> Recipient:
        """With the wishes of the user's settings; itself if that is not news."""
        if self.settings_revision is not None and revision <= self.settings_revision:
            return self
        return self.model_copy(update={"notifications": event.notifications, "settings_revision": revision})

    def wants(self, template: str) -> bool:
        """Whether mails of this template are sent. Those about safety, money and the account itself always are."""
        wishes = self.notifications
        match template:
            case "trade":
                return wishes.email_enabled and wishes.trade_notifications
            case "daily_summary":
                return wishes.email_enabled and wishes.daily_summary
            case "weekly_report":
                return wishes.email_enabled and wishes.weekly_report
        return True
