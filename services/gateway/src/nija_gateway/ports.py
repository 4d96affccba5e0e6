"""The upstream port: how a service is called. Two adapters: in process, and over HTTP on pooled connections.

An upstream is called as an ASGI app is, so that bodies stream both ways and whoever is slow slows the other:
`receive` gives the request's body, `send` takes the answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Literal, Protocol

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

CHUNKED = "nija.chunked"
"""In a scope's `extensions`: the request's body has no announced length."""

FailureKind = Literal["connect", "closed", "broken", "timeout"]


class UpstreamFailed(Exception):
    """The service could not be reached, or its answer ended early or makes no sense."""

    def __init__(self, kind: FailureKind, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


class ClientGone(Exception):
    """The client left before its request was whole: the call to the service is given up."""


class Upstream(Protocol):
    """One service."""

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Relays one HTTP request. Returns once the answer is complete.

        Raises UpstreamFailed (also after the answer has begun, then it stays incomplete) and ClientGone.
        """
        ...

    async def socket(self, scope: Message, receive: Receive, send: Send) -> None:
        """Relays one WebSocket until either side closes it."""
        ...

    async def close(self) -> None:
        """Gives connections back."""
        ...
