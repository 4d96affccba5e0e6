"""A service at an address: HTTP/1.1 on pooled connections, streaming both ways."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from nija_common.errors import SettingsError
from nija_gateway.adapters.http_connection import Connection, RawHeaders
from nija_gateway.adapters.socket_relay import relay_socket
from nija_gateway.ports import CHUNKED, ClientGone, Message, Receive, Send, UpstreamFailed

CONNECT_S = 1.0
CONNECT_TRIES = 3
"""A refused connection has carried nothing, so another is tried at once: behind one address there may be several
processes, of which one has just ended."""
MAX_IDLE_S = 30.0
"""Shorter than the services' own 75 s, so that it is not they who close while we write."""
MAX_IDLE_CONNECTIONS = 256
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
        self._host, self._port = host, port or 80
        self._idle: list[Connection] = []

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        connection, reused = await self._take()
        try:
            await self._exchange(connection, scope, receive, send)
        except UpstreamFailed:
            if not reused or connection.answered or not _repeatable(scope):
                raise
        else:
            return
        # A kept connection that the service had closed in the same moment: nothing was answered, nothing is
        # changed by a GET, so it is asked again on a new one.
        await self._exchange(await self._connect(), scope, receive, send)

    async def _exchange(self, connection: Connection, scope: Message, receive: Receive, send: Send) -> None:
        whole = False
        try:
            connection.begin()
            length, chunked = _framing(scope)
            connection.write(_head(scope, chunked=chunked))
            whole = True if not chunked and not length else await _upload(connection, receive, chunked=chunked)
            status, headers = await connection.head()
            await send({"type": "http.response.start", "status": status, "headers": headers})
            more = True
            while more:
                piece = await connection.piece()
                more = bool(piece) and not connection.at_end
                await send({"type": "http.response.body", "body": piece, "more_body": more})
        except BaseException:
            connection.close()
            raise
        self._give_back(connection, whole=whole)

    async def _take(self) -> tuple[Connection, bool]:
        now = asyncio.get_running_loop().time()
        while self._idle:
            connection = self._idle.pop()
            if connection.usable and now - connection.idle_since < MAX_IDLE_S:
                return connection, True
            connection.close()
        return await self._connect(), False

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        tries = 0
        try:
            async with asyncio.timeout(CONNECT_S):
                while True:
                    try:
                        _, connection = await loop.create_connection(Connection, self._host, self._port)
                    except ConnectionRefusedError:
                        tries += 1
                        if tries == CONNECT_TRIES:
                            raise
                    else:
                        return connection
        except TimeoutError:
            raise UpstreamFailed("connect", f"no connection within {CONNECT_S} s") from None
        except OSError as error:
            raise UpstreamFailed("connect", error.strerror or str(error)) from error

    def _give_back(self, connection: Connection, *, whole: bool) -> None:
        if connection.finish() and whole and len(self._idle) < MAX_IDLE_CONNECTIONS:
            connection.idle_since = asyncio.get_running_loop().time()
            self._idle.append(connection)
        else:
            connection.close()
            if connection.last:
                self._close_idle()

    def _close_idle(self) -> None:
        """The service leaves: what it would close in a moment must not be written to by then."""
        while self._idle:
            self._idle.pop().close()

    async def socket(self, scope: Message, receive: Receive, send: Send) -> None:
        await relay_socket(self._service, f"ws://{self._authority()}", scope, receive, send, self._draining)

    def _authority(self) -> str:
        return f"[{self._host}]:{self._port}" if ":" in self._host else f"{self._host}:{self._port}"

    async def close(self) -> None:
        self._close_idle()


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


async def _upload(connection: Connection, receive: Receive, *, chunked: bool) -> bool:
    """Sends the body; False if the service answered before it was whole (then the rest is not sent)."""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        body, more = message.get("body", b""), message.get("more_body", False)
        if connection.has_head:
            return False
        if body:
            connection.write(b"%x\r\n%b\r\n" % (len(body), body) if chunked else body)
        if not more:
            if chunked:
                connection.write(b"0\r\n\r\n")
            return True
        await connection.drain()
