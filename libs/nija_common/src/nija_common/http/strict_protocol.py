"""uvicorn's HTTP protocol, stricter: whatever two parsers could read differently is refused and the connection closed.

llhttp already refuses Content-Length beside Transfer-Encoding, two lengths, folded headers, bare line feeds
and NUL bytes. Here: other codings than `chunked`, missing or repeated `Host`, trailers, targets that are no
path, upgrades with a body, heads that are too large or too slow. Refused requests reach no application.

And it leaves politely: a server that drains says `Connection: close` in every answer, and closes a connection that is
idle only after a moment in which a request that was on its way could still come.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from nija_common.errors import ErrorCode, NijaError
from nija_common.http.envelope import error_body

MAX_HEAD_BYTES = 32 * 1024
MAX_HEADERS = 100


@dataclass(slots=True)
class Drain:
    """Whether a server has been told to stop; all of its connections look here.

    `begun`: answers are the last of their connection. `closing`: the listener is closed, idle connections end after
    `last_request_s` seconds without a byte.
    """

    begun: bool = False
    closing: bool = False
    last_request_s: float = 0.5


class StrictProtocol(HttpToolsProtocol):
    """For `uvicorn.Config(http=...)`."""

    head_s = 10.0
    """From the connection, or the first byte of a further request, until the head is complete."""

    def __init__(self, *args: Any, drain: Drain | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._drain = drain or Drain()
        self._reading_head = True
        self._head_begun = False
        self._heads = 0
        self._head_bytes = 0
        self._unread_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._deaf = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_is_there()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        heads = self._heads if self._reading_head else None
        if self.timeout_keep_alive_task is not None:
            self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")
            return
        except httptools.HttpParserUpgrade:
            if self._should_upgrade():
                self.handle_websocket_upgrade()
        if not self._reading_head or self._deaf:
            return
        if heads == self._heads:
            # All of it belongs to one head. The parser does not report a header before its end.
            self._expect_head()
            self._unread_bytes += len(data)
            if self._unread_bytes > MAX_HEAD_BYTES:
                self.send_400_response("The head of the request is too large.")
        elif self._head_begun:
            self._expect_head()

    def _expect_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_s, self._head_is_late)

    def _head_is_there(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        self._deaf = True
        self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Refuses in the envelope and closes. A request of this connection that runs sees its client leave."""
        self._deaf = True
        cycle = self.cycle
        running = cycle is not None and not cycle.response_complete
        if not (running and (cycle.response_started or self.pipeline)):
            error = NijaError(ErrorCode.VALIDATION_ERROR, "The request cannot be read as HTTP.", {"request": msg})
            body = error_body(error, time.time_ns() // 1_000_000)
            self.transport.write(
                b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close\r\n"
                b"content-length: %d\r\n\r\n%b" % (len(body), body)
            )
        if running:
            cycle.disconnected = True
            cycle.message_event.set()
        self.pipeline.clear()
        self.transport.close()

    # How it leaves.

    def last_answer(self) -> None:
        """The drain has begun: an answer whose head is not written yet says that it is the last."""
        if self.cycle is not None and not self.cycle.response_started:
            self.cycle.keep_alive = False

    def shutdown(self) -> None:
        """uvicorn: the listener is closed. What has been read in part is read and answered."""
        self._drain.begun = self._drain.closing = True
        self.last_answer()
        if (self.cycle is None or self.cycle.response_complete) and self._unread_bytes == 0:
            self._close_unless_asked()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._drain.closing and self.timeout_keep_alive_task is not None:
            self._close_unless_asked()

    def _close_unless_asked(self) -> None:
        """A request may be on its way: closed at once, nobody could tell whether it was read."""
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(self._drain.last_request_s, self.timeout_keep_alive_handler)

    # What the parser calls. A ValueError becomes a parser error, and that a refusal.

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._reading_head = self._head_begun = True
        self._head_bytes = 0

    def on_url(self, url: bytes) -> None:
        self._head_bytes += len(url)
        if self._head_bytes > MAX_HEAD_BYTES:
            raise ValueError("the head is too large")
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._reading_head:
            raise ValueError("trailers are not taken")
        self._head_bytes += len(name) + len(value) + 4
        if self._head_bytes > MAX_HEAD_BYTES:
            raise ValueError("the head is too large")
        if len(self.headers) >= MAX_HEADERS:
            raise ValueError("too many headers")
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._reading_head = self._head_begun = False
        self._heads += 1
        self._unread_bytes = 0
        if self._head_timer is not None:
            self._head_is_there()
        version = self.parser.get_http_version()
        has_body = _check(self.url, self.headers, version)
        upgrade = self.parser.should_upgrade()
        if upgrade and (has_body or self.parser.get_method() != b"GET"):
            raise ValueError("only a GET without a body may ask for another protocol")
        self.take_request(version, upgrade=upgrade)

    def take_request(self, version: str, *, upgrade: bool) -> None:
        """A whole head that is not refused: its request goes to the application. ValueError refuses it after all."""
        httptools.parse_url(self.url)
        super().on_headers_complete()
        if upgrade and self._should_upgrade():
            return
        if self._drain.begun:
            self.cycle.keep_alive = False
        if upgrade:
            # Not followed: the request is answered as HTTP, what comes after it is not read.
            self._deaf = True
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._reading_head = True


def _check(url: bytes, headers: list[tuple[bytes, bytes]], version: str) -> bool:
    """Whether the request has a body. Raises ValueError for what is refused."""
    if version not in ("1.0", "1.1"):
        raise ValueError("HTTP/1.0 and HTTP/1.1 are spoken here")
    if not url.startswith(b"/") or b"#" in url:
        raise ValueError("the target is no path")
    hosts = codings = 0
    has_body = False
    for name, value in headers:
        if name == b"host":
            hosts += 1
        elif name == b"transfer-encoding":
            codings += 1
            has_body = True
            if value.lower() != b"chunked" or version != "1.1":
                raise ValueError("the only transfer coding taken is chunked, in HTTP/1.1")
        elif name == b"content-length":
            has_body = has_body or value.strip(b"0") != b""
    if hosts > 1 or codings > 1 or (hosts == 0 and version == "1.1"):
        raise ValueError("one Host and at most one Transfer-Encoding are taken")
    return has_body
