"""The edge of WebSockets: the path is checked, headers are cleaned, and the notifier's side does the rest.

Who may speak on a socket is decided there, by the token in the first message.
"""

from __future__ import annotations

import structlog

from nija_common.errors import NijaError
from nija_common.http.request_context import request_id_of
from nija_common.telemetry.metrics import GATEWAY_UPSTREAM_ERRORS
from nija_gateway.api import answers
from nija_gateway.api.headers import inward, read, trace_of
from nija_gateway.deps import Deps
from nija_gateway.domain.addresses import client_address
from nija_gateway.domain.paths import path_of
from nija_gateway.domain.routes import Route
from nija_gateway.ports import Message, Receive, Send, UpstreamFailed

log = structlog.get_logger("nija.access")

TRY_AGAIN_LATER = 1013


class SocketEdge:
    """Takes WebSocket scopes."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        try:
            route = self._route(scope)
        except NijaError as error:
            await self._refuse(scope, receive, send, error)
            return
        inbound, forwarded = read(scope["headers"])
        peer = scope.get("client")
        request_id = request_id_of(scope["headers"])
        inner = dict(scope)
        inner["headers"] = inward(
            scope["headers"],
            request_id=request_id,
            address=client_address(peer[0] if peer else None, forwarded, self._deps.trusted_proxies),
            traceparent=trace_of(inbound.traceparent),
        )
        log.info("socket_opened", route=route.path, request_id=request_id)
        try:
            await self._deps.upstreams[route.service].socket(inner, receive, send)
        except UpstreamFailed as error:
            GATEWAY_UPSTREAM_ERRORS.labels(route.service, error.kind).inc()
            log.warning("socket_failed", service=route.service, kind=error.kind, reason=str(error))
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.close", "code": TRY_AGAIN_LATER, "reason": "try again later"})
        log.info("socket_closed", route=route.path, request_id=request_id)

    def _route(self, scope: Message) -> Route:
        path = path_of(scope.get("raw_path") or scope["path"].encode(), scope["query_string"])
        route = self._deps.routes.find("SOCKET", path).route
        if route is None:
            raise answers.not_found()
        return route

    async def _refuse(self, scope: Message, receive: Receive, send: Send, error: NijaError) -> None:
        await receive()
        if "websocket.http.response" not in (scope.get("extensions") or {}):
            await send({"type": "websocket.close", "code": 1008})
            return

        async def as_handshake(message: Message) -> None:
            await send({**message, "type": f"websocket.{message['type']}"})

        await answers.refuse(as_handshake, error, [], self._deps.clock.now_ms())
