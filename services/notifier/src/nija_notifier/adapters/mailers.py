"""Two ways a letter leaves: into a folder, for one machine and for tests; to an SMTP server.

Refusals carry the server's code, never its text: that may repeat addresses or contents.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from email.errors import MessageError
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from pathlib import Path
from urllib.parse import unquote, urlsplit

import aiosmtplib
from pydantic import SecretStr

from nija_common.errors import SettingsError
from nija_common.values.clock import Clock
from nija_notifier.domain.mail import Letter
from nija_notifier.ports import MailRefused

SMTP_TIMEOUT_S = 10.0


def message_of(letter: Letter, sender: str, clock: Clock) -> EmailMessage:
    """The mail as it travels: text with an HTML alternative. Raises MailRefused for an address that cannot be one."""
    message = EmailMessage(policy=SMTP)
    domain = parseaddr(sender)[1].rpartition("@")[2] or "localhost"
    try:
        message["From"] = sender
        message["To"] = letter.to
        message["Subject"] = letter.subject
        message["Date"] = format_datetime(clock.now())
        message["Message-ID"] = f"<{letter.mail_id}@{domain}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(letter.text)
        message.add_alternative(letter.html, subtype="html")
    except (ValueError, MessageError):
        raise MailRefused("the address or the sender cannot be written into a mail", permanent=True) from None
    return message


class FolderMailer:
    """Writes each letter as `<mail_id>.eml` into a folder that only its owner may read; again is the same file."""

    def __init__(self, folder: Path, sender: str, clock: Clock) -> None:
        self._folder = folder
        self._sender = sender
        self._clock = clock

    async def send(self, letter: Letter) -> None:
        content = message_of(letter, self._sender, self._clock).as_bytes()
        try:
            await asyncio.to_thread(self._write, letter.mail_id, content)
        except OSError as error:
            raise MailRefused(f"the mail folder cannot be written: {error.strerror}", permanent=False) from None

    def _write(self, mail_id: str, content: bytes) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = "".join(c if c.isalnum() or c in "_-" else "-" for c in mail_id)
        part = self._folder / f".{name}.part"
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self._folder / f"{name}.eml")


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """Where mail is handed over. `tls` from the first byte (`smtps`); otherwise STARTTLS where the server offers it."""

    host: str
    port: int
    tls: bool
    user: str | None
    password: SecretStr | None


def smtp_server(url: SecretStr) -> SmtpServer:
    """`smtp://user:password@host:port` or `smtps://…`. Raises SettingsError, which repeats nothing of the URL."""
    try:
        parts = urlsplit(url.get_secret_value())
        port = parts.port
    except ValueError:
        raise SettingsError("NIJA_SMTP_URL: not an address; write smtp://user:password@host:port") from None
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
        raise SettingsError("NIJA_SMTP_URL: not an address; write smtp://user:password@host:port")
    tls = parts.scheme == "smtps"
    return SmtpServer(
        host=parts.hostname,
        port=port or (465 if tls else 587 if parts.username else 25),
        tls=tls,
        user=None if parts.username is None else unquote(parts.username),
        password=None if parts.password is None else SecretStr(unquote(parts.password)),
    )


class SmtpMailer:
    """Hands each letter to one SMTP server (RFC 5321), a connection a letter."""

    def __init__(self, server: SmtpServer, sender: str, clock: Clock, timeout_s: float = SMTP_TIMEOUT_S) -> None:
        self._server = server
        self._sender = sender
        self._clock = clock
        self._timeout_s = timeout_s

    async def send(self, letter: Letter) -> None:
        message = message_of(letter, self._sender, self._clock)
        server = self._server
        try:
            await aiosmtplib.send(
                message,
                hostname=server.host,
                port=server.port,
                use_tls=server.tls,
                username=server.user,
                password=None if server.password is None else server.password.get_secret_value(),
                timeout=self._timeout_s,
            )
        except aiosmtplib.SMTPRecipientsRefused as error:
            codes = sorted({refused.code for refused in error.recipients})
            raise MailRefused(f"recipient refused, SMTP {codes}", permanent=all(c >= 500 for c in codes)) from None
        except aiosmtplib.SMTPAuthenticationError as error:
            raise MailRefused(f"sign-in refused, SMTP {error.code}", permanent=False) from None
        except aiosmtplib.SMTPResponseException as error:
            raise MailRefused(f"SMTP {error.code}", permanent=500 <= error.code < 600) from None
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            raise MailRefused(f"not handed over: {type(error).__name__}", permanent=False) from None
