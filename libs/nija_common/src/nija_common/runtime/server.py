"""Serves a node over HTTP with uvicorn, until SIGTERM or SIGINT, and drains it.

Drain: readiness off, sockets closed with 1001 by whoever holds them; for `notice_s` requests are still taken, so that
balancers can notice, and every answer says `Connection: close`; then the listener is closed and running requests are
finished; then the parts are closed in reverse. The process ends within 25 s of the signal.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import structlog
import uvicorn

from nija_common.errors import SettingsError
from nija_common.http.socket_frames import FramesProtocol
from nija_common.http.strict_protocol import Drain, StrictProtocol
from nija_common.runtime.manifest import AsgiApp

log = structlog.get_logger(__name__)

DRAIN_S = 14
"""For the notice and the running requests together; what takes longer is cut off. The parts have the rest of the 25 s."""
SOCKETS_S = 2.0
"""How long whoever holds sockets has for closing them before the server closes them itself, with 1012."""
MAX_FRAME_BYTES = 64 * 1024


def listen(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A bound, listening socket. Raises SettingsError saying which address is taken or cannot be used.

    `shared`: other processes of the same user may listen there too, if they all say so; the kernel spreads connections.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named, or asyncio takes it for no TCP and leaves Nagle's algorithm on: the second write of an answer would wait
    # for the client's delayed acknowledgement of the first, 40 ms.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
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

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Closes the listeners, but takes what waits in their queues: the kernel would reset it, with its requests."""
        waiting = [connection for sock in sockets or () for connection in _queued(sock)]
        for server in self.servers:
            server.close()
        loop = asyncio.get_running_loop()
        for connection in waiting:
            await loop.connect_accepted_socket(self._protocol, connection)
        await super().shutdown(sockets)

    def _protocol(self) -> asyncio.Protocol:
        make: Any = self.config.http_protocol_class
        made: asyncio.Protocol = make(config=self.config, server_state=self.server_state, app_state={})
        return made


def _queued(sock: socket.socket) -> list[socket.socket]:
    """Every connection that the kernel has made on a listening socket and nobody has accepted."""
    found: list[socket.socket] = []
    while True:
        try:
            connection, _ = sock.accept()
        except OSError:
            return found
        connection.setblocking(False)
        found.append(connection)


@asynccontextmanager
async def serving(
    app: AsgiApp, sock: socket.socket, *, http: Any = StrictProtocol, notice_s: float = 0.0
) -> AsyncIterator[None]:
    """Serves the app on the socket while the context lasts; leaving it finishes running requests.

    `notice_s`: how long new requests are taken after that.
    """
    drain = Drain()
    protocol: Any = functools.partial(http, drain=drain)
    config = uvicorn.Config(
        app,
        interface="asgi3",
        http=protocol,
        ws=FramesProtocol,
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
        timeout_graceful_shutdown=max(1, round(DRAIN_S - notice_s)),
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
        drain.begun = True
        for connection in server.server_state.connections:
            if isinstance(connection, StrictProtocol):
                connection.last_answer()
        await asyncio.gather(_sockets_closed(server), asyncio.sleep(notice_s))
        server.should_exit = True
        await task


async def _sockets_closed(server: uvicorn.Server) -> None:
    """Waits until every open WebSocket has been sent its close, at most `SOCKETS_S`."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + SOCKETS_S
    while loop.time() < deadline:
        sockets = [c for c in server.server_state.connections if isinstance(c, FramesProtocol)]
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
