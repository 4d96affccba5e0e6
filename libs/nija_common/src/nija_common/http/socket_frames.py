"""uvicorn's WebSocket protocol, with a way past ASGI for an application that has whole frames at hand.

It offers the scope extension `nija.frames`: `{"writer": FrameWriter}`. An application that tells many clients the same
thing builds the bytes of a frame once, and gives a client everything that waits for it in one write; an ASGI message
for each frame and client costs several times as much. Handshake, messages of the client, pings, limits, the close and
flow control stay uvicorn's. Without the extension (another server) an application sends ASGI messages.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any, Protocol, cast

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

EXTENSION = "nija.frames"


class FrameWriter(Protocol):
    """What the extension gives, for an accepted socket."""

    has_room: bool
    """Whether the client takes what it is given, as far as the transport's buffer tells."""

    async def room(self) -> None:
        """Returns when there is room, or the connection is lost."""
        ...

    def write_frames(self, frames: bytes) -> None:
        """Sends whole unmasked frames, however much room there is. Raises OSError once the client has gone, RuntimeError
        before the socket was accepted and after it was closed from here."""
        ...

    def abort(self) -> None:
        """Ends the connection now. What the client has not taken is dropped."""
        ...


def writer_of(scope: MutableMapping[str, Any]) -> FrameWriter | None:
    """The writer of a socket whose server offers one."""
    offered = (scope.get("extensions") or {}).get(EXTENSION)
    return None if offered is None else cast(FrameWriter, offered["writer"])


class FramesProtocol(WebSocketsSansIOProtocol):
    """For `uvicorn.Config(ws=...)`."""

    has_room = True

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if not self.close_sent:
            # The application runs in a task that has not begun yet.
            extensions: Any = self.scope["extensions"]
            extensions[EXTENSION] = {"writer": self}

    def pause_writing(self) -> None:
        super().pause_writing()
        self.has_room = False

    def resume_writing(self) -> None:
        super().resume_writing()
        self.has_room = True

    async def room(self) -> None:
        await self.writable.wait()

    def write_frames(self, frames: bytes) -> None:
        if self.close_sent or not self.handshake_complete:
            raise RuntimeError("frames can be sent between accepting a socket and closing it")
        if self.disconnected or self.transport.is_closing():
            # A client that says goodbye is answered, and the transport closed, in one go.
            raise ClientDisconnected
        self.transport.write(frames)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        # Whoever waits for room finds out.
        self.has_room = True

    def abort(self) -> None:
        self.transport.abort()

    async def send(self, message: Any) -> None:
        await super().send(message)
        if message["type"] == "websocket.accept":
            # The handshake is over, and a socket may live for days. What the application sees is in the scope.
            del self.request, self.response
        elif self.close_timer is not None:
            # uvicorn would close the transport, and that waits for ever for a client that takes nothing.
            self.close_timer.cancel()
            self.close_timer = self.loop.call_later(self.close_timeout, self.transport.abort)
