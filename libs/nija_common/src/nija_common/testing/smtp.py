"""A small SMTP server (RFC 5321: EHLO, MAIL, RCPT, DATA, RSET, NOOP, QUIT) on a free port, with scripted refusals."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default


@dataclass
class SmtpInbox:
    """What arrived, and what is to go wrong: `replies[verb]` are given first, in order; the text `drop` hangs up."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    replies: dict[str, deque[str]] = field(default_factory=dict)

    def will_reply(self, verb: str, *replies: str) -> None:
        self.replies.setdefault(verb, deque()).extend(replies)


@asynccontextmanager
async def smtp_inbox() -> AsyncIterator[SmtpInbox]:
    """Runs the server while the context lasts."""
    inbox = SmtpInbox()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _converse(inbox, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    inbox.port = server.sockets[0].getsockname()[1]
    async with server:
        yield inbox


async def _converse(inbox: SmtpInbox, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    async def say(text: str) -> None:
        if text == "drop":
            raise ConnectionResetError
        writer.write(text.encode() + b"\r\n")
        await writer.drain()

    async def answer(verb: str, usual: str) -> bool:
        scripted = inbox.replies.get(verb)
        reply = scripted.popleft() if scripted else usual
        await say(reply)
        return reply[0] in "23"

    recipients: list[str] = []
    await answer("CONNECT", "220 test ESMTP")
    while line := (await reader.readline()).decode().rstrip("\r\n"):
        verb = line.split(" ")[0].split(":")[0].upper()
        if verb == "QUIT":
            await say("221 bye")
            return
        if verb == "RCPT" and await answer(verb, "250 ok"):
            recipients.append(line.partition("<")[2].partition(">")[0])
        elif verb == "DATA" and await answer(verb, "354 go on"):
            raw = (await reader.readuntil(b"\r\n.\r\n"))[:-3].replace(b"\r\n..", b"\r\n.")
            if await answer("DATA END", "250 taken"):
                inbox.recipients += recipients
                inbox.mails.append(BytesParser(policy=default).parsebytes(raw))
            recipients = []
        elif verb in ("EHLO", "HELO", "MAIL", "RSET", "NOOP"):
            await answer(verb, "250 ok")
        elif verb not in ("RCPT", "DATA"):
            await say("502 not implemented")
