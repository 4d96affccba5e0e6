"""The fake exchange as a real HTTP server on a port of its own, in a thread of its own.

The routes come from the venues' modules; here are the port, the record of calls, and the scripted faults: a late
answer, a status, garbage with status 200, a connection that is closed instead of answered.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from nija_common.testing.exchange import coinbase_private, coinbase_public, kraken_private, kraken_public
from nija_common.testing.exchange.state import Call, Exchange, Fault, FaultKind, Venue

START_S = 10.0
_HANG_UP = "nija.hang_up"
MODULES = (coinbase_private, coinbase_public, kraken_private, kraken_public)


class _Protocol(HttpToolsProtocol):
    """Lets the application close the connection without an answer."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {_HANG_UP: {"call": self.transport.abort}}


@dataclass(frozen=True, slots=True)
class RunningExchange:
    """The server's address, and the state that it answers from."""

    exchange: Exchange
    port: int

    @property
    def base_url(self) -> str:
        """For the setting `NIJA_BROKERS__<NAME>__BASE_URL`."""
        return f"http://127.0.0.1:{self.port}"


def application(exchange: Exchange) -> ASGIApp:
    """The exchange's HTTP application."""
    routes: list[Route] = [route for module in MODULES for route in module.routes(exchange)]
    return _Faults(Starlette(routes=routes, exception_handlers={404: _not_found}), exchange)


@contextmanager
def run_exchange(exchange: Exchange | None = None, *, port: int = 0) -> Iterator[RunningExchange]:
    """Runs the server while the context lasts; `port` 0 takes a free one."""
    exchange = exchange or Exchange()
    listening = socket.create_server(("127.0.0.1", port), reuse_port=False)
    config = uvicorn.Config(
        application(exchange), http=_Protocol, ws="none", loop="asyncio", lifespan="off", log_config=None
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(
        target=lambda: asyncio.run(server.serve(sockets=[listening])), name="fake-exchange", daemon=True
    )
    thread.start()
    try:
        _wait_for(server, thread)
        yield RunningExchange(exchange, listening.getsockname()[1])
    finally:
        server.should_exit = server.force_exit = True
        thread.join(START_S)
        listening.close()


def _wait_for(server: uvicorn.Server, thread: threading.Thread) -> None:
    waited = threading.Event()
    for _ in range(int(START_S / 0.005)):
        if server.started:
            return
        if not thread.is_alive():
            break
        waited.wait(0.005)
    raise RuntimeError("the fake exchange does not start")


class _Faults:
    """Records each call and lets it fail where the script says so."""

    def __init__(self, app: ASGIApp, exchange: Exchange) -> None:
        self._app = app
        self._exchange = exchange

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        path: str = scope["path"]
        self._exchange.record(_call(scope, path, self._exchange.now_s()))
        fault = self._exchange.next_fault(path)
        if fault is None:
            await self._app(scope, receive, send)
            return
        if fault.after or fault.kind is FaultKind.DELAY:
            answer = _Kept()
            await self._app(scope, receive, answer)
            await _pause(fault.delay_s, receive)
            if fault.kind is FaultKind.DELAY:
                await answer.replay(send)
                return
        else:
            await _pause(fault.delay_s, receive)
        await _fail(fault, scope, receive, send)


async def _pause(seconds: float, receive: Receive) -> None:
    """Waits, at most until the client is gone."""
    if seconds <= 0:
        return
    gone = asyncio.ensure_future(_gone(receive))
    await asyncio.wait({gone}, timeout=seconds)
    gone.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _fail(fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
    if fault.kind is FaultKind.DROP:
        hang_up: Callable[[], None] = scope["extensions"][_HANG_UP]["call"]
        hang_up()
        await _gone(receive)
        return
    response: Response
    if fault.kind is FaultKind.GARBAGE:
        response = HTMLResponse("<html><body>Down for maintenance</body></html>")
    else:
        headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
        response = PlainTextResponse(HTTPStatus(fault.status).phrase, fault.status, headers)
    await response(scope, receive, send)


class _Kept:
    """An answer that is held back."""

    def __init__(self) -> None:
        self._messages: list[Message] = []

    async def __call__(self, message: Message) -> None:
        self._messages.append(message)

    async def replay(self, send: Send) -> None:
        for message in self._messages:
            await send(message)


def _call(scope: Scope, path: str, at_s: float) -> Call:
    venue: Venue = "kraken" if path.startswith("/0/") else "coinbase"
    headers = {name.decode().lower(): value.decode("latin-1") for name, value in scope["headers"]}
    key = headers.get("api-key") or coinbase_private.key_name(headers)
    return Call(venue, scope["method"], path, scope["query_string"].decode(), at_s, key)


async def _not_found(request: Request, _: Any) -> Response:
    return JSONResponse({"error": "NOT_FOUND", "message": f"no such path: {request.url.path}"}, 404)
