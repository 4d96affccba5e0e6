"""Mails that facts cause: whom, when, how often, and what they say."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from nija_common.events.deliveries import MailRequested
from nija_common.events.identity import UserSnapshot
from nija_common.events.payments import InvoicePaymentFailed
from nija_common.events.preferences import NotificationSettings, SettingsSnapshot
from nija_common.events.trading import KillSwitchSnapshot, TradeCancelled, TradeClosed, TradeOpened, TradeReduced
from nija_common.runtime.manifest import Service
from nija_common.runtime.platform import Platform
from nija_common.storage.unit_of_work import UnitOfWork
from nija_common.testing import TestPlatform, start_platform
from nija_common.testing.events import example_of
from nija_common.values.clock import ManualClock
from nija_notifier import wiring
from nija_notifier.domain.mail import ASK_AGAIN_MS, Letter, delivery_id
from nija_notifier.handlers import notices
from nija_notifier.loops import SEND_MAILS, SPREAD_CIRCULARS
from nija_notifier.service import SERVICE
from nija_notifier.settings import NotifierSettings

ME = "usr_a"


@dataclass
class Postbox:
    """A mailer that keeps letters."""

    letters: list[Letter] = field(default_factory=list)

    async def send(self, letter: Letter) -> None:
        self.letters.append(letter)

    def to(self, address: str) -> list[Letter]:
        return [letter for letter in self.letters if letter.to == address]


@pytest.fixture
def postbox() -> Postbox:
    return Postbox()


def quiet(postbox: Postbox) -> Service:
    """The loops turn when the test says so."""

    @asynccontextmanager
    async def build(settings: NotifierSettings, platform: Platform) -> AsyncIterator[Any]:
        async with wiring.build(settings, platform, postbox) as deps:
            yield deps

    by_hand = tuple(replace(loop, every_s=1e9, leased=False) for loop in (SEND_MAILS, SPREAD_CIRCULARS))
    consumer = replace(SERVICE.roles["consumer"], loops=by_hand)
    return replace(SERVICE, build=build, roles={**SERVICE.roles, "consumer": consumer})


@pytest.fixture
async def posting(tmp_path: Path, clock: ManualClock, postbox: Postbox) -> AsyncIterator[TestPlatform]:
    env = {"NIJA_PUBLIC_URL": "https://nija.example/"}
    async with start_platform(tmp_path, [quiet(postbox)], clock=clock, env=env) as platform:
        yield platform


def user(user_id: str = ME, **changes: Any) -> UserSnapshot:
    fields = {"user_id": user_id, "email": f"{user_id}@nija.example", "full_name": "Ada Lovelace", **changes}
    return example_of(UserSnapshot, **fields)


def wishes(**changes: bool) -> SettingsSnapshot:
    notifications = NotificationSettings(**changes).model_dump(mode="json")
    return example_of(SettingsSnapshot, user_id=ME, notifications=notifications)


def switch(scope: str, active: bool, **changes: Any) -> KillSwitchSnapshot:
    return example_of(KillSwitchSnapshot, **{"scope": scope, "active": active, "by": "usr_admin_canary", **changes})


async def post(platform: TestPlatform) -> None:
    for name in ("spread-circulars", "send-mails"):
        await platform.run_loop("notifier", name)


def plain(letter: Letter) -> str:
    """The text as one line, whatever its breaks."""
    return " ".join(letter.text.split())


async def test_an_opened_and_a_closed_trade_are_one_mail_each_and_what_lies_between_is_none(
    posting: TestPlatform, postbox: Postbox
) -> None:
    await posting.given_events(
        user(),
        example_of(TradeOpened, user_id=ME),
        example_of(TradeReduced, user_id=ME),
        example_of(TradeClosed, user_id=ME),
        example_of(TradeCancelled, user_id=ME),
    )
    await post(posting)
    opened, closed = sorted(postbox.to("usr_a@nija.example"), key=lambda letter: "closed" in letter.subject)
    assert opened.subject == "BTC-USD: long opened (paper)"
    assert opened.text.startswith("Hello Ada Lovelace,\n\nyour strategy has opened a long position in BTC-USD on paper")
    for words in ("Size: 499.95 USD", "Quantity: 0.01157", "Price: 43,210.50", "When: 29 January 2026, 10:42 UTC"):
        assert words in plain(opened)
    assert closed.subject == "BTC-USD: long closed (paper)"
    assert "closed: +0.06 USD (+0.01 %) after fees" in plain(closed)
    assert "Why: trailing stop" in plain(closed)
    assert "https://nija.example" in closed.text
    assert "https://nija.example/" not in closed.text
    assert len(postbox.letters) == 2


@pytest.mark.parametrize("switched_off", ["email_enabled", "trade_notifications"])
async def test_who_wants_no_mail_about_trades_gets_none_but_those_about_safety_and_money(
    posting: TestPlatform, postbox: Postbox, switched_off: str
) -> None:
    await posting.given_events(user(), wishes(**{switched_off: False}))
    await posting.given_events(
        example_of(TradeOpened, user_id=ME),
        example_of(InvoicePaymentFailed, user_id=ME),
        switch(ME, True, by=ME, reason="Enough for today"),
    )
    await post(posting)
    assert sorted(letter.subject for letter in postbox.letters) == [
        "Your NIJA payment failed: new positions are suspended",
        "Your kill switch is on",
    ]
    assert all("always sent" in letter.text and "always sent" in letter.html for letter in postbox.letters)


async def test_a_wish_that_arrives_after_the_trade_still_counts(posting: TestPlatform, postbox: Postbox) -> None:
    await posting.given_events(user(), example_of(TradeOpened, user_id=ME))
    await posting.given_events(wishes(trade_notifications=False))
    await post(posting)
    (trade,) = await posting.received(TradeOpened)
    kept = await posting.deps("notifier").deliveries.get(delivery_id(trade.id, "trade", ME))
    assert (kept.status, kept.fields, postbox.letters) == ("unwanted", {}, [])


async def test_a_trade_of_somebody_nobody_has_told_us_of_waits_for_their_address(
    posting: TestPlatform, postbox: Postbox, clock: ManualClock
) -> None:
    await posting.given_events(example_of(TradeOpened, user_id=ME))
    await post(posting)
    assert postbox.letters == []
    await posting.given_events(user())
    clock.advance(ASK_AGAIN_MS / 1000)
    await post(posting)
    assert [letter.to for letter in postbox.letters] == ["usr_a@nija.example"]


async def test_what_happened_long_ago_is_not_mailed_when_the_service_first_reads_it(
    posting: TestPlatform, postbox: Postbox, clock: ManualClock
) -> None:
    clock.advance(25 * 3_600)
    await posting.given_events(
        user(),
        example_of(TradeOpened, user_id=ME),
        switch(ME, True),
        switch("global", True),
        example_of(InvoicePaymentFailed, user_id=ME),
    )
    await post(posting)
    assert [letter.subject for letter in postbox.letters] == ["Your NIJA payment failed: new positions are suspended"]


async def test_a_failed_payment_is_told_with_amount_reason_and_what_to_do(
    posting: TestPlatform, postbox: Postbox
) -> None:
    await posting.given_events(user(), example_of(InvoicePaymentFailed, user_id=ME))
    await post(posting)
    (letter,) = postbox.letters
    assert "payment of 149.00 USD for your plan (Pro, monthly) failed on 29 January 2026, 10:42 UTC" in plain(letter)
    assert "The card was declined." in letter.text
    assert "No new positions are opened until it is paid." in letter.text
    assert "change your payment method" in letter.text


async def test_each_change_of_a_users_own_switch_is_mailed_to_them_once(
    posting: TestPlatform, postbox: Postbox
) -> None:
    await posting.given_events(
        user(),
        user("usr_b"),
        switch(ME, True, reason="Looks <b>wrong</b>"),
        switch(ME, True, close_positions=True),
        switch(ME, False),
        switch(ME, False),
    )
    await post(posting)
    tripped, released = sorted(postbox.letters, key=lambda letter: "off" in letter.subject)
    assert (tripped.subject, released.subject) == ("Your kill switch is on", "Your kill switch is off")
    assert "an administrator has stopped trading in your account on 29 January 2026" in plain(tripped)
    assert "Looks &lt;b&gt;wrong&lt;/b&gt;" in tripped.html
    assert "usr_admin_canary" not in tripped.text + released.text
    assert "Nothing starts by itself." in released.text


async def test_the_global_switch_is_mailed_to_every_active_account_once_if_the_administrator_wants_it(
    posting: TestPlatform, postbox: Postbox, clock: ManualClock
) -> None:
    await posting.given_events(*(user(f"usr_{n}") for n in range(25)), user("usr_gone", status="disabled"))
    await posting.given_events(switch("global", True, notify_users=False), switch("global", False, notify_users=False))
    await post(posting)
    assert postbox.letters == []
    await posting.given_events(switch("global", True, notify_users=True), switch("global", True, notify_users=True))
    await post(posting)
    clock.advance(1)
    await post(posting)
    assert sorted(letter.to for letter in postbox.letters) == sorted(f"usr_{n}@nija.example" for n in range(25))
    assert {letter.subject for letter in postbox.letters} == {"Trading is stopped for everybody"}


async def test_a_circular_that_dies_between_two_pages_leaves_nobody_out_and_writes_to_nobody_twice(
    posting: TestPlatform, clock: ManualClock
) -> None:
    people = [f"usr_{n}" for n in range(2 * notices.PAGE + 1)]
    await posting.given_events(*(user(person) for person in people))
    await posting.given_events(switch("global", True, notify_users=True))
    deps = posting.deps("notifier")
    (circular,) = await deps.circulars.under_way(10)

    class Killed(BaseException):
        """The process ends before its commit."""

    async def dying(deps: Any, circular_id: str, uow: UnitOfWork) -> None:
        await notices.spread(deps, circular_id, uow)
        raise Killed

    assert await deps.work.run(notices.spread, deps, circular.id)
    with pytest.raises(Killed):
        await deps.work.run(dying, deps, circular.id)
    assert await deps.work.run(notices.spread, deps, circular.id)
    assert not await deps.work.run(notices.spread, deps, circular.id)
    assert await deps.circulars.under_way(10) == []
    queued = await deps.deliveries.due("queued", clock.now_ms(), 1_000)
    assert sorted(delivery.user_id for delivery in queued) == sorted(people)


async def test_a_reset_link_does_not_stand_behind_a_circular(
    posting: TestPlatform, postbox: Postbox, clock: ManualClock
) -> None:
    await posting.given_events(*(user(f"usr_{n}") for n in range(60)))
    await posting.given_events(switch("global", True, notify_users=True))
    await posting.run_loop("notifier", "spread-circulars")
    clock.advance(1)
    sealed = posting.node.sealer.seal(b"token", bound_to="mail_1")
    await posting.given_events(example_of(MailRequested, user_id=ME, mail_id="mail_1", sealed=sealed))
    await posting.run_loop("notifier", "send-mails")
    assert "mail_1" in [letter.mail_id for letter in postbox.letters]
    assert len(postbox.letters) < 60


FIGURES = {
    "full_name": "Ada Lovelace",
    "trades": "8",
    "wins": "5",
    "losses": "3",
    "win_rate": "0.6250",
    "pnl": "1234.50",
    "pnl_pct": "-0.42",
    "equity": "10250.00",
    "best_symbol": "ETH-USD",
}


@pytest.mark.parametrize(
    ("template", "period", "subject"),
    [
        ("daily_summary", "2026-01-28", "Your NIJA day, 28 January 2026: +1,234.50 USD"),
        (
            "weekly_report",
            "2026-01-19 to 2026-01-25",
            "Your NIJA week, 19 January 2026 to 25 January 2026: +1,234.50 USD",
        ),
    ],
)
async def test_a_summary_shows_its_figures_to_people(
    posting: TestPlatform, postbox: Postbox, template: str, period: str, subject: str
) -> None:
    asked = example_of(
        MailRequested, user_id=ME, template=template, fields={**FIGURES, "period": period}, expires_at_ms=None
    )
    await posting.given_events(asked)
    await post(posting)
    (letter,) = postbox.letters
    assert letter.subject == subject
    assert "Result after fees: +1,234.50 USD (-0.42 %)" in plain(letter)
    assert "Closed trades: 8: 5 won, 3 lost (62.5 %)" in plain(letter)
    assert "Best market: ETH-USD" in plain(letter)
    assert "10,250.00 USD" in letter.html


async def test_a_summary_nobody_wants_any_more_is_not_sent(posting: TestPlatform, postbox: Postbox) -> None:
    await posting.given_events(user(), wishes(daily_summary=False))
    fields = {**FIGURES, "period": "2026-01-28"}
    await posting.given_events(example_of(MailRequested, user_id=ME, template="daily_summary", fields=fields))
    await post(posting)
    assert postbox.letters == []


async def test_a_new_account_is_greeted(posting: TestPlatform, postbox: Postbox) -> None:
    fields = {"full_name": "Ada Lovelace", "trial_ends": "2026-02-12"}
    await posting.given_events(example_of(MailRequested, template="welcome", fields=fields))
    await post(posting)
    (letter,) = postbox.letters
    assert letter.subject == "Welcome to NIJA"
    assert "Until 12 February 2026 you have everything of the Pro plan on paper" in plain(letter)
