"""One HTTP/1.1 connection to a service, on asyncio's transport with httptools as parser.

One exchange at a time, told to a `Listener` as it comes. Nothing is kept here: whoever listens pauses the reading, and
is told when the service takes no more of the request.
"""

from __future__ import annotations

import asyncio
from typing import cast

import httptools

from nija_gateway.ports import FailureKind, Listener, RawHeaders, UpstreamFailed

MAX_HEAD_BYTES = 64 * 1024
_FRAMING = (b"content-length", b"transfer-encoding")
_LENGTHS = frozenset(len(name) for name in _FRAMING)


class Connection(asyncio.Protocol):
    """Implements `ServiceConnection`. `alive` until either side has closed it."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._listener: Listener | None = None
        self._paused = False
        self.alive = True
        self.idle_since = 0.0
        self._headers: RawHeaders = []
        self._head_bytes = 0
        self._begun = self._complete = self._framed = self._keep_alive = self._until_eof = False
        self.answered = False

    # What the pool and the exchange call.

    def ask(self, listener: Listener, data: bytes) -> None:
        self._headers = []
        self._head_bytes = 0
        self._begun = self._complete = self._framed = self._keep_alive = self._until_eof = self.answered = False
        self._listener = listener
        if self._transport is None:
            raise UpstreamFailed("closed", "the connection is closed")
        self._transport.write(data)

    def write(self, data: bytes) -> None:
        if self._transport is None:
            raise UpstreamFailed("closed", "the connection is closed")
        self._transport.write(data)

    def pause_reading(self) -> None:
        if not self._paused and self._transport is not None and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if self._paused and self._transport is not None and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()

    @property
    def reusable(self) -> bool:
        """Whether it may serve another request."""
        return self.alive and self._complete and self._keep_alive

    @property
    def last(self) -> bool:
        """Whether the service has said that this answer is the connection's last."""
        return self._begun and (b"connection", b"close") in self._headers

    def close(self) -> None:
        self._listener = None
        self.alive = False
        if self._transport is not None:
            self._transport.abort()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._listener is None:
            # Nobody has asked: whatever this is, no later answer may be mistaken for it.
            self.close()
            return
        self.answered = True
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._keep_alive = False
            if not self._complete:
                self._fail("broken", f"the answer is no HTTP: {error}")
                return
        if self._complete:
            self._end()
            return
        if not self._begun:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._fail("broken", "the answer's head is too large")
                return
        listener = cast("Listener | None", self._listener)
        if listener is not None:
            listener.answer_paused()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self.alive = False
        if self._until_eof and exc is None:
            self._end()
        else:
            self._fail("closed", str(exc) if exc else "the service closed the connection")

    def pause_writing(self) -> None:
        if self._listener is not None:
            self._listener.body_taken(ready=False)

    def resume_writing(self) -> None:
        if self._listener is not None:
            self._listener.body_taken(ready=True)

    def _end(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.answer_ended()

    def _fail(self, kind: FailureKind, reason: str) -> None:
        listener = self._listener
        self.close()
        if listener is not None:
            listener.answer_failed(UpstreamFailed(kind, reason))

    # What the parser calls. A ValueError becomes a parser error.

    def on_message_begin(self) -> None:
        if self._begun:
            raise ValueError("a second answer to one request")
        self._headers = []
        self._framed = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._begun:
            self._headers.append((name, value))
            if len(name) in _LENGTHS and name.lower() in _FRAMING:
                self._framed = True

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            if status == 101:
                raise ValueError("the service switches protocols")
            return
        framed = self._framed or status in (204, 304)
        self._begun = True
        self._until_eof = not framed
        self._keep_alive = framed and self._parser.should_keep_alive()
        if self._listener is not None:
            self._listener.answer_began(status, self._headers)

    def on_body(self, body: bytes) -> None:
        if self._listener is not None:
            self._listener.answer_piece(body)

    def on_message_complete(self) -> None:
        if self._begun:
            self._complete = True
