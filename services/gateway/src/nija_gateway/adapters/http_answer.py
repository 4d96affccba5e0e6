"""An answer that is awaited: what a connection tells, kept until it is asked for, and no more than a little of it."""

from __future__ import annotations

import asyncio
from collections import deque

from nija_gateway.ports import RawHeaders, ServiceConnection, UpstreamFailed

HIGH_WATER = 64 * 1024


class AwaitedAnswer:
    """Implements `Listener`. Reading pauses while pieces wait here; `drain` waits while the service takes no more."""

    def __init__(self, connection: ServiceConnection) -> None:
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._head: tuple[int, RawHeaders] | None = None
        self._pieces: deque[bytes] = deque()
        self._held = 0
        self._complete = False
        self._failure: UpstreamFailed | None = None
        self._news: asyncio.Future[None] | None = None
        self._takes_more: asyncio.Future[None] | None = None

    @property
    def has_head(self) -> bool:
        return self._head is not None

    async def head(self) -> tuple[int, RawHeaders]:
        """Status and headers. Raises UpstreamFailed."""
        while self._head is None:
            if self._failure is not None:
                raise self._failure
            await self._something_new()
        return self._head

    async def piece(self) -> bytes:
        """The next piece of the body; empty at its end. Raises UpstreamFailed where it ends early."""
        while not self._pieces:
            if self._complete:
                return b""
            if self._failure is not None:
                raise self._failure
            await self._something_new()
        piece = self._pieces.popleft()
        self._held -= len(piece)
        if self._held < HIGH_WATER and not self._complete:
            self._connection.resume_reading()
        return piece

    @property
    def at_end(self) -> bool:
        """Whether the answer is complete and all of it has been taken."""
        return self._complete and not self._pieces

    async def drain(self) -> None:
        """Returns when the service takes more of the request. Raises UpstreamFailed once the connection is lost."""
        if self._takes_more is not None:
            await self._takes_more
        if self._failure is not None and self._head is None:
            raise self._failure

    async def _something_new(self) -> None:
        self._news = self._loop.create_future()
        try:
            await self._news
        finally:
            self._news = None

    def _tell(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    # What the connection calls.

    def answer_began(self, status: int, headers: RawHeaders) -> None:
        self._head = (status, [(name.lower(), value) for name, value in headers])
        self._tell()

    def answer_piece(self, data: bytes) -> None:
        self._pieces.append(data)
        self._held += len(data)
        if self._held >= HIGH_WATER:
            self._connection.pause_reading()
        self._tell()

    def answer_paused(self) -> None:
        return

    def answer_ended(self) -> None:
        self._complete = True
        self._tell()

    def answer_failed(self, failure: UpstreamFailed) -> None:
        self._failure = failure
        self._tell()
        self.body_taken(ready=True)

    def body_taken(self, *, ready: bool) -> None:
        if not ready:
            self._takes_more = self._loop.create_future()
        elif self._takes_more is not None:
            if not self._takes_more.done():
                self._takes_more.set_result(None)
            self._takes_more = None
