"""ASGI middleware: request id, trace and log context of each request; one access line at its end."""

from __future__ import annotations

import re
import time
from typing import Any

import structlog
from opentelemetry import propagate, trace

from nija_common.runtime.manifest import AsgiApp
from nija_common.telemetry.context import Context, in_context
from nija_common.telemetry.metrics import HTTP_REQUESTS, HTTP_SECONDS
from nija_common.values.ids import new_id

log = structlog.get_logger("nija.access")
tracer = trace.get_tracer("nija.http")

_SANE = re.compile(r"[A-Za-z0-9._-]{8,128}")
REQUEST_ID_HEADER = b"x-request-id"
CLIENT_ADDRESS_HEADER = "x-nija-client-address"
"""Set by the gateway, which removes whatever a client sends under this name."""


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

        name = f"{scope['method']} {self._service}"
        with (
            tracer.start_as_current_span(name, context=propagate.extract(carrier)),
            in_context(Context(correlation_id=request_id)),
            structlog.contextvars.bound_contextvars(request_id=request_id),
        ):
            try:
                await self._app(scope, receive, send_with_id)
            finally:
                seconds = time.perf_counter() - started
                route = getattr(scope.get("route"), "path", "none")
                HTTP_REQUESTS.labels(self._service, scope["method"], route, str(status)).inc()
                HTTP_SECONDS.labels(self._service, route).observe(seconds)
                log.info("request", method=scope["method"], route=route, status=status, ms=round(seconds * 1000, 2))
