"""One request that is relayed without ASGI: its way inward, its answer's way outward, and every way in which it can end.

It stands between two transports: the client's, whose protocol (`protocol.py`) tells it of the body, and a service's
connection, which tells it of the answer. Nothing is kept: while one side does not take what comes, the other is paused.
It has the few attributes by which uvicorn's protocol knows a request that is under way, so that pipelined requests, the
drain and a lost connection find in it what they expect.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from opentelemetry.trace import Span
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from nija_common.errors import NijaError
from nija_common.http.envelope import error_body, error_headers
from nija_common.http.request_context import answered
from nija_gateway.api.answers import too_slow
from nija_gateway.api.breakers import Breakers, service_away
from nija_gateway.api.headers import outward_lines
from nija_gateway.api.record import Answered, Recorder
from nija_gateway.api.relay import GONE
from nija_gateway.deps import Deps
from nija_gateway.domain.admission import Admitted, Refused
from nija_gateway.domain.routes import Route
from nija_gateway.ports import Connections, RawHeaders, ServiceConnection, UpstreamFailed

UNWANTED_BYTES = 64 * 1024
"""Of an answer whose client has left, so much is still read: the connection stays of use, and the call counts as under
way until it has ended."""


class Client(Protocol):
    """The connection that a request came on."""

    transport: asyncio.Transport
    flow: FlowControl
    loop: asyncio.AbstractEventLoop

    def default_lines(self) -> bytes:
        """The headers of every answer of this server."""
        ...

    def watch(self, exchange: Exchange) -> None:
        """`out_of_time` is called once the exchange's deadline has passed; it may be moved on meanwhile."""
        ...

    def exchange_ended(self, exchange: Exchange) -> None:
        """It is over, and recorded."""
        ...


@dataclass(frozen=True, slots=True)
class Edges:
    """What all edges of the gateway share."""

    deps: Deps
    breakers: Breakers
    recorder: Recorder


@dataclass(frozen=True, slots=True)
class Target:
    """Where a method and a path lead. `method` is the client's, `asks` the one that the service is asked by."""

    method: str
    route: Route
    asks: bytes
    admin: bool
    signed_in: bool
    connections: Connections


class Asked(NamedTuple):
    """A request as it was decided about: `head` goes inward, if `outcome` lets it; `own` stands on the answer."""

    target: Target
    outcome: Admitted | Refused
    head: bytes
    content_length: int
    own: bytes
    request_id: str
    address: str
    trace_id: str
    span: Span | None


class _Unheard:
    """In the place of the event that wakes a waiting ASGI app: here nobody waits."""

    def set(self) -> None:
        return


_UNHEARD = _Unheard()


