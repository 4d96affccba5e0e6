"""The summaries that users are mailed: of a day, and of a week from Monday to Sunday, both in UTC.

Which words a mail has is notifier's matter; here are its numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from nija_analytics.domain.figures import Stretch, SymbolRow
from nija_analytics.domain.people import Preferences, UserCard
from nija_analytics.domain.results import date_of
from nija_common.events.deliveries import MailRequested
from nija_common.values.document import Collection, Document
from nija_common.values.ids import derived_id
from nija_common.values.money import Units, usd
from nija_common.values.times import DAY_MS

Template = Literal["daily_summary", "weekly_report"]
LENGTH_DAYS: dict[Template, int] = {"daily_summary": 1, "weekly_report": 7}
MONDAY = 4
"""The first Monday has day number 4: 1970-01-01 was a Thursday."""
SETTLE_MS = 2_000
"""Trades closed in the last moment of a period are still on their way when it ends."""


class DigestRun(Document):
    """How far the summaries of one period have been sent. Id: template and first day."""

    collection: ClassVar[Collection] = Collection("digest_runs")
    after: str | None = None
    done: bool = False


class DigestMail(Document):
    """Says that a user's summary of a period has been asked for. Id: the mail's, the same for the same user and
    period always."""

    collection: ClassVar[Collection] = Collection("digest_mails", ttl_field="keep_until_ms")
    user_id: str
    keep_until_ms: int


@dataclass(frozen=True, slots=True)
class Period:
    """One summary's days: from `first` to before `end`."""

    template: Template
    first: int
    end: int

    @property
    def name(self) -> str:
        return f"{self.template}/{self.first}"

    @property
    def text(self) -> str:
        """`2026-01-29`, or `2026-01-19 to 2026-01-25`."""
        first, last = date_of(self.first).isoformat(), date_of(self.end - 1).isoformat()
        return first if first == last else f"{first} to {last}"

    @property
    def expires_at_ms(self) -> int:
        """When the next one takes its place."""
        return (2 * self.end - self.first) * DAY_MS

    def mail_id(self, user_id: str) -> str:
        """The id of a user's mail."""
        return derived_id("mail", self.template, user_id, str(self.first))

    def wanted(self, preferences: Preferences) -> bool:
        """Whether the user wants it."""
        asks = preferences.notifications
        return asks.email_enabled and (asks.daily_summary if self.template == "daily_summary" else asks.weekly_report)


def last_period(template: Template, now_ms: int) -> Period:
    """The last day, or week from Monday, that is over."""
    today = (now_ms - SETTLE_MS) // DAY_MS
    end = today if template == "daily_summary" else today - (today - MONDAY) % 7
    return Period(template, end - LENGTH_DAYS[template], end)


def mail(period: Period, user: UserCard, figures: Stretch, equity: Units, best: SymbolRow | None) -> MailRequested:
    """The mail's event. Numbers as text: USD to 2 places, `pnl_pct` in per cent, `win_rate` a fraction.

    `equity`: realised, at the period's end.
    """
    return MailRequested(
        user_id=user.id,
        mail_id=period.mail_id(user.id),
        template=period.template,
        to=user.email,
        fields={
            "full_name": user.full_name,
            "period": period.text,
            "trades": str(figures.trades),
            "wins": str(figures.wins),
            "losses": str(figures.losses),
            "win_rate": f"{figures.win_rate or 0.0:.4f}",
            "pnl": f"{usd(figures.pnl):.2f}",
            "pnl_pct": f"{figures.pnl_pct:.2f}",
            "equity": f"{usd(equity):.2f}",
            "best_symbol": "" if best is None else best.symbol,
        },
        sealed=None,
        expires_at_ms=period.expires_at_ms,
    )
