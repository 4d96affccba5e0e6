"""One HTTP/1.1 connection to a service, on asyncio's transport with httptools as parser.

One exchange at a time. Both directions feel the other's pace: reading pauses while pieces of an answer wait,
writing waits while the transport's buffer is full.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import cast

import httptools

from nija_gateway.ports import UpstreamFailed

HIGH_WATER = 64 * 1024
MAX_HEAD_BYTES = 64 * 1024
RawHeaders = list[tuple[bytes, bytes]]


class Connection(asyncio.Protocol):
    """`begin`, `write` and `drain` the request, `head` and `piece` the answer, then `reusable` says whether again."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self._writable: asyncio.Future[None] | None = None
        self._idle = True
        self.idle_since = 0.0
        self._reset()

    def _reset(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._failure: UpstreamFailed | None = None
        self._head: tuple[int, RawHeaders] | None = None
        self._headers: RawHeaders = []
        self._head_bytes = 0
        self._pieces: deque[bytes] = deque()
        self._held = 0
        self._complete = False
        self._keep_alive = False
        self._until_eof = False
        self._waiter: asyncio.Future[None] | None = None
        self.answered = False

    # What the pool and the exchange call.

    def begin(self) -> None:
        """A new exchange."""
        self._reset()
        self._idle = False

    def write(self, data: bytes) -> None:
        self._open().write(data)

    async def drain(self) -> None:
        """Returns when the transport takes more. Raises UpstreamFailed once the connection is lost."""
        if self._writable is not None:
            await self._writable
        if self._failure is not None and self._head is None:
            raise self._failure

    @property
    def has_head(self) -> bool:
        return self._head is not None

    async def head(self) -> tuple[int, RawHeaders]:
        """Status and headers of the answer. Raises UpstreamFailed."""
        while self._head is None:
            if self._failure is not None:
                raise self._failure
            await self._news()
        return self._head

    async def piece(self) -> bytes:
        """The next piece of the body; empty at its end. Raises UpstreamFailed where it ends early."""
        while not self._pieces:
            if self._complete:
                return b""
            if self._failure is not None:
                raise self._failure
            await self._news()
        piece = self._pieces.popleft()
        self._held -= len(piece)
        if self._held < HIGH_WATER and self._transport is not None:
            self._transport.resume_reading()
        return piece

    @property
    def at_end(self) -> bool:
        """Whether the answer is complete and all of it has been taken."""
        return self._complete and not self._pieces

    def finish(self) -> bool:
        """Ends the exchange; whether the connection may serve another."""
        self._idle = True
        return self._complete and self._keep_alive and self.usable

    @property
    def last(self) -> bool:
        """Whether the service has said that this answer is the connection's last."""
        return self._head is not None and (b"connection", b"close") in self._head[1]

    @property
    def usable(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _open(self) -> asyncio.Transport:
        if self._transport is None or self._transport.is_closing():
            raise UpstreamFailed("closed", "the connection is closed")
        return self._transport

    async def _news(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _tell(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, failure: UpstreamFailed) -> None:
        if not self._complete and self._failure is None:
            self._failure = failure
        self._tell()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.answered = True
        if self._idle or self._complete:
            # Nobody has asked: whatever this is, no later answer may be mistaken for it.
            self.close()
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(UpstreamFailed("broken", f"the answer is no HTTP: {error}"))
            self.close()
            return
        if self._head is None:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._fail(UpstreamFailed("broken", "the answer's head is too large"))
                self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._until_eof and exc is None and self._failure is None:
            self._complete = True
        self._fail(UpstreamFailed("closed", str(exc) if exc else "the service closed the connection"))
        self.resume_writing()
        self._transport = None

    def pause_writing(self) -> None:
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    # What the parser calls.

    def on_message_begin(self) -> None:
        if self._head is not None:
            raise ValueError("a second answer to one request")
        self._headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._head is None:
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            if status == 101:
                raise ValueError("the service switches protocols")
            return
        self._head = (status, self._headers)
        names = {name for name, _ in self._headers}
        framed = b"content-length" in names or b"transfer-encoding" in names or status in (204, 304)
        self._until_eof = not framed
        self._keep_alive = framed and self._parser.should_keep_alive()
        self._tell()

    def on_body(self, body: bytes) -> None:
        self._pieces.append(body)
        self._held += len(body)
        if self._held >= HIGH_WATER and self._transport is not None:
            self._transport.pause_reading()
        self._tell()

    def on_message_complete(self) -> None:
        if self._head is not None:
            self._complete = True
            self._tell()
