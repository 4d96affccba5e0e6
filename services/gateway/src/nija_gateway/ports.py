"""The upstream port: how a service is called. Two adapters: in process, and over HTTP on pooled connections.

An upstream is called as an ASGI app is, so that bodies stream both ways and whoever is slow slows the other:
`receive` gives the request's body, `send` takes the answer. One at an address also lends its connections, to an edge
that speaks HTTP itself and is told of each piece of an answer as it comes.
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


RawHeaders = list[tuple[bytes, bytes]]


class Listener(Protocol):
    """Whoever has asked on a connection: told of the answer by calls, in the order in which it comes.

    The last call of an answer is `answer_ended` or `answer_failed`; after it there is none.
    """

    def answer_began(self, status: int, headers: RawHeaders) -> None:
        """Status and headers, names as the service wrote them; never one below 200."""
        ...

    def answer_piece(self, data: bytes) -> None:
        """A piece of the body."""
        ...

    def answer_paused(self) -> None:
        """All that has arrived so far has been told."""
        ...

    def answer_ended(self) -> None:
        """The answer is complete."""
        ...

    def answer_failed(self, failure: UpstreamFailed) -> None:
        """It ends early, or will not come."""
        ...

    def body_taken(self, *, ready: bool) -> None:
        """Whether the service takes more of the request's body at this moment."""
        ...


class ServiceConnection(Protocol):
    """One HTTP/1.1 connection to a service; one request at a time."""

    @property
    def answered(self) -> bool:
        """Whether a byte has come since `ask`."""
        ...

    def ask(self, listener: Listener, data: bytes) -> None:
        """Sends a request's head, and what there is of its body. Raises UpstreamFailed."""
        ...

    def write(self, data: bytes) -> None:
        """More of the body. Raises UpstreamFailed."""
        ...

    def pause_reading(self) -> None:
        """Takes no more of the answer for now."""
        ...

    def resume_reading(self) -> None:
        """Takes the answer again."""
        ...

    def close(self) -> None:
        """Ends it at once; nobody is told."""
        ...


class Connections(Protocol):
    """The pooled connections to a service at an address."""

    def take(self) -> ServiceConnection | None:
        """A connection that lies idle."""
        ...

    async def connect(self) -> ServiceConnection:
        """A new one. Raises UpstreamFailed."""
        ...

    def give_back(self, connection: ServiceConnection, *, whole: bool) -> None:
        """After `answer_ended`: kept for the next request, unless the request (`whole`) was not sent to its end."""
        ...

    def close(self) -> None:
        """Closes those that lie idle."""
        ...


class Upstream(Protocol):
    """One service."""

    @property
    def connections(self) -> Connections | None:
        """Its connections; None where it runs in this process."""
        ...

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
