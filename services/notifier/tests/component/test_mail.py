"""Mail: wanted, sent once, retried, given up, expired; nothing of a secret stays behind."""

from __future__ import annotations

import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
import structlog

from nija_common.events.deliveries import MailRequested
from nija_common.runtime.manifest import Service
from nija_common.runtime.platform import Platform
from nija_common.testing import TestPlatform, start_platform
from nija_common.testing.events import example_of
from nija_common.testing.smtp import smtp_inbox
from nija_common.testing.sockets import eventually
from nija_common.values.clock import ManualClock
from nija_notifier import wiring
from nija_notifier.domain.mail import RETRY_AFTER_S, Delivery, Letter
from nija_notifier.loops import SEND_MAILS
from nija_notifier.ports import MailRefused
from nija_notifier.service import SERVICE
from nija_notifier.settings import NotifierSettings

TOKEN = "reset-canary/+=7f3a"
LINK = "https://nija.example/reset-password?token=reset-canary%2F%2B%3D7f3a"


@dataclass
class Recorder:
    """A mailer that keeps letters, after the refusals it was told to raise."""

    letters: list[Letter] = field(default_factory=list)
    refusals: list[MailRefused] = field(default_factory=list)

    async def send(self, letter: Letter) -> None:
        if self.refusals:
            raise self.refusals.pop(0)
        self.letters.append(letter)


QUIET = replace(SERVICE, roles={**SERVICE.roles, "consumer": replace(SERVICE.roles["consumer"], loops=())})
"""Mails go when the test says so, and at no other time."""


async def send_mails(platform: TestPlatform) -> None:
    """One turn of the service's loop."""
    await SEND_MAILS.run(platform.deps("notifier"))


def with_mailer(mailer: Recorder) -> Service:
    @asynccontextmanager
    async def build(settings: NotifierSettings, platform: Platform) -> AsyncIterator[Any]:
        async with wiring.build(settings, platform, mailer) as deps:
            yield deps

    return replace(QUIET, build=build)


@pytest.fixture
def mailer() -> Recorder:
    return Recorder()


@pytest.fixture
async def posting(tmp_path: Path, clock: ManualClock, mailer: Recorder) -> AsyncIterator[TestPlatform]:
    env = {"NIJA_PUBLIC_URL": "https://nija.example/"}
    async with start_platform(tmp_path, [with_mailer(mailer)], clock=clock, env=env) as platform:
        yield platform


def reset_mail(platform: TestPlatform, mail_id: str = "mail_1", **changes: Any) -> MailRequested:
    sealed = platform.node.sealer.seal(TOKEN.encode(), bound_to=mail_id)
    expires = platform.clock.now_ms() + 3_600_000
    return example_of(MailRequested, **{"mail_id": mail_id, "sealed": sealed, "expires_at_ms": expires, **changes})


async def delivery(platform: TestPlatform, mail_id: str = "mail_1") -> Delivery:
    found: Delivery | None = await platform.deps("notifier").deliveries.get(mail_id)
    assert found is not None
    return found


async def test_a_reset_mail_carries_the_link_in_text_and_html_and_leaves_nothing_of_it_behind(
    posting: TestPlatform, mailer: Recorder
) -> None:
    with structlog.testing.capture_logs() as lines:
        await posting.given_events(reset_mail(posting, fields={"full_name": "Ada <b>Lovelace</b>"}))
        await send_mails(posting)
    assert [line["outcome"] for line in lines if line["event"] == "mail"] == ["sent"]
    assert TOKEN not in str(lines)
    assert "user@example.com" not in str(lines)
    (letter,) = mailer.letters
    assert (letter.to, letter.subject) == ("user@example.com", "Reset your NIJA password")
    assert LINK in letter.text
    assert "Hello Ada <b>Lovelace</b>," in letter.text
    assert f'href="{LINK}"' in letter.html
    assert "Ada &lt;b&gt;Lovelace&lt;/b&gt;" in letter.html
    kept = await delivery(posting)
    assert (kept.status, kept.sealed, kept.fields, kept.attempts) == ("sent", None, {}, 1)
    assert TOKEN not in kept.model_dump_json()
    assert TOKEN not in repr(letter)


