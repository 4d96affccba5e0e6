"""Relays a WebSocket to a service at an address: frames both ways, close codes kept.

A service that cannot be reached is told as 1013 (try again later), one that breaks off as 1011. When the
gateway drains, both sides are told 1001.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

from nija_gateway.ports import Message, Receive, Send, UpstreamFailed

CONNECT_S = 2.0
CLOSE_S = 2.0
MAX_FRAME_BYTES = 64 * 1024
"""Of a client's message; the notifier may send more."""
MAX_OUTWARD_BYTES = 4 * 1024 * 1024

MAX_REASON_BYTES = 123

NORMAL, GOING_AWAY, NO_CODE, ABNORMAL, TOO_BIG, INTERNAL = 1000, 1001, 1005, 1006, 1009, 1011


@dataclass(frozen=True, slots=True)
class _End:
    """Why a socket ends: the code for the side that is still there. `by_service`: the service has closed already."""

    code: int
    reason: str = ""
    by_client: bool = False
    by_service: bool = False


async def relay_socket(
    service: str, origin: str, scope: Message, receive: Receive, send: Send, draining: asyncio.Event
) -> None:
    """Runs until either side closes or the gateway drains. Raises UpstreamFailed before the client was accepted only."""
    await receive()
    upstream = await _connect(service, origin, scope)
    await send({"type": "websocket.accept", "subprotocol": upstream.subprotocol})
    tasks = [
        asyncio.create_task(_inward(receive, upstream)),
        asyncio.create_task(_outward(upstream, send)),
        asyncio.create_task(_drained(draining)),
    ]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        end = next(task.result() for task in tasks if task in done)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if not end.by_client:
        await send({"type": "websocket.close", "code": end.code, "reason": end.reason})
    if not end.by_service:
        await upstream.close(end.code, end.reason)


async def _connect(service: str, origin: str, scope: Message) -> ClientConnection:
    query = scope["query_string"].decode("latin-1")
    try:
        return await connect(
            origin + scope["raw_path"].decode("latin-1") + (f"?{query}" if query else ""),
            additional_headers=[
                (name.decode("latin-1"), value.decode("latin-1"))
                for name, value in scope["headers"]
                if name != b"host" and not name.startswith(b"sec-websocket-")
            ],
            user_agent_header=None,
            subprotocols=[Subprotocol(name) for name in scope.get("subprotocols", ())] or None,
            compression=None,
            open_timeout=CONNECT_S,
            close_timeout=CLOSE_S,
            max_size=MAX_OUTWARD_BYTES,
            proxy=None,
        )
    except (OSError, TimeoutError, InvalidHandshake, ConnectionClosed) as error:
        raise UpstreamFailed("connect", f"{service}: {type(error).__name__}") from error


async def _inward(receive: Receive, upstream: ClientConnection) -> _End:
    """From the client to the service, until one of them closes."""
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            reason = (message.get("reason") or "").encode()[:MAX_REASON_BYTES].decode(errors="ignore")
            return _End(_sendable(message.get("code"), NORMAL), reason, by_client=True)
        text = message.get("text")
        data: str | bytes = text if text is not None else message["bytes"]
        if len(data) > MAX_FRAME_BYTES or (isinstance(data, str) and len(data.encode()) > MAX_FRAME_BYTES):
            return _End(TOO_BIG, "a message may have 64 KiB")
        try:
            await upstream.send(data)
        except ConnectionClosed:
            return _closed_by(upstream)


async def _outward(upstream: ClientConnection, send: Send) -> _End:
    """From the service to the client, until one of them closes."""
    while True:
        try:
            data = await upstream.recv()
        except ConnectionClosed:
            return _closed_by(upstream)
        try:
            await send({"type": "websocket.send", "text" if isinstance(data, str) else "bytes": data})
        except OSError:
            return _End(NORMAL, by_client=True)


async def _drained(draining: asyncio.Event) -> _End:
    await draining.wait()
    return _End(GOING_AWAY, "the gateway is shutting down")


def _closed_by(upstream: ClientConnection) -> _End:
    """The service's code is the client's; a service that broke off without one is told as an internal error."""
    broke_off = upstream.close_code in (None, ABNORMAL)
    code = _sendable(upstream.close_code, INTERNAL if broke_off else NORMAL)
    return _End(code, upstream.close_reason or "", by_service=True)


def _sendable(code: int | None, otherwise: int) -> int:
    """A code that may stand in a close frame."""
    if code is None or code in (NO_CODE, ABNORMAL, 1015) or not 1000 <= code < 5000:
        return otherwise
    return code
