"""Relays a WebSocket to a service at an address: frames both ways, close codes kept.

A service that cannot be reached is told as 1013 (try again later), one that breaks off as 1011. When the
gateway drains, uvicorn's shutdown ends the client's side and with it the service's.
"""

from __future__ import annotations

import asyncio

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

from nija_gateway.ports import Message, Receive, Send, UpstreamFailed

CONNECT_S = 2.0
MAX_FRAME_BYTES = 64 * 1024
"""Of a client's message; the notifier may send more."""
MAX_OUTWARD_BYTES = 4 * 1024 * 1024

NORMAL, NO_CODE, ABNORMAL, TOO_BIG, INTERNAL = 1000, 1005, 1006, 1009, 1011


async def relay_socket(service: str, origin: str, scope: Message, receive: Receive, send: Send) -> None:
    """Runs until either side closes. Raises UpstreamFailed before the client was accepted, never afterwards."""
    await receive()
    query = scope["query_string"].decode("latin-1")
    uri = origin + scope["raw_path"].decode("latin-1") + (f"?{query}" if query else "")
    try:
        upstream = await connect(
            uri,
            additional_headers=[
                (name.decode("latin-1"), value.decode("latin-1"))
                for name, value in scope["headers"]
                if name != b"host" and not name.startswith(b"sec-websocket-")
            ],
            user_agent_header=None,
            subprotocols=[Subprotocol(name) for name in scope.get("subprotocols", ())] or None,
            compression=None,
            open_timeout=CONNECT_S,
            max_size=MAX_OUTWARD_BYTES,
            proxy=None,
        )
    except (OSError, TimeoutError, InvalidHandshake, ConnectionClosed) as error:
        raise UpstreamFailed("connect", f"{service}: {type(error).__name__}") from error
    await send({"type": "websocket.accept", "subprotocol": upstream.subprotocol})
    inward = asyncio.create_task(_inward(receive, send, upstream))
    outward = asyncio.create_task(_outward(upstream, send))
    try:
        await asyncio.wait((inward, outward), return_when=asyncio.FIRST_COMPLETED)
    finally:
        inward.cancel()
        outward.cancel()
        await asyncio.gather(inward, outward, return_exceptions=True)
        await upstream.close()


async def _inward(receive: Receive, send: Send, upstream: ClientConnection) -> None:
    """From the client to the service, until one of them closes."""
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            await upstream.close(_sendable(message.get("code"), NORMAL), (message.get("reason") or "")[:100])
            return
        text = message.get("text")
        data = text if text is not None else message["bytes"]
        if len(data) > MAX_FRAME_BYTES or (text is not None and len(text.encode()) > MAX_FRAME_BYTES):
            await upstream.close(TOO_BIG)
            await send({"type": "websocket.close", "code": TOO_BIG})
            return
        try:
            await upstream.send(data)
        except ConnectionClosed:
            return


async def _outward(upstream: ClientConnection, send: Send) -> None:
    """From the service to the client; its close code is the client's."""
    try:
        while True:
            data = await upstream.recv()
            key = "text" if isinstance(data, str) else "bytes"
            await send({"type": "websocket.send", key: data})
    except ConnectionClosed:
        code = _sendable(upstream.close_code, INTERNAL if upstream.close_code in (None, ABNORMAL) else NORMAL)
        await send({"type": "websocket.close", "code": code, "reason": upstream.close_reason or ""})


def _sendable(code: int | None, otherwise: int) -> int:
    """A code that may stand in a close frame."""
    if code is None or code in (NO_CODE, ABNORMAL, 1015) or not 1000 <= code < 5000:
        return otherwise
    return code
