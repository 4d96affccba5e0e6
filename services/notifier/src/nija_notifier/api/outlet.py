"""How frames leave: many in one write where the server takes whole frames (`nija.frames`), else one by one, as ASGI has it.

Both take from the outbox only when the client has room, so that of a position its newest state is sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from nija_common.http.socket_frames import FrameWriter, writer_of
from nija_common.values.frames import text_in
from nija_notifier.domain.outbox import Outbox, Waiting

WRITE_BYTES = 32_768
"""Of one write, about: what a client has been given and has not taken is this much, besides the transport's buffer."""


class Outlet(Protocol):
    """Takes from an outbox, and sends."""

    def pass_on(self, outbox: Outbox) -> Sequence[Waiting]:
        """Sends what can be sent without waiting: nothing once the outbox is empty, or where it takes waiting."""
        ...

    async def send(self, outbox: Outbox) -> Sequence[Waiting]:
        """Waits until the client has room, then sends something of what waits."""
        ...

    def abort(self) -> None:
        """The client does not even take the close: what it has not taken is dropped."""
        ...


def outlet(scope: Any, send: Any) -> Outlet:
    """The one that the server offers."""
    writer = writer_of(scope)
    return _Messages(send) if writer is None else _Frames(writer)


class _Frames:
    def __init__(self, writer: FrameWriter) -> None:
        self._writer = writer

    def pass_on(self, outbox: Outbox) -> Sequence[Waiting]:
        if not self._writer.has_room:
            return ()
        taken = outbox.take(WRITE_BYTES)
        if taken:
            self._writer.write_frames(b"".join([waiting.frame for waiting in taken]))
        return taken

    async def send(self, outbox: Outbox) -> Sequence[Waiting]:
        await self._writer.room()
        return self.pass_on(outbox)

    def abort(self) -> None:
        self._writer.abort()


class _Messages:
    def __init__(self, send: Any) -> None:
        self._send = send

    def pass_on(self, outbox: Outbox) -> Sequence[Waiting]:
        return ()

    async def send(self, outbox: Outbox) -> Sequence[Waiting]:
        waiting = outbox.next()
        if waiting is None:
            return ()
        await self._send({"type": "websocket.send", "text": text_in(waiting.frame).decode()})
        return (waiting,)

    def abort(self) -> None:
        return