async def test_a_sent_mail_is_not_sent_again_and_the_same_wish_twice_is_one_mail(
    posting: TestPlatform, mailer: Recorder
) -> None:
    await posting.given_events(reset_mail(posting), reset_mail(posting))
    for _ in range(2):
        await send_mails(posting)
    await posting.given_events(reset_mail(posting))
    await send_mails(posting)
    assert len(mailer.letters) == 1


async def test_a_passing_refusal_is_tried_again_later_with_growing_pauses(
    posting: TestPlatform, mailer: Recorder, clock: ManualClock
) -> None:
    mailer.refusals = [MailRefused("SMTP 451", permanent=False)] * 2
    await posting.given_events(reset_mail(posting))
    deliveries = posting.deps("notifier").deliveries
    for attempt, pause in enumerate(RETRY_AFTER_S[:2], start=1):
        await send_mails(posting)
        kept = await delivery(posting)
        assert (kept.status, kept.attempts, kept.reason) == ("wanted", attempt, "SMTP 451")
        assert await deliveries.due("wanted", clock.now_ms() + pause * 1000 - 1, 10) == []
        assert len(await deliveries.due("wanted", clock.now_ms() + pause * 1000, 10)) == 1
        clock.advance(pause)
    await send_mails(posting)
    assert (await delivery(posting)).status == "sent"
    assert len(mailer.letters) == 1


async def test_after_the_last_try_a_mail_has_failed_and_its_contents_are_gone(
    posting: TestPlatform, mailer: Recorder, clock: ManualClock
) -> None:
    mailer.refusals = [MailRefused("SMTP 451", permanent=False)] * 10
    await posting.given_events(reset_mail(posting, expires_at_ms=None))
    for pause in (*RETRY_AFTER_S, 0):
        await send_mails(posting)
        clock.advance(pause)
    kept = await delivery(posting)
    assert (kept.status, kept.attempts, kept.sealed) == ("failed", len(RETRY_AFTER_S) + 1, None)


async def test_a_lasting_refusal_ends_it_at_once(posting: TestPlatform, mailer: Recorder) -> None:
    mailer.refusals = [MailRefused("SMTP 550", permanent=True)]
    await posting.given_events(reset_mail(posting))
    await send_mails(posting)
    kept = await delivery(posting)
    assert (kept.status, kept.reason, kept.sealed) == ("failed", "SMTP 550", None)


async def test_a_mail_whose_contents_are_over_is_not_sent(
    posting: TestPlatform, mailer: Recorder, clock: ManualClock
) -> None:
    mailer.refusals = [MailRefused("not handed over", permanent=False)]
    await posting.given_events(reset_mail(posting))
    await send_mails(posting)
    clock.advance(3_600)
    await send_mails(posting)
    kept = await delivery(posting)
    assert (kept.status, kept.sealed, mailer.letters) == ("expired", None, [])


@pytest.mark.parametrize(
    "changes",
    [
        {"template": "no_such_template"},
        {"template": "../reset_password"},
        {"sealed": None},
        {"sealed": "v1.x.y.z"},
        {"fields": {}},
    ],
)
async def test_a_mail_that_cannot_be_written_fails_alone(
    posting: TestPlatform, mailer: Recorder, changes: dict[str, Any]
) -> None:
    await posting.given_events(reset_mail(posting, **changes), reset_mail(posting, "mail_2"))
    await send_mails(posting)
    assert (await delivery(posting)).status == "failed"
    assert [letter.mail_id for letter in mailer.letters] == ["mail_2"]


async def test_a_seal_moved_to_another_mail_does_not_open(posting: TestPlatform, mailer: Recorder) -> None:
    stolen = posting.node.sealer.seal(TOKEN.encode(), bound_to="mail_of_another")
    await posting.given_events(reset_mail(posting, sealed=stolen))
    await send_mails(posting)
    assert mailer.letters == []
    assert (await delivery(posting)).status == "failed"


