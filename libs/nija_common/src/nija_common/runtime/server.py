"""Serves a node over HTTP with uvicorn, until SIGTERM or SIGINT, and drains it.

Drain: readiness off, sockets closed with 1001 by whoever holds them, running requests finished, then the
parts closed in reverse. The process ends within 25 s of the signal.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import structlog
import uvicorn
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from nija_common.errors import SettingsError
from nija_common.http.strict_protocol import StrictProtocol
from nija_common.runtime.manifest import AsgiApp

log = structlog.get_logger(__name__)

DRAIN_S = 15
SOCKETS_S = 2.0
"""How long whoever holds sockets has for closing them before the server closes them itself, with 1012."""
MAX_FRAME_BYTES = 64 * 1024


def listen(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A bound, listening socket. Raises SettingsError saying which address is taken or cannot be used.

    `shared`: other processes of the same user may listen there too, if they all say so; the kernel spreads connections.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        sock.bind((host, port))
        sock.listen(2048)
    except OSError as error:
        sock.close()
        raise SettingsError(f"cannot listen on {host}:{port}: {error.strerror}") from None
    sock.setblocking(False)
    return sock


def address_of(sock: socket.socket) -> str:
    """`http://host:port` of a listening socket."""
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling: the node decides when to stop."""

    def install_signal_handlers(self) -> None:
        return

    async def serve_on(self, sock: socket.socket) -> None:
        await self._serve([sock])


@asynccontextmanager
async def serving(app: AsgiApp, sock: socket.socket, *, http: Any = StrictProtocol) -> AsyncIterator[None]:
    """Serves the app on the socket while the context lasts; leaving it finishes running requests."""
    config = uvicorn.Config(
        app,
        interface="asgi3",
        http=http,
        ws="websockets-sansio",
        ws_max_size=MAX_FRAME_BYTES,
        ws_ping_interval=20.0,
        ws_ping_timeout=40.0,
        # zlib would keep about 60 KB for each socket, and our messages have 300 bytes.
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=DRAIN_S,
        h11_max_incomplete_event_size=65_536,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve_on(sock), name="http")
    try:
        while not server.started:
            if task.done():
                await task
                raise RuntimeError("the HTTP server ended before it had started")
            await asyncio.sleep(0.005)
        yield
    finally:
        await _sockets_closed(server)
        server.should_exit = True
        await task


async def _sockets_closed(server: uvicorn.Server) -> None:
    """Waits until every open WebSocket has been sent its close, at most `SOCKETS_S`."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + SOCKETS_S
    while loop.time() < deadline:
        sockets = [c for c in server.server_state.connections if isinstance(c, WebSocketsSansIOProtocol)]
        if all(one.close_sent or one.disconnected for one in sockets):
            return
        await asyncio.sleep(0.01)


async def until_told_to_stop(on_stop: Callable[[], None]) -> None:
    """Returns at SIGTERM or SIGINT, after `on_stop`; a second signal falls to its default, which ends the process.

    Whoever waits here is ready: what has been made by then stays, so the garbage collector need not walk it again (a
    full walk over the platform's modules stops every request for about a tenth of a second).
    """
    gc.freeze()
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    handled = (signal.SIGTERM, signal.SIGINT)
    for number in handled:
        loop.add_signal_handler(number, told.set)
    try:
        await told.wait()
    finally:
        for number in handled:
            loop.remove_signal_handler(number)
    log.info("draining")
    on_stop()
