"""One socket from handshake to close: a reader that handles messages in order, and a writer that empties the outbox.

Whoever has news never waits for this client. While it takes what it is given, it is told in rounds (`rounds.py`); a task
waits for a client that does not, and closes (`_write`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from itertools import chain, repeat
from typing import Any

import structlog
from opentelemetry import propagate, trace
from opentelemetry.trace import SpanKind

from nija_common.errors import ErrorCode, NijaError
from nija_common.security.tokens import invalid_token
from nija_common.telemetry.metrics import (
    RATE_LIMIT_REFUSALS,
    SOCKET_CLOSES,
    SOCKET_DELIVERY_SECONDS,
    SOCKETS_OPEN,
)
from nija_common.telemetry.spans import is_recorded
from nija_notifier.api.outlet import outlet
from nija_notifier.api.rounds import Rounds, Sent, count_sent
from nija_notifier.deps import Deps
from nija_notifier.domain.hub import Book, Connection
from nija_notifier.domain.messages import (
    FRAME_LIMIT_BYTES,
    PONG,
    Auth,
    Ping,
    Subscribe,
    Unsubscribe,
    auth_success,
    error_frame,
    read_message,
    subscribed,
    unsubscribed,
)
from nija_notifier.domain.outbox import SLOW, Closing, Origin, Outbox, Waiting
from nija_notifier.handlers.books import load_book
from nija_notifier.handlers.catching_up import catch_up

log = structlog.get_logger(__name__)
_lines = logging.getLogger(__name__)
tracer = trace.get_tracer("nija.sockets")

TOO_BIG = 1009
TRY_LATER = 1013
CLOSE_S = 2.0
"""How long a client may take to take its last frames."""
LAST_FRAME_S = 0.5
"""How long it may take to take the close, at least."""
LOAD_AGAIN_S = (0.25, 0.5, 1.0, 2.0, 5.0)
"""Pauses between the tries to load a book; the last one goes on."""


class Session:
    """The protocol of one connection. `run` returns when it is closed."""

    def __init__(self, deps: Deps, rounds: Rounds, scope: Any, receive: Any, send: Any) -> None:
        self._deps = deps
        self._receive = receive
        self._send = send
        self._outlet = outlet(scope, send)
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._reading: asyncio.Timeout | None = None
        self._sending: asyncio.Timeout | None = None
        self._loading: asyncio.Task[None] | None = None
        self._resuming: asyncio.Task[None] | None = None
        self._drained: asyncio.Event | None = None
        self._close_by = 0.0
        self._rounds = rounds
        self.not_before = 0.0
        self._busy = False
        """Has joined a round, or its task is sending."""
        self._broken = False
        self._outbox = Outbox(deps.settings.sockets.buffer_bytes, self._wake)
        self._connection = Connection(self._outbox, deps.clock.monotonic())

    async def run(self) -> None:
        """Accepts, serves, and forgets the connection however it ends."""
        await self._receive()
        await self._send({"type": "websocket.accept"})
        SOCKETS_OPEN.inc()
        self._deps.hub.connected(self._connection)
        try:
            async with asyncio.TaskGroup() as tasks:
                writer = tasks.create_task(self._write())
                try:
                    await self._read(tasks)
                finally:
                    writer.cancel()
                    for task in (self._loading, self._resuming):
                        if task is not None:
                            task.cancel()
        finally:
            self._deps.hub.disconnected(self._connection)
            SOCKETS_OPEN.dec()

    # Reading

    async def _read(self, tasks: asyncio.TaskGroup) -> None:
        """Handles messages until the client has gone or the writer has closed."""
        try:
            async with asyncio.timeout(None) as self._reading:
                while True:
                    message = await self._receive()
                    if message["type"] == "websocket.disconnect":
                        return
                    if self._outbox.closing is None:
                        await self._handle(_bytes_of(message), tasks)
        except TimeoutError:
            # The writer has ended the connection: see `_write`.
            return
        finally:
            self._reading = None

    async def _handle(self, data: bytes, tasks: asyncio.TaskGroup) -> None:
        if len(data) > FRAME_LIMIT_BYTES:
            self._outbox.close(TOO_BIG, "A frame may have 64 KiB.")
            return
        try:
            message = read_message(data)
        except NijaError as error:
            self._answer(error_frame(error))
            return
        if isinstance(message, Auth):
            await self._sign_in(message.token)
        elif self._connection.claims is None:
            self._connection.refuse(invalid_token("The first message must be `auth` with an access token."))
        else:
            self._obey(message, tasks)

    async def _sign_in(self, token: str) -> None:
        """Signs in, or renews the token of a connection that is signed in."""
        scheme, _, rest = token.partition(" ")
        bare = rest.strip() if scheme.lower() == "bearer" else token.strip()
        try:
            claims = await self._deps.tokens.verify(bare)
        except NijaError as error:
            later = error.code is ErrorCode.SERVICE_UNAVAILABLE
            if later:
                self._connection.refuse(error, TRY_LATER)
            else:
                self._connection.refuse(error)
            return
        if self._outbox.closing is not None:
            return
        refusal = self._deps.hub.signed_in(self._connection, claims)
        if refusal is None:
            self._answer(auth_success(claims.user_id, self._connection.channels))
        elif refusal.code is ErrorCode.RATE_LIMIT_EXCEEDED:
            RATE_LIMIT_REFUSALS.labels("sockets").inc()

    def _obey(self, message: Subscribe | Unsubscribe | Ping, tasks: asyncio.TaskGroup) -> None:
        match message:
            case Ping():
                self._answer(PONG)
            case Subscribe(channel, since):
                self._answer(subscribed(channel))
                book = self._deps.hub.follow(self._connection, channel)
                if book is not None:
                    self._load(book, tasks)
                if channel == "trades":
                    self._resume(since, tasks)
            case Unsubscribe(channel):
                if channel == "trades":
                    self._resume(None, tasks)
                self._deps.hub.unfollow(self._connection, channel)
                self._answer(unsubscribed(channel))

    def _answer(self, frame: bytes) -> None:
        self._outbox.say(Waiting("answers", frame))

    def _load(self, book: Book, tasks: asyncio.TaskGroup) -> None:
        if self._loading is not None:
            self._loading.cancel()
        self._loading = tasks.create_task(self._fill(book))

    async def _fill(self, book: Book) -> None:
        """Loads the book until the read model has surely caught up; a store that is away is waited for."""
        for pause in chain(LOAD_AGAIN_S, repeat(LOAD_AGAIN_S[-1])):
            try:
                if await load_book(self._deps, book):
                    return
            except NijaError as error:
                log.warning("positions_not_loaded", user_id=book.user_id, reason=error.message)
            await asyncio.sleep(pause)

    def _resume(self, since: int | None, tasks: asyncio.TaskGroup) -> None:
        """Ends a catching up that is under way; begins another one where the client says what it has."""
        if self._resuming is not None:
            self._resuming.cancel()
            self._resuming = None
        if since is not None:
            self._connection.trades_after = None
            self._resuming = tasks.create_task(catch_up(self._deps, self._connection, since, self._room))

    async def _room(self) -> None:
        """Returns when the client has taken enough for more to fit; what is told as it comes needs room as well."""
        while (
            self._outbox.closing is None and 2 * self._outbox.waiting_bytes > self._deps.settings.sockets.buffer_bytes
        ):
            self._drained = asyncio.Event()
            await self._drained.wait()

    # Writing

    def _wake(self) -> None:
        """The outbox has news. A close does not wait behind a client that takes nothing."""
        closing = self._outbox.closing
        if closing is None:
            if not self._busy:
                self._busy = True
                self._rounds.join(self)
            return
        self._news.set()
        self._close_by = self._loop.time() + CLOSE_S
        if self._sending is not None:
            self._sending.reschedule(self._loop.time() if closing.code == SLOW else self._close_by)

    def take_turn(self, sent: Sent) -> None:
        """Sends whatever waits; where the client has no room, or something is wrong, the task goes on."""
        if self._outbox.closing is not None:
            return
        try:
            self._count(self._outlet.pass_on(self._outbox), sent)
        except (OSError, RuntimeError) as error:
            self._lost(error)
            self._broken = True
        if self._broken or not self._outbox.empty:
            self._news.set()
        else:
            self._busy = False

    async def _write(self) -> None:
        """Waits for a client that does not take what it is given, and sends the close; afterwards reading ends as well."""
        try:
            while self._outbox.closing is None:
                await self._news.wait()
                self._news.clear()
                if self._broken:
                    return
                await self._flush(self._deps.settings.sockets.stall_seconds)
                self._busy = False
                self.not_before = self._rounds.pause_from(self._loop.time())
            await self._flush(self._close_by - self._loop.time())
            await self._close(self._outbox.closing)
        except (OSError, RuntimeError) as error:
            self._lost(error)
        finally:
            if self._reading is not None:
                self._reading.reschedule(self._loop.time())

    def _lost(self, error: Exception) -> None:
        """The client has gone, or the server has closed (too big a frame, no answer to pings) and refuses to send."""
        log.debug("socket_gone", reason=type(error).__name__)

    async def _flush(self, stall_s: float) -> None:
        """Sends what waits. A client that takes nothing for that long is closed as slow."""
        stalled = False
        try:
            async with asyncio.timeout(stall_s) as self._sending:
                while not self._outbox.empty:
                    sent = Sent(int)
                    self._count(await self._outlet.send(self._outbox), sent)
                    count_sent(sent)
                    if self._outbox.closing is None:
                        self._sending.reschedule(self._loop.time() + stall_s)
        except TimeoutError:
            stalled = True
        finally:
            self._sending = None
            if self._drained is not None:
                self._drained.set()
        if stalled:
            self._outbox.close(SLOW, "The connection takes nothing; connect again.")

    def _count(self, told: Sequence[Waiting], sent: Sent) -> None:
        """Of what was handed to the server. What an event has brought about is the last span of its trace."""
        for kind, _, origin in told:
            sent[kind] += 1
            if origin is not None:
                self._told(origin)
        if self._drained is not None:
            self._drained.set()

    def _told(self, origin: Origin) -> None:
        age_s = max(0.0, (self._deps.clock.now_ms() - origin.time_ms) / 1000)
        SOCKET_DELIVERY_SECONDS.observe(age_s)
        if not (is_recorded(origin.traceparent) or _lines.isEnabledFor(logging.DEBUG)):
            return
        claims = self._connection.claims
        user_id = None if claims is None else claims.user_id
        carrier = {} if origin.traceparent is None else {"traceparent": origin.traceparent}
        with tracer.start_as_current_span(
            "send /ws/v1",
            context=propagate.extract(carrier),
            kind=SpanKind.PRODUCER,
            attributes={"messaging.operation.name": "send", "messaging.message.id": origin.event_id},
        ):
            told = {"event_id": origin.event_id, "request_id": origin.request_id, "user_id": user_id}
            log.debug("told", **told, ms=round(age_s * 1000))

    async def _close(self, closing: Closing) -> None:
        SOCKET_CLOSES.labels(str(closing.code)).inc()
        claims = self._connection.claims
        log.info("socket_closed", code=closing.code, user_id=None if claims is None else claims.user_id)
        try:
            async with asyncio.timeout(max(LAST_FRAME_S, self._close_by - self._loop.time())):
                await self._send({"type": "websocket.close", "code": closing.code, "reason": closing.reason[:120]})
        except TimeoutError:
            log.info("socket_close_not_taken", code=closing.code)
            self._outlet.abort()


def _bytes_of(message: Any) -> bytes:
    text = message.get("text")
    data: bytes = message["bytes"] if text is None else text.encode()
    return data
