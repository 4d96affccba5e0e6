"""Addresses of SMTP servers, and mails that cannot be written."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from nija_common.errors import SettingsError
from nija_common.values.clock import ManualClock
from nija_notifier.adapters.mailers import SmtpServer, message_of, smtp_server
from nija_notifier.domain.mail import Letter
from nija_notifier.ports import MailRefused


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://mail.example", SmtpServer("mail.example", 25, False, None, None)),
        ("smtp://mail.example:2525", SmtpServer("mail.example", 2525, False, None, None)),
        ("smtp://u%40x:p%2Fw@mail.example", SmtpServer("mail.example", 587, False, "u@x", SecretStr("p/w"))),
        ("smtps://u:p@mail.example", SmtpServer("mail.example", 465, True, "u", SecretStr("p"))),
    ],
)
def test_the_address_of_an_smtp_server_says_port_tls_and_sign_in(url: str, expected: SmtpServer) -> None:
    assert smtp_server(SecretStr(url)) == expected


@pytest.mark.parametrize(
    "url", ["", "mail.example", "http://u:canary@mail.example", "smtp://u:canary@mail:x", "smtp://"]
)
def test_what_is_no_smtp_address_stops_the_start_without_repeating_it(url: str) -> None:
    with pytest.raises(SettingsError, match="NIJA_SMTP_URL") as refused:
        smtp_server(SecretStr(url))
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize("to", ["a@b.example\nBcc: c@d.example", "a@b.example\r\nX: y"])
def test_an_address_cannot_add_a_header(to: str) -> None:
    with pytest.raises(MailRefused) as refused:
        message_of(Letter("mail_1", to, "subject", "text", "html"), "NIJA <no-reply@nija.example>", ManualClock())
    assert refused.value.permanent
