"""ASGI middleware: request id, trace and log context of each request; one access line at its end."""

from __future__ import annotations

import re
import time
from typing import Any

import structlog
from opentelemetry import propagate, trace
from opentelemetry.trace import SpanKind, Status, StatusCode

from nija_common.runtime.manifest import AsgiApp
from nija_common.telemetry.context import Context, in_context
from nija_common.telemetry.metrics import HTTP_IN_FLIGHT, HTTP_REQUESTS, HTTP_SECONDS
from nija_common.values.ids import new_id

log = structlog.get_logger("nija.access")
tracer = trace.get_tracer("nija.http")

_SANE = re.compile(r"[A-Za-z0-9._-]{8,128}")
REQUEST_ID_HEADER = b"x-request-id"
CLIENT_ADDRESS_HEADER = "x-nija-client-address"
"""Set by the gateway, which removes whatever a client sends under this name."""
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"))


def method_of(scope: Any) -> str:
    """The method as logs, metrics and spans name it: one that HTTP does not know is `other`, as anybody may invent more."""
    method: str = scope["method"]
    return method if method in METHODS else "other"


def answered(span: trace.Span, method: str, route: str | None, status: int, request_id: str) -> None:
    """Names the span of a request and says what came of it, after OpenTelemetry's conventions for HTTP servers."""
    if not span.is_recording():
        return
    span.update_name(method if route is None else f"{method} {route}")
    span.set_attributes(
        {"http.request.method": method, "http.response.status_code": status, "nija.request_id": request_id}
    )
    if route is not None:
        span.set_attribute("http.route", route)
    if status >= 500:
        span.set_status(Status(StatusCode.ERROR))


def request_id_of(headers: list[tuple[bytes, bytes]]) -> str:
    """The client's `X-Request-ID` if it is a sane token, else a new one."""
    for name, value in headers:
        if name == REQUEST_ID_HEADER:
            text = sane_request_id(value)
            if text is not None:
                return text
    return new_id("req")


def sane_request_id(value: bytes) -> str | None:
    """The value of an `X-Request-ID`, if it may stand in logs and headers."""
    text = value.decode("latin-1")
    return text if _SANE.fullmatch(text) else None


class RequestContextMiddleware:
    """Binds the request id to logs and events, opens the span, and returns the id in the answer."""

    def __init__(self, app: AsgiApp, service: str) -> None:
        self._app = app
        self._service = service
        self._in_flight = HTTP_IN_FLIGHT.labels(service)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = request_id_of(scope["headers"])
        carrier = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"] if k == b"traceparent"}
        started = time.perf_counter()
        status = 500

        async def send_with_id(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                kept = [(k, v) for k, v in message.get("headers", ()) if k.lower() != REQUEST_ID_HEADER]
                message = {**message, "headers": [*kept, (REQUEST_ID_HEADER, request_id.encode())]}
            await send(message)

        method = method_of(scope)
        with (
            tracer.start_as_current_span(method, context=propagate.extract(carrier), kind=SpanKind.SERVER) as span,
            in_context(Context(correlation_id=request_id)),
            structlog.contextvars.bound_contextvars(request_id=request_id),
        ):
            self._in_flight.inc()
            try:
                await self._app(scope, receive, send_with_id)
            finally:
                self._in_flight.dec()
                # Bound by `identity.caller`, so that every line of the request says whose it is; this one as well.
                user_id = structlog.contextvars.get_contextvars().get("user_id")
                structlog.contextvars.unbind_contextvars("user_id")
                seconds = time.perf_counter() - started
                found = getattr(scope.get("route"), "path", None)
                route = found or "none"
                answered(span, method, found, status, request_id)
                HTTP_REQUESTS.labels(self._service, method, route, str(status)).inc()
                HTTP_SECONDS.labels(self._service, route).observe(seconds)
                log.info(
                    "request",
                    service=self._service,
                    method=method,
                    route=route,
                    status=status,
                    ms=round(seconds * 1000, 2),
                    user_id=user_id,
                )
