"""Letters from templates: whatever somebody typed, it adds neither headers nor lines, links nor tags."""

from __future__ import annotations

import re
from collections.abc import Callable
from email import message_from_bytes
from email.policy import default

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nija_common.events.payments import InvoicePaymentFailed
from nija_common.events.trading import KillSwitchSnapshot, TradeClosed, TradeOpened
from nija_common.security.sealing import Sealer
from nija_common.testing.events import example_of
from nija_common.values.clock import ManualClock
from nija_notifier.adapters.mailers import message_of
from nija_notifier.domain import notices, wording
from nija_notifier.domain.mail import Delivery, Letter, delivery_of
from nija_notifier.domain.recipients import Recipient
from nija_notifier.handlers.letters import write_letter

SEALER = Sealer(b"k" * 32)
TYPED = st.text(max_size=60) | st.sampled_from(
    ["Ada\r\nBcc: x@y.example", "Ada\n\nLine", "<script>alert(1)</script>", '"><a href=x>', "{{ 7*7 }}", "{% raise %}"]
)


def letter(delivery: Delivery) -> Letter:
    return write_letter(delivery, SEALER, "https://nija.example")


def addressed(notice: notices.Notice, full_name: str) -> Delivery:
    recipient = Recipient(id="usr_a", email="ada@nija.example", full_name=full_name)
    return delivery_of(notice, "evt_1", "usr_a", 0, "wanted").addressed(recipient)


@settings(max_examples=25, deadline=None)
@given(name=TYPED, reason=TYPED, symbol=TYPED)
def test_nothing_that_somebody_typed_adds_a_header_a_line_or_a_tag(name: str, reason: str, symbol: str) -> None:
    plain = "plain"
    makers: tuple[Callable[[str], notices.Notice], ...] = (
        lambda text: notices.payment_failed(example_of(InvoicePaymentFailed, reason=text)),
        lambda text: notices.kill_switch(example_of(KillSwitchSnapshot, scope="usr_a", reason=text or "x")),
        lambda _: notices.trade_opened(example_of(TradeOpened, symbol=symbol)),
    )
    for make in makers:
        typed, quiet = letter(addressed(make(reason), name)), letter(addressed(make(plain), "Ada"))
        message = message_from_bytes(
            message_of(typed, "NIJA <n@nija.example>", ManualClock()).as_bytes(), policy=default
        )
        headers = {"From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"}
        assert set(message.keys()) == headers
        assert message["To"] == "ada@nija.example"
        assert typed.text.count("\n") == quiet.text.count("\n")
        assert re.findall(r"<[^>]*>", typed.html) == re.findall(r"<[^>]*>", quiet.html)


@pytest.mark.parametrize(
    ("name", "greeting"),
    [
        ("Ada Lovelace", "Hello Ada Lovelace,"),
        ("J. R. R. Tolkien", "Hello J. R. R. Tolkien,"),
        ("Zoë\nSecond line", "Hello Zoë Second line,"),
        ("", "Hello,"),
        ("Win at evil.example", "Hello,"),
        ("https://evil", "Hello,"),
        ("write to me@evil", "Hello,"),
        ("x" * 81, "Hello,"),
    ],
)
def test_a_name_that_would_become_a_link_in_a_strangers_mail_is_left_out(name: str, greeting: str) -> None:
    assert wording.salutation(name) == greeting


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        (wording.usd("1234567.891"), "1,234,567.89 USD"),
        (wording.usd_change("-0.001"), "+0.00 USD"),
        (wording.usd_change("-12.5"), "-12.50 USD"),
        (wording.cents(14900, "usd"), "149.00 USD"),
        (wording.price(43650.0), "43,650.00"),
        (wording.price(0.00001234), "0.00001234"),
        (wording.price(1e-8), "0.00000001"),
        (wording.quantity("0.01157000"), "0.01157"),
        (wording.quantity("1000"), "1,000"),
        (wording.percent_change(0.012), "+0.01 %"),
        (wording.share("0.6250"), "62.5 %"),
        (wording.moment(1769683320000), "29 January 2026, 10:42 UTC"),
        (wording.period("2026-01-19 to 2026-01-25"), "19 January 2026 to 25 January 2026"),
        (wording.period("the first week"), "the first week"),
    ],
)
def test_numbers_and_moments_are_written_for_people(said: str, wanted: str) -> None:
    assert said == wanted


def test_a_closed_trade_of_the_live_ledger_does_not_say_paper() -> None:
    said = letter(addressed(notices.trade_closed(example_of(TradeClosed, paper=False)), "Ada"))
    assert "paper" not in said.subject + said.text + said.html
