"""A service at an address: HTTP/1.1 on pooled connections, streaming both ways."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from nija_common.errors import SettingsError
from nija_gateway.adapters.http_answer import AwaitedAnswer
from nija_gateway.adapters.http_pool import Pool
from nija_gateway.adapters.socket_relay import relay_socket
from nija_gateway.ports import (
    CHUNKED,
    ClientGone,
    Message,
    RawHeaders,
    Receive,
    Send,
    ServiceConnection,
    UpstreamFailed,
)

_REPEATABLE = frozenset(("GET", "HEAD"))


class HttpUpstream:
    """Implements `Upstream`."""

    def __init__(self, service: str, address: str, draining: asyncio.Event) -> None:
        """`address`: http://host:port, else SettingsError. `draining` closes sockets; requests finish."""
        parts = urlsplit(address)
        try:
            host, port = parts.hostname, parts.port
        except ValueError:
            host = port = None
        if parts.scheme != "http" or not host or parts.path not in ("", "/") or parts.query or parts.username:
            name = f"NIJA_UPSTREAMS__{service.upper().replace('-', '_')}"
            raise SettingsError(f"{name}: must look like http://host:port")
        self._service = service
        self._draining = draining
        self._authority = f"[{host}]:{port or 80}" if ":" in host else f"{host}:{port or 80}"
        self.connections = Pool(host, port or 80)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        kept = self.connections.take()
        connection = kept or await self.connections.connect()
        try:
            await self._exchange(connection, scope, receive, send)
        except UpstreamFailed:
            if kept is None or connection.answered or not _repeatable(scope):
                raise
        else:
            return
        # A kept connection that the service had closed in the same moment: nothing was answered, nothing is
        # changed by a GET, so it is asked again on a new one.
        await self._exchange(await self.connections.connect(), scope, receive, send)

    async def _exchange(self, connection: ServiceConnection, scope: Message, receive: Receive, send: Send) -> None:
        answer = AwaitedAnswer(connection)
        whole = False
        try:
            length, chunked = _framing(scope)
            connection.ask(answer, _head(scope, chunked=chunked))
            whole = True if not chunked and not length else await _upload(connection, answer, receive, chunked=chunked)
            status, headers = await answer.head()
            await send({"type": "http.response.start", "status": status, "headers": headers})
            more = True
            while more:
                piece = await answer.piece()
                more = bool(piece) and not answer.at_end
                await send({"type": "http.response.body", "body": piece, "more_body": more})
        except BaseException:
            connection.close()
            raise
        self.connections.give_back(connection, whole=whole)

    async def socket(self, scope: Message, receive: Receive, send: Send) -> None:
        await relay_socket(self._service, f"ws://{self._authority}", scope, receive, send, self._draining)

    async def close(self) -> None:
        self.connections.close()


def _repeatable(scope: Message) -> bool:
    length, chunked = _framing(scope)
    return scope["method"] in _REPEATABLE and not length and not chunked


def _framing(scope: Message) -> tuple[int, bool]:
    """The length of the body, and whether it comes in chunks instead."""
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value), False
    return 0, CHUNKED in scope["extensions"]


def _head(scope: Message, *, chunked: bool) -> bytes:
    target = scope["raw_path"]
    if scope["query_string"]:
        target += b"?" + scope["query_string"]
    headers: RawHeaders = scope["headers"]
    lines = [scope["method"].encode() + b" " + target + b" HTTP/1.1\r\n"]
    lines += [name + b": " + value + b"\r\n" for name, value in headers]
    if chunked:
        lines.append(b"transfer-encoding: chunked\r\n")
    lines.append(b"\r\n")
    head = b"".join(lines)
    if head.count(b"\n") != len(lines) or head.count(b"\r") != len(lines):
        raise UpstreamFailed("broken", "a header holds a line break")
    return head


async def _upload(connection: ServiceConnection, answer: AwaitedAnswer, receive: Receive, *, chunked: bool) -> bool:
    """Sends the body; False if the service answered before it was whole (then the rest is not sent)."""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        body, more = message.get("body", b""), message.get("more_body", False)
        if answer.has_head:
            return False
        if body:
            connection.write(b"%x\r\n%b\r\n" % (len(body), body) if chunked else body)
        if not more:
            if chunked:
                connection.write(b"0\r\n\r\n")
            return True
        await answer.drain()
