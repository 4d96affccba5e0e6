"""The gateway's server side of HTTP where it is a process of its own: most requests are relayed here, without ASGI.

What takes part: a request in HTTP/1.1 for a route of the table whose service has an address, that is admitted or refused
by what is in memory. All else falls through to the ASGI app behind it, as it came: pages of the gateway's own, sockets,
unknown paths, chunked or large bodies, `Expect`, pipelined requests, webhooks, registrations, and whatever admission has
to fetch first. Both decide by the same functions and count in the same places.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

from opentelemetry import propagate, trace
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from nija_common.errors import NijaError
from nija_common.http.strict_protocol import StrictProtocol
from nija_gateway.api.edge import Edge
from nija_gateway.api.exchange import Asked, Edges, Exchange, Target
from nija_gateway.api.headers import ids_of, own_lines, sift
from nija_gateway.api.relay import MAX_BODY_BYTES
from nija_gateway.deps import Deps
from nija_gateway.domain.addresses import client_address, counted_as
from nija_gateway.domain.admission import Miss, Refused
from nija_gateway.domain.paths import MAX_TARGET_BYTES, path_of
from nija_gateway.domain.routes import LimitClass, Who, is_admin_path
from nija_gateway.ports import RawHeaders

tracer = trace.get_tracer("nija.gateway")

TARGETS = 4096
"""Paths whose target is remembered, if they are no longer than `MOST_BYTES`; one more, and all are forgotten."""
MOST_BYTES = 128
_SETTLED_LATER = (LimitClass.REGISTER, LimitClass.WEBHOOK)
"""Limits that count by the answer."""


def relay_protocol(edge: Edge) -> Callable[..., asyncio.Protocol]:
    """What speaks HTTP in front of this edge, for `serving(http=...)`."""
    return partial(RelayProtocol, Direct(Edges(edge.deps, edge.breakers, edge.recorder)))


class Direct:
    """Decides about requests, for all connections of the process."""

    def __init__(self, edges: Edges) -> None:
        self.edges = edges
        self._deps: Deps = edges.deps
        self._targets: dict[tuple[bytes, bytes], Target] = {}

    def address_of(self, peer: str | None, forwarded: Sequence[str] = ()) -> str:
        """Whose address a request came from."""
        return client_address(peer, forwarded, self._deps.trusted_proxies)

    def asked(self, method: bytes, url: bytes, headers: RawHeaders, peer: str | None, address: str) -> Asked | None:
        """The request with what admission says to it; None leaves it to ASGI, with nothing counted.

        `address`: that of the peer, if nothing is forwarded.
        """
        raw_path = url.partition(b"?")[0]
        place = (method, raw_path)
        target = self._targets.get(place) or self._look_up(method, raw_path)
        if target is None or len(url) > MAX_TARGET_BYTES:
            return None
        sifted = sift(headers)
        if sifted is None or sifted.content_length > MAX_BODY_BYTES:
            return None
        if sifted.forwarded:
            address = self.address_of(peer, sifted.forwarded)
        now_ms = self._deps.clock.now_ms()
        limit = target.route.limit
        if target.signed_in:
            outcome = self._deps.admission.header(sifted.authorization, limit, now_ms, admin=target.admin)
        else:
            outcome = self._deps.admission.address(limit, counted_as(address))
        if isinstance(outcome, Miss):
            return None
        request_id, trace_id, traceparent = ids_of(sifted, now_ms)
        span = None
        if self._deps.traced:
            span, trace_id, traceparent = self._span(target, sifted.traceparent, traceparent)
        head = b""
        if not isinstance(outcome, Refused):
            said = (
                f"x-request-id: {request_id}\r\nx-nija-client-address: {address}\r\ntraceparent: {traceparent}\r\n\r\n"
            )
            line = b"%b %b HTTP/1.1\r\n" % (target.asks, url)
            head = b"".join((line, *sifted.lines, said.encode()))
        own = own_lines(request_id, outcome.rate, now_ms)
        return Asked(target, outcome, head, sifted.content_length, own, request_id, address, trace_id, span)

    def _look_up(self, method: bytes, raw_path: bytes) -> Target | None:
        target = self._target(method.decode("ascii"), raw_path)
        if target is not None and len(raw_path) <= MOST_BYTES:
            if len(self._targets) >= TARGETS:
                self._targets.clear()
            self._targets[method, raw_path] = target
        return target

    def _target(self, method: str, raw_path: bytes) -> Target | None:
        try:
            path = path_of(raw_path, b"")
        except NijaError:
            return None
        route = self._deps.routes.find(method, path).route
        if route is None or route.method == "SOCKET" or route.limit in _SETTLED_LATER:
            return None
        connections = self._deps.upstreams[route.service].connections
        if connections is None:
            return None
        admin = is_admin_path(path) or route.who is Who.ADMIN
        return Target(method, route, route.method.encode(), admin, admin or route.who is Who.USER, connections)

    def _span(self, target: Target, sent: str | None, otherwise: str) -> tuple[trace.Span, str, str]:
        """The request's span, its trace's id, and what is passed on."""
        parent = propagate.extract({"traceparent": sent}) if sent else None
        span = tracer.start_span(target.method, context=parent, kind=trace.SpanKind.SERVER)
        carrier: dict[str, str] = {}
        propagate.inject(carrier, context=trace.set_span_in_context(span))
        traceparent = carrier.get("traceparent", otherwise)
        return span, traceparent[3:35], traceparent


class RelayProtocol(StrictProtocol):
    """For `uvicorn.Config(http=...)`. Implements `exchange.Client`.

    Timers are set again only when they go off: a request costs none.
    """

    def __init__(self, direct: Direct, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._direct = direct
        self._exchange: Exchange | None = None
        self._unsent: Exchange | None = None
        self._deadline_timer: asyncio.TimerHandle | None = None
        self._idle_timer: asyncio.TimerHandle | None = None
        self._idle_since: float | None = None
        self._handed_over = False
        self._peer: str | None = None
        self._address = ""
        self._default: tuple[object, bytes] = (None, b"")

    # What the transport calls.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._peer = self.client[0] if self.client else None
        self._address = self._direct.address_of(self._peer)

    def data_received(self, data: bytes) -> None:
        self._idle_since = None
        super().data_received(data)
        unsent, self._unsent = self._unsent, None
        if unsent is not None and not unsent.response_complete:
            # Only now: what has come of the body goes out with the head, and what was broken is not sent at all.
            unsent.begin()
        if self._exchange is None and self._idle_since is None and not self._handed_over:
            cycle = self.cycle
            if cycle is None or cycle.response_complete:
                self._be_idle()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._forget_idle()
        if self._exchange is not None:
            self._exchange.client_left()
        elif self._deadline_timer is not None:
            self._deadline_timer.cancel()
            self._deadline_timer = None

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._exchange is not None:
            self._exchange.client_takes(more=False)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._exchange is not None:
            self._exchange.client_takes(more=True)

    # What the parser calls.

    def on_message_begin(self) -> None:
        # What uvicorn makes for its app is made when the app is called.
        self.url = b""
        self.expect_100_continue = False
        self.headers = []
        self._reading_head = self._head_begun = True
        self._head_bytes = 0

    def take_request(self, version: str, *, upgrade: bool) -> None:
        cycle = self.cycle
        busy = cycle is not None and not cycle.response_complete
        if not upgrade and not busy and version == "1.1":
            asked = self._direct.asked(self.parser.get_method(), self.url, self.headers, self._peer, self._address)
            if asked is not None:
                keep_alive = self.parser.should_keep_alive() and not self._drain.begun
                exchange = Exchange(self._direct.edges, self, asked, keep_alive=keep_alive)
                self._exchange = self._unsent = exchange
                self.cycle = cast("RequestResponseCycle", exchange)
                return
        url, headers, expected = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self._reading_head = self._head_begun = False
        self.url, self.expect_100_continue = url, expected
        self.headers += headers
        super().take_request(version, upgrade=upgrade)

    def on_body(self, body: bytes) -> None:
        if self._exchange is not None and cast(object, self.cycle) is self._exchange:
            self._exchange.body_piece(body)
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self._exchange is not None and cast(object, self.cycle) is self._exchange:
            self._exchange.more_body = False
            self._reading_head = True
        else:
            super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        super().send_400_response(msg)
        if self._exchange is not None:
            self._exchange.client_left()

    def handle_websocket_upgrade(self) -> None:
        self._handed_over = True
        self._forget_idle()
        super().handle_websocket_upgrade()

    # What an exchange calls.

    def default_lines(self) -> bytes:
        headers = self.server_state.default_headers
        if headers is not self._default[0]:
            self._default = (headers, b"".join([name + b": " + value + b"\r\n" for name, value in headers]))
        return self._default[1]

    def watch(self, exchange: Exchange) -> None:
        if self._deadline_timer is None:
            self._deadline_timer = self.loop.call_at(exchange.deadline, self._look_at_deadline)

    def _look_at_deadline(self) -> None:
        self._deadline_timer = None
        exchange = self._exchange
        if exchange is None:
            return
        if self.loop.time() >= exchange.deadline:
            exchange.out_of_time()
        else:
            self.watch(exchange)

    def exchange_ended(self, exchange: Exchange) -> None:
        self._exchange = None
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if not exchange.keep_alive:
            self.transport.close()
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
            return
        self._be_idle()

    def _be_idle(self) -> None:
        if self._drain.closing:
            self._close_unless_asked()
            return
        self._idle_since = self.loop.time()
        if self._idle_timer is None:
            self._idle_timer = self.loop.call_later(self.timeout_keep_alive, self._look_at_idle)

    def _look_at_idle(self) -> None:
        self._idle_timer = None
        if self._idle_since is None:
            return
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._idle_timer = self.loop.call_later(left, self._look_at_idle)
        elif self.flow.write_paused:
            self.transport.abort()
        else:
            self.transport.close()

    def _forget_idle(self) -> None:
        self._idle_since = None
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None