class Exchange:
    """Implements `Listener`. It ends once, by `_end`."""

    __slots__ = (
        "_answer",
        "_asked",
        "_body",
        "_body_left",
        "_chunked",
        "_client",
        "_code",
        "_connecting",
        "_connection",
        "_deps",
        "_edges",
        "_entered",
        "_kept",
        "_started",
        "_status",
        "_unwanted",
        "_without_body",
        "deadline",
        "disconnected",
        "keep_alive",
        "message_event",
        "more_body",
        "response_complete",
        "response_started",
    )

    def __init__(self, edges: Edges, client: Client, asked: Asked, *, keep_alive: bool) -> None:
        self._started = time.perf_counter()
        self._edges = edges
        edges.recorder.in_flight += 1
        self._deps = edges.deps
        self._client = client
        self._asked = asked
        self._body: list[bytes] = []
        self._body_left = asked.content_length
        self._answer: list[bytes] = []
        self._status: int | None = None
        self._code: str | None = None
        self._connection: ServiceConnection | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._kept = self._entered = self._chunked = self._without_body = False
        self._unwanted = 0
        self.deadline = 0.0
        # As uvicorn's protocol knows a request that is under way.
        self.keep_alive = keep_alive
        self.message_event = _UNHEARD
        self.more_body = True
        self.disconnected = self.response_started = self.response_complete = False

    # Inward: what the client's protocol calls.

    def begin(self) -> None:
        """Sends the request to its service, or refuses it."""
        outcome = self._asked.outcome
        if isinstance(outcome, Refused):
            self._refuse(outcome.error)
            return
        try:
            self._edges.breakers.enter(self._asked.target.route)
        except NijaError as error:
            self._refuse(error)
            return
        self._entered = True
        self.deadline = self._client.loop.time() + self._deps.times.answer
        self._client.watch(self)
        connection = self._asked.target.connections.take()
        if connection is None:
            self._connect()
        else:
            self._kept = True
            self._ask(connection)

    def body_piece(self, data: bytes) -> None:
        """A piece of the request's body. What comes after the answer has begun is not sent on any more."""
        if self._status is not None:
            return
        self._body_left -= len(data)
        if self._connection is None:
            self._body.append(data)
            return
        try:
            self._connection.write(data)
        except UpstreamFailed as failure:
            self.answer_failed(failure)

    def client_takes(self, *, more: bool) -> None:
        """Whether the client takes more of the answer at this moment."""
        if self._connection is None:
            return
        if more:
            self._connection.resume_reading()
        else:
            self._connection.pause_reading()

    def client_left(self) -> None:
        """Nobody waits for the answer any more. A request that is whole is seen to its end, for what it tells."""
        if self.response_complete:
            return
        self.disconnected = True
        self._answer.clear()
        if not self._entered:
            self._end(GONE)
        elif self._connecting is None and self._body_left > 0:
            self._abandon(GONE)
        elif self._connection is not None:
            self._connection.resume_reading()

    def out_of_time(self) -> None:
        """The deadline has passed: whoever was waited for is at fault."""
        if self.disconnected and self._status is not None:
            self._abandon(GONE)
        elif self._status is None and self._body_left > 0 and not self._client.flow.read_paused:
            self._hang_up()
            self._edges.breakers.abandoned(self._asked.target.route.service)
            self.keep_alive = False
            self._refuse(too_slow())
        elif self.response_started and self._client.flow.write_paused:
            self._client.transport.abort()
            self._abandon(self._status or GONE)
        else:
            self.answer_failed(UpstreamFailed("timeout", "no answer in time"))

    def _connect(self) -> None:
        if self._body_left > 0:
            self._client.flow.pause_reading()
        self._connecting = self._client.loop.create_task(self._connected())

    async def _connected(self) -> None:
        try:
            connection = await self._asked.target.connections.connect()
        except UpstreamFailed as failure:
            self._connecting = None
            if not self.response_complete:
                self.answer_failed(failure)
            return
        self._connecting = None
        if self.response_complete:
            connection.close()
        elif self.disconnected:
            connection.close()
            self._abandon(GONE)
        else:
            self._ask(connection)
            if self._body_left > 0:
                self._client.flow.resume_reading()

    def _ask(self, connection: ServiceConnection) -> None:
        self._connection = connection
        body, self._body = self._body, []
        try:
            connection.ask(self, b"".join([self._asked.head, *body]) if body else self._asked.head)
        except UpstreamFailed as failure:
            self.answer_failed(failure)
            return
        if self._client.flow.write_paused:
            connection.pause_reading()

    # Outward: what the service's connection calls.

    def body_taken(self, *, ready: bool) -> None:
        if self._body_left > 0 and not self.disconnected:
            if ready:
                self._client.flow.resume_reading()
            else:
                self._client.flow.pause_reading()

    def answer_began(self, status: int, headers: RawHeaders) -> None:
        line = STATUS_LINE.get(status)
        if line is None:
            raise ValueError(f"{status} is no status")
        self._status = status
        if self.disconnected:
            return
        lines, has_length = outward_lines(headers)
        if self._asked.target.method == "HEAD" or status in (204, 304):
            self._without_body = True
        elif not has_length:
            self._chunked = True
            lines.append(b"transfer-encoding: chunked\r\n")
        lines.append(b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n")
        self._answer = [line, self._client.default_lines(), self._asked.own, *lines]

    def answer_piece(self, data: bytes) -> None:
        if self.disconnected:
            self._unwanted += len(data)
        elif self._chunked:
            self._answer += (b"%x\r\n" % len(data), data, b"\r\n")
        elif not self._without_body:
            self._answer.append(data)

    def answer_paused(self) -> None:
        if self._unwanted > UNWANTED_BYTES:
            self._hang_up()
            self._edges.breakers.answered(self._asked.target.route.service)
            self._end(GONE)
        elif self._answer:
            self._send_on()
            self.deadline = self._client.loop.time() + self._deps.times.answer

    def answer_ended(self) -> None:
        connection, self._connection = self._connection, None
        assert connection is not None and self._status is not None
        self._asked.target.connections.give_back(connection, whole=self._body_left == 0)
        self._edges.breakers.answered(self._asked.target.route.service)
        if self.disconnected:
            self._end(GONE)
            return
        if self._chunked:
            self._answer.append(b"0\r\n\r\n")
        self._send_on()
        self._end(self._status)

    def answer_failed(self, failure: UpstreamFailed) -> None:
        connection, service = self._connection, self._asked.target.route.service
        self._hang_up()
        if self._kept and connection is not None and not connection.answered and self._repeatable(failure):
            # A kept connection that the service had closed in the same moment: nothing was answered, nothing is
            # changed by a GET, so it is asked again on a new one.
            self._kept = False
            self._connect()
            return
        self._edges.breakers.failed(service, failure.kind, str(failure))
        if self.disconnected:
            self._end(GONE)
        elif self.response_started:
            self.keep_alive = False
            self._end(self._status or GONE)
        else:
            self._refuse(service_away(service))

    def _repeatable(self, failure: UpstreamFailed) -> bool:
        return (
            failure.kind == "closed"
            and not self.disconnected
            and self._asked.content_length == 0
            and self._asked.target.route.method == "GET"
        )

    def _send_on(self) -> None:
        if not self._answer:
            return
        answer, self._answer = self._answer, []
        self._client.transport.write(answer[0] if len(answer) == 1 else b"".join(answer))
        self.response_started = True

    # The end.

    def _refuse(self, error: NijaError) -> None:
        """Answers for itself. The service, if it was asked, has been told and accounted for."""
        self._code = error.code.value
        self._edges.recorder.refused(self._code, self._asked.target.route.limit)
        body = error_body(error, self._deps.clock.now_ms())
        lines = [STATUS_LINE[error.status], self._client.default_lines(), self._asked.own]
        lines += [f"{name.lower()}: {value}\r\n".encode() for name, value in error_headers(error).items()]
        lines.append(b"content-type: application/json\r\ncontent-length: %d\r\n" % len(body))
        lines.append(b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n")
        if self._asked.target.method != "HEAD":
            lines.append(body)
        self._answer = lines
        self._send_on()
        self._end(error.status)

    def _abandon(self, status: int) -> None:
        self._hang_up()
        self._edges.breakers.abandoned(self._asked.target.route.service)
        self._end(status)

    def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _end(self, status: int) -> None:
        self.response_complete = True
        self._edges.recorder.in_flight -= 1
        asked = self._asked
        claims = asked.outcome.claims
        self._edges.recorder.later(
            Answered(
                asked.target.method,
                asked.target.route.path,
                status,
                self._code,
                time.perf_counter() - self._started,
                asked.request_id,
                asked.address,
                claims.user_id if claims is not None else None,
                asked.trace_id,
                time.time_ns(),
            )
        )
        if asked.span is not None:
            answered(asked.span, asked.target.method, asked.target.route.path, status, asked.request_id)
            asked.span.end()
        self._client.exchange_ended(self)