async def test_a_process_that_dies_while_it_sends_leaves_the_mail_due_again(
    tmp_path: Path, clock: ManualClock, mailer: Recorder
) -> None:
    class Killed(BaseException):
        """The process ends inside the call."""

    class Dying(Recorder):
        async def send(self, letter: Letter) -> None:
            raise Killed

    with pytest.raises(Killed):
        async with start_platform(tmp_path, [with_mailer(Dying())], clock=clock) as platform:
            await platform.given_events(reset_mail(platform))
            await send_mails(platform)
    clock.advance(200)
    async with start_platform(tmp_path, [with_mailer(mailer)], clock=clock) as platform:
        await send_mails(platform)
        await eventually(lambda: bool(mailer.letters), "the next process sends it")
        assert [letter.mail_id for letter in mailer.letters] == ["mail_1"]
        assert (await delivery(platform)).attempts == 2


async def test_without_an_smtp_server_mails_are_files_that_only_their_owner_may_read(
    platform: TestPlatform, clock: ManualClock, tmp_path: Path
) -> None:
    """Nobody turns the loop here: the service does."""
    await platform.given_events(reset_mail(platform))
    clock.advance(1)
    await eventually((tmp_path / "mail" / "mail_1.eml").exists, "the mail is in the folder")
    (path,) = (tmp_path / "mail").iterdir()
    assert path.name == "mail_1.eml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    message = BytesParser(policy=default).parsebytes(path.read_bytes())
    assert isinstance(message, EmailMessage)
    text = message.get_body(("plain",))
    assert text is not None
    assert "/reset-password?token=reset-canary%2F%2B%3D7f3a" in text.get_content()


async def test_mail_goes_to_the_smtp_server_that_the_settings_name(tmp_path: Path, clock: ManualClock) -> None:
    async with smtp_inbox() as inbox:
        env = {"NIJA_SMTP_URL": f"smtp://127.0.0.1:{inbox.port}", "NIJA_MAIL_FROM": "NIJA <mail@nija.example>"}
        async with start_platform(tmp_path, [QUIET], clock=clock, env=env) as platform:
            await platform.given_events(reset_mail(platform, fields={"full_name": "Zoë.\n.dot"}))
            await send_mails(platform)
            assert (await delivery(platform)).status == "sent"
    (mail,) = inbox.mails
    assert inbox.recipients == ["user@example.com"]
    assert (mail["To"], mail["From"]) == ("user@example.com", "NIJA <mail@nija.example>")
    assert mail["Message-ID"] == "<mail_1@nija.example>"
    bodies = [mail.get_body((kind,)) for kind in ("plain", "html")]
    assert all(body is not None and "token=reset-canary%2F%2B%3D7f3a" in body.get_content() for body in bodies)
    assert not (tmp_path / "mail").exists()


@pytest.mark.parametrize(
    ("verb", "reply", "status", "reason"),
    [
        ("RCPT", "550 no such user secret@example.com", "failed", "recipient refused, SMTP [550]"),
        ("RCPT", "450 later", "wanted", "recipient refused, SMTP [450]"),
        ("MAIL", "421 too busy", "wanted", "SMTP 421"),
        ("DATA END", "554 spam", "failed", "SMTP 554"),
        ("DATA END", "drop", "wanted", "not handed over: SMTPServerDisconnected"),
        ("CONNECT", "drop", "wanted", "not handed over: SMTPConnectError"),
    ],
)
async def test_what_the_smtp_server_says_decides_between_later_and_never(
    tmp_path: Path, clock: ManualClock, verb: str, reply: str, status: str, reason: str
) -> None:
    async with smtp_inbox() as inbox:
        inbox.will_reply(verb, reply)
        env = {"NIJA_SMTP_URL": f"smtp://127.0.0.1:{inbox.port}"}
        async with start_platform(tmp_path, [QUIET], clock=clock, env=env) as platform:
            await platform.given_events(reset_mail(platform))
            await send_mails(platform)
            kept = await delivery(platform)
            assert (kept.status, kept.reason) == (status, reason)
            clock.advance(60)
            await send_mails(platform)
    assert len(inbox.mails) == (1 if status == "wanted" else 0)


async def test_an_smtp_server_that_is_not_there_is_tried_again(tmp_path: Path, clock: ManualClock) -> None:
    async with smtp_inbox() as inbox:
        port = inbox.port
    env = {"NIJA_SMTP_URL": f"smtp://127.0.0.1:{port}"}
    async with start_platform(tmp_path, [QUIET], clock=clock, env=env) as platform:
        await platform.given_events(reset_mail(platform))
        await send_mails(platform)
        assert (await delivery(platform)).status == "wanted"
