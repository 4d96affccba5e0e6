"""One notice to everybody: how far it has come. And the switches' states, so that each change is told once."""

from __future__ import annotations

from typing import ClassVar

from nija_common.events.trading import KillSwitchSnapshot
from nija_common.values.document import Collection, Document, Index
from nija_notifier.domain.mail import KEPT_MS
from nija_notifier.domain.notices import Notice
from nija_notifier.domain.recipients import Revision


class Switch(Document):
    """A kill switch as its last snapshot left it; the id is its scope, `global` or a user."""

    collection: ClassVar[Collection] = Collection("kill_switches")

    active: bool = False
    revision: Revision | None = None

    def is_news(self, revision: Revision) -> bool:
        return self.revision is None or revision > self.revision

    def after(self, event: KillSwitchSnapshot, revision: Revision) -> Switch:
        return self.model_copy(update={"active": event.active, "revision": revision})


class Circular(Document):
    """A notice on its way to every active account. `after`: the place in the list of accounts that it has reached.

    The id is that of the event that caused it: with template and user it makes the deliveries' ids.
    """

    collection: ClassVar[Collection] = Collection(
        "circulars", (Index("by_done", ("done", "begun_at_ms")),), ttl_field="drop_at_ms"
    )

    template: str
    fields: dict[str, str]
    expires_at_ms: int
    begun_at_ms: int
    after: str | None = None
    done: bool = False
    drop_at_ms: int | None = None

    def advanced(self, after: str | None, now_ms: int) -> Circular:
        """One page further; done where there is none after it."""
        if after is None:
            return self.model_copy(update={"after": None, "done": True, "drop_at_ms": now_ms + KEPT_MS})
        return self.model_copy(update={"after": after})


def circular(event_id: str, notice: Notice, now_ms: int) -> Circular:
    """A notice that begins its way."""
    return Circular(
        id=event_id,
        template=notice.template,
        fields=notice.fields,
        expires_at_ms=notice.expires_at_ms,
        begun_at_ms=now_ms,
    )
