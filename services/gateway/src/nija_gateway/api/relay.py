"""Relays one request: body inward, answer outward, neither kept whole, both under a deadline and a size limit."""

from __future__ import annotations

import asyncio

from nija_gateway.api.answers import too_large, too_slow
from nija_gateway.api.breakers import Breakers, service_away
from nija_gateway.api.headers import outward
from nija_gateway.deps import Deps
from nija_gateway.domain.routes import Route
from nija_gateway.ports import ClientGone, Message, RawHeaders, Receive, Send, UpstreamFailed

MAX_BODY_BYTES = 1024 * 1024
GONE = 499
"""Logged and counted where the client left first; never sent."""


class Body:
    """The request's body on its way inward. `awaited`: the service waits for the client at this moment."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._bytes = 0
        self.awaited = False
        self.whole = False
        self.gone = False
        self.too_large = False

    async def receive(self) -> Message:
        """The next piece; what looks like a client that left stands for one that sent too much as well."""
        if self.too_large:
            return {"type": "http.disconnect"}
        self.awaited = not self.whole
        message = await self._receive()
        self.awaited = False
        if message["type"] == "http.disconnect":
            self.gone = not self.whole
            return message
        self._bytes += len(message.get("body", b""))
        if self._bytes > MAX_BODY_BYTES:
            self.too_large = True
            return {"type": "http.disconnect"}
        self.whole = not message.get("more_body", False)
        return message

    @property
    def refused(self) -> bool:
        return self.too_large or self.gone


class Answer:
    """The service's answer on its way out. `status` None: it has not begun; `untaken`: the client does not take it."""

    def __init__(
        self, send: Send, body: Body, own: RawHeaders, deadline: asyncio.Timeout, silence_s: float, *, head: bool
    ) -> None:
        self._send = send
        self._body = body
        self._own = own
        self._deadline = deadline
        self._silence_s = silence_s
        self._head = head
        self.status: int | None = None
        self.untaken = False

    async def send(self, message: Message) -> None:
        """Passes a piece on. What a service says to half a body is dropped: the gateway answers for it."""
        if self._body.refused and self.status is None:
            return
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message = {**message, "headers": outward(message.get("headers", ()), self._own)}
        elif message["type"] != "http.response.body":
            return
        elif self._head:
            message = {**message, "body": b""}
        self._more_time()
        self.untaken = True
        await self._send(message)
        self.untaken = False
        self._more_time()

    def _more_time(self) -> None:
        self._deadline.reschedule(asyncio.get_running_loop().time() + self._silence_s)


class Relay:
    """Calls services, and says of each call how it ended."""

    def __init__(self, deps: Deps, breakers: Breakers) -> None:
        self._deps = deps
        self._breakers = breakers

    async def __call__(
        self, route: Route, scope: Message, receive: Receive, send: Send, own: RawHeaders, *, head: bool
    ) -> int:
        """The status that was answered (GONE if the client left). Raises NijaError where nothing was answered yet."""
        service, breakers = route.service, self._breakers
        breakers.enter(route)
        body = Body(receive)
        answer: Answer | None = None
        try:
            async with asyncio.timeout(self._deps.times.answer) as deadline:
                answer = Answer(send, body, own, deadline, self._deps.times.answer, head=head)
                await self._deps.upstreams[service](scope, body.receive, answer.send)
            if body.refused:
                breakers.abandoned(service)
            else:
                breakers.answered(service)
        except ClientGone:
            breakers.abandoned(service)
        except TimeoutError:
            if body.awaited or (answer is not None and answer.untaken):
                breakers.abandoned(service)
                if answer is None or answer.status is None:
                    raise too_slow() from None
            else:
                breakers.failed(service, "timeout", "no answer in time")
        except UpstreamFailed as error:
            if body.refused:
                breakers.abandoned(service)
            else:
                breakers.failed(service, error.kind, str(error))
        except BaseException:
            breakers.abandoned(service)
            raise
        return self._outcome(service, body, answer)

    @staticmethod
    def _outcome(service: str, body: Body, answer: Answer | None) -> int:
        if answer is not None and answer.status is not None:
            return answer.status
        if body.too_large:
            raise too_large(MAX_BODY_BYTES)
        if body.gone:
            return GONE
        raise service_away(service)
