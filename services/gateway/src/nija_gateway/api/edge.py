"""The edge: a raw ASGI app that takes every request, admits or refuses it, and relays it.

No framework here: a request costs a table look-up, one admission and the relay.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from opentelemetry import propagate, trace
from opentelemetry.trace import SpanKind

from nija_common.errors import NijaError, unavailable
from nija_common.http.request_context import REQUEST_ID_HEADER, answered, method_of, request_id_of
from nija_gateway.api import answers
from nija_gateway.api.breakers import Breakers
from nija_gateway.api.document import PAGES, Document
from nija_gateway.api.headers import Inbound, inward, rate_headers, read, trace_of
from nija_gateway.api.record import NO_ROUTE, Answered, Recorder
from nija_gateway.api.relay import MAX_BODY_BYTES, Relay
from nija_gateway.api.socket import SocketEdge
from nija_gateway.deps import Deps
from nija_gateway.domain.addresses import client_address, counted_as
from nija_gateway.domain.admission import Admitted, Miss, Outcome, Refused
from nija_gateway.domain.paths import path_of
from nija_gateway.domain.routes import Found, LimitClass, Route, Who, is_admin_path
from nija_gateway.ports import CHUNKED, Message, RawHeaders, Receive, Send

tracer = trace.get_tracer("nija.gateway")

ASKS = 16
"""How often one request asks admission again; more means that tokens are taken away as fast as they are fetched."""
LINGER_BYTES = 8 * MAX_BODY_BYTES


@dataclass(slots=True)
class Call:
    """One request on its way through the edge."""

    scope: Message
    receive: Receive
    send: Send
    request_id: str
    inbound: Inbound
    address: str
    method: str
    path: str = ""
    admitted: Admitted = field(default_factory=Admitted)
    route: str = NO_ROUTE
    limit: LimitClass = LimitClass.USER
    code: str | None = None

    @property
    def head(self) -> bool:
        return self.method == "HEAD"


class Edge:
    """The gateway's ASGI app: HTTP here, sockets by `SocketEdge`.

    Where the gateway is a process of its own, `RelayProtocol` answers most requests before they come here, and shares
    `breakers` and `recorder`.
    """

    def __init__(self, deps: Deps) -> None:
        self.deps = self._deps = deps
        self.breakers = Breakers(deps.upstreams, deps.clock)
        self.recorder = Recorder(deps.usage, deps.access_log)
        self._relay = Relay(deps, self.breakers)
        self._sockets = SocketEdge(deps)
        self._document = Document(deps)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._sockets(scope, receive, send)

    async def _http(self, scope: Message, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        headers = scope["headers"]
        inbound, forwarded = read(headers)
        peer = scope.get("client")
        address = client_address(peer[0] if peer else None, forwarded, self._deps.trusted_proxies)
        call = Call(scope, receive, send, request_id_of(headers), inbound, address, scope["method"])
        parent = propagate.extract({"traceparent": inbound.traceparent}) if inbound.traceparent else None
        status, trace_id = 500, None
        self.recorder.in_flight += 1
        try:
            with tracer.start_as_current_span(method_of(scope), context=parent, kind=SpanKind.SERVER) as span:
                context = span.get_span_context()
                trace_id = trace.format_trace_id(context.trace_id) if context.is_valid else None
                try:
                    status = await self._answer(call)
                finally:
                    route = None if call.route == NO_ROUTE else call.route
                    answered(span, method_of(scope), route, status, call.request_id)
        finally:
            self.recorder.in_flight -= 1
            record = Answered(
                call.method,
                call.route,
                status,
                call.code,
                time.perf_counter() - started,
                call.request_id,
                call.address,
                call.admitted.claims.user_id if call.admitted.claims is not None else None,
                trace_id,
                time.time_ns(),
            )
            self.recorder.now(record)

    async def _answer(self, call: Call) -> int:
        """Decides, relays or refuses; the status that was answered."""
        try:
            call.path = path_of(call.scope.get("raw_path") or call.scope["path"].encode(), call.scope["query_string"])
            if call.method in ("GET", "HEAD") and (call.path == "/" or call.path in PAGES):
                return await self._page(call)
            found = self._deps.routes.find(call.method, call.path)
            if found.route is not None and found.route.method != "SOCKET":
                call.route = found.route.path
                call.limit = found.route.limit
            await self._admit(call, found)
            if found.route is None or found.route.method == "SOCKET":
                return await self._without_route(call, found)
            return await self._relayed(call, found.route)
        except NijaError as error:
            return await self._refuse(call, error)

    async def _admit(self, call: Call, found: Found) -> None:
        """Sets `call.admitted`. Raises what refuses the call; the limit's headers are on that answer as well."""
        admission, route = self._deps.admission, found.route
        admin = is_admin_path(call.path)
        token = call.inbound.authorization
        if admin or (route is not None and route.who in (Who.USER, Who.ADMIN)):
            limit = route.limit if route is not None else LimitClass.USER
            asked_role = admin or (route is not None and route.who is Who.ADMIN)
            outcome = await self._ask(lambda: admission.caller(token, limit, self._now(), admin=asked_role))
        elif route is not None:
            key, limit = counted_as(call.address), route.limit
            outcome = await self._ask(lambda: admission.address(limit, key))
        elif token is not None:
            # Nothing is here, but who is signed in is counted and told the limit all the same.
            outcome = await self._ask(lambda: admission.caller(token, LimitClass.USER, self._now()))
            if isinstance(outcome, Refused) and outcome.rate is None:
                return
        else:
            return
        if isinstance(outcome, Refused):
            call.admitted = Admitted(claims=outcome.claims, rate=outcome.rate)
            raise outcome.error
        call.admitted = outcome

    async def _ask(self, ask: Callable[[], Outcome]) -> Admitted | Refused:
        for _ in range(ASKS):
            outcome = ask()
            if not isinstance(outcome, Miss):
                return outcome
            try:
                await outcome.fetch()
            except NijaError as error:
                return Refused(error)
        return Refused(unavailable("Too many calls at once. Try again."))

    async def _relayed(self, call: Call, route: Route) -> int:
        length = call.inbound.content_length
        if length is not None and length > MAX_BODY_BYTES:
            self._settle(call, route, status=413)
            raise answers.too_large(MAX_BODY_BYTES)
        scope = dict(call.scope)
        scope["method"] = "GET" if call.head else call.method
        scope["headers"] = inward(
            call.scope["headers"],
            request_id=call.request_id,
            address=call.address,
            traceparent=trace_of(call.inbound.traceparent),
        )
        scope["extensions"] = {CHUNKED: {}} if call.inbound.chunked else {}
        scope["state"] = {}
        status = 500
        try:
            status = await self._relay(route, scope, call.receive, call.send, self._own(call), head=call.head)
        finally:
            self._settle(call, route, status)
        if status == 401 and route.who is Who.WEBHOOK:
            await self._deps.admission.webhook_refused(counted_as(call.address))
        return status

    def _settle(self, call: Call, route: Route, status: int) -> None:
        """Only a 201 has made an account: any other answer gives back what the call held."""
        held = call.admitted.held
        if route.limit is LimitClass.REGISTER and held is not None and status != 201:
            self._deps.admission.not_registered(counted_as(call.address), held)

    async def _without_route(self, call: Call, found: Found) -> int:
        if not found.allow or found.allow == ("OPTIONS",):
            raise answers.not_found()
        if call.method == "OPTIONS":
            await answers.answer(call.send, 204, [answers.allow_header(found.allow), *self._own(call)], b"")
            return 204
        raise answers.wrong_method(found.allow)

    async def _page(self, call: Call) -> int:
        kind = PAGES.get(call.path, b"text/html; charset=utf-8")
        body = answers.PAGE if call.path == "/" else await self._document.body(call.path)
        await answers.answer(call.send, 200, [(b"content-type", kind), *self._own(call)], body, head=call.head)
        return 200

    async def _refuse(self, call: Call, error: NijaError) -> int:
        call.code = error.code.value
        self.recorder.refused(error.code.value, call.limit)
        headers = self._own(call)
        allow = error.details.get("allow")
        if isinstance(allow, list):
            headers.append(answers.allow_header(allow))
        if error.status == 413:
            await self._linger(call)
            headers.append((b"connection", b"close"))
        await answers.refuse(call.send, error, headers, self._now(), head=call.head)
        return error.status

    async def _linger(self, call: Call) -> None:
        """Reads on for a moment: a connection closed under a sending client takes the answer with it."""
        if call.inbound.expects_continue:
            return
        left = LINGER_BYTES
        try:
            async with asyncio.timeout(self._deps.times.linger):
                while left > 0:
                    message = await call.receive()
                    if message["type"] != "http.request" or not message.get("more_body", False):
                        return
                    left -= len(message.get("body", b""))
        except TimeoutError:
            return

    def _own(self, call: Call) -> RawHeaders:
        return [(REQUEST_ID_HEADER, call.request_id.encode()), *rate_headers(call.admitted.rate, self._now())]

    def _now(self) -> int:
        return self._deps.clock.now_ms()
