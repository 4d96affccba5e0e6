"""ASGI middleware: `Idempotency-Key` on every POST and PUT of a signed-in caller, without a line in any route.

Per user, role, method and path a key stands for one request for 24 hours. Its first 2xx answer is kept, sealed, before
it is sent, and given again, byte for byte; another body under the same key is IDEMPOTENCY_CONFLICT; anything but 2xx is
not kept. That the effect happens once, crashes included, is `Work.run`'s part (`storage/remembered.py`).

A service takes part by listing `IdempotentRequest` among its collections. `/auth/*` and webhooks are left alone: there is
no caller whose keys these could be, and both have other means against repetition.
"""

from __future__ import annotations

import asyncio
import re
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import structlog

from nija_common.errors import Conflict, ErrorCode, NijaError
from nija_common.http.envelope import error_response
from nija_common.runtime.manifest import AsgiApp
from nija_common.security.sealing import Sealer
from nija_common.security.tokens import TokenVerifier, bearer_token
from nija_common.storage.port import Storage
from nija_common.storage.remembered import (
    LEASE_MS,
    Call,
    IdempotentRequest,
    in_progress,
    new_request,
    opened,
    other_body,
    remembering,
)
from nija_common.storage.unit_of_work import Work
from nija_common.values.clock import Clock
from nija_common.values.ids import derived_id, new_id

log = structlog.get_logger(__name__)

HEADER = b"idempotency-key"
WAIT_S = 10.0
"""How long a second call waits for a running first."""

LOOK_EVERY_S = 0.05
KEEPING_TRIES = 5

_KEY = re.compile(rb"[\x21-\x7e]{1,255}")
_LEFT_ALONE = ("/api/v1/auth/", "/api/v1/webhooks/")


@dataclass(slots=True)
class Answer:
    """An answer as a whole."""

    status: int = 500
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)

    @property
    def kept(self) -> bool:
        return 200 <= self.status < 300

    async def take(self, message: Any) -> None:
        """An ASGI `send` that only collects."""
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], list(message.get("headers", ()))
        elif message["type"] == "http.response.body":
            self.body += message.get("body", b"")

    async def send(self, send: Any) -> None:
        """Gives it to the client."""
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": bytes(self.body)})


@dataclass(frozen=True, slots=True)
class Idempotency:
    """What the middleware needs of a service. `wait_s` and `lease_ms` are shorter in tests."""

    service: str
    storage: Storage
    work: Work
    sealer: Sealer
    clock: Clock
    wait_s: float = WAIT_S
    lease_ms: int = LEASE_MS


class IdempotencyMiddleware:
    """See above. Sits inside the request's context and outside of error handling: it sees answers, not exceptions."""

    def __init__(self, app: AsgiApp, idempotency: Idempotency, tokens: TokenVerifier) -> None:
        self._app = app
        self._own = idempotency
        self._tokens = tokens
        self._running: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        keys = _keys_of(scope)
        user = await self._caller(scope) if keys else None
        if user is None:
            await self._app(scope, receive, send)
            return
        try:
            answer = await self._answer(scope, receive, _only(keys), user)
        except NijaError as error:
            answer = self._refused(error)
        if answer is not None:
            await answer.send(send)

    async def _caller(self, scope: Any) -> str | None:
        """Who calls, and as what; None if the route is going to refuse the token."""
        authorization = [value.decode("latin-1") for name, value in scope["headers"] if name == b"authorization"]
        try:
            claims = await self._tokens.verify(bearer_token(authorization[0] if len(authorization) == 1 else None))
        except NijaError:
            return None
        return f"{claims.user_id}/{claims.role}"

    async def _answer(self, scope: Any, receive: Any, key: str, user: str) -> Answer | None:
        body = await _body(receive)
        if body is None:
            return None
        row_id = derived_id("idk", user, scope["method"], scope["path"], key)
        body_hash = self._own.sealer.keyed_hash(scope["query_string"] + b"\n" + body, purpose="idempotency")
        deadline = asyncio.get_running_loop().time() + self._own.wait_s
        async with self._turn(row_id):
            while True:
                call = await self._begin(row_id, body_hash, deadline)
                if call.row.status is not None:
                    return self._stored(call.row)
                answer = await self._run(call, scope, body, receive)
                if answer.kept:
                    return await self._keep(call, answer)
                if asyncio.get_running_loop().time() > deadline or not await self._overtaken(call):
                    await self._give_up(call, answer.status)
                    return answer

    @asynccontextmanager
    async def _turn(self, row_id: str) -> AsyncIterator[None]:
        """Equal requests in this process one after the other."""
        lock = self._running.get(row_id)
        if lock is None:
            lock = self._running[row_id] = asyncio.Lock()
        try:
            async with asyncio.timeout(self._own.wait_s):
                await lock.acquire()
        except TimeoutError:
            raise in_progress() from None
        try:
            yield
        finally:
            lock.release()

    async def _begin(self, row_id: str, body_hash: str, deadline: float) -> Call:
        """The request as far as it has come, once nobody else is calling a vendor for it. Raises IDEMPOTENCY_CONFLICT."""
        own = self._own
        holder = new_id("clm")
        while True:
            row = await own.storage.get(IdempotentRequest, row_id)
            now_ms = own.clock.now_ms()
            if row is None or row.expires_at_ms <= now_ms:
                row = new_request(row_id, body_hash, version=0 if row is None else row.version, now_ms=now_ms)
            if row.body_hash != body_hash:
                raise other_body()
            call = Call(own.service, row, own.storage, own.sealer, holder, own.lease_ms)
            if not row.claimed or await self._taken_over(call):
                return call
            if asyncio.get_running_loop().time() > deadline:
                raise in_progress()
            await asyncio.sleep(LOOK_EVERY_S)

    async def _taken_over(self, call: Call) -> bool:
        """Takes a claimed request whose lease has run out."""
        now_ms = await self._own.storage.now_ms()
        if call.row.lease_until_ms > now_ms:
            return False
        return await self._write(call, holder=call.holder, lease_until_ms=now_ms + call.lease_ms)

    async def _run(self, call: Call, scope: Any, body: bytes, receive: Any) -> Answer:
        """The service's own answer."""
        answer, given = Answer(), False

        async def replay() -> Any:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        try:
            with remembering(call):
                await self._app(dict(scope), replay, answer.take)
        except Exception:
            await self._give_up(call, 500)
            raise
        return answer

    async def _keep(self, call: Call, answer: Answer) -> Answer:
        """Writes the answer into the row before anybody sees it; the one that was there first is everybody's."""
        sealed = self._own.sealer.seal(bytes(answer.body), bound_to=_bound_to(call.row))
        fields = {
            "status": answer.status,
            "content_type": dict(answer.headers).get(b"content-type", b"").decode("latin-1"),
            "sealed_answer": sealed,
            "holder": None,
            "lease_until_ms": 0,
        }
        try:
            for _ in range(KEEPING_TRIES):
                if await self._write(call, **fields):
                    break
                found = await self._own.storage.get(IdempotentRequest, call.row.id)
                if found is None:
                    break
                if found.body_hash != call.row.body_hash:
                    return self._refused(other_body())
                if found.status is not None:
                    return self._stored(found)
                call.row = found
        except NijaError as error:
            # What was done is done and told truthfully; asked again, it is told from the outcomes in the row.
            log.warning("idempotent_answer_not_kept", code=error.code.value)
        return answer

    async def _overtaken(self, call: Call) -> bool:
        """After a refusal: whether the same request has come further elsewhere, so that this refusal may be of its making."""
        found = await self._own.storage.get(IdempotentRequest, call.row.id)
        return found is not None and found.version != call.row.version and found.body_hash == call.row.body_hash

    async def _give_up(self, call: Call, status: int) -> None:
        """Nothing is kept of a refusal. A claim after which the vendor's word is not known waits for the next call."""
        if not call.row.claimed or call.row.holder != call.holder:
            return
        try:
            if status >= 500 or call.row.took_effect:
                await self._write(call, lease_until_ms=0)
            else:
                uow = self._own.work.open()
                uow.delete(call.row)
                await self._own.work.commit(uow)
        except (NijaError, Conflict) as error:
            log.warning("idempotent_claim_not_given_up", reason=str(error))

    async def _write(self, call: Call, **fields: Any) -> bool:
        """Saves the row with these fields; whether it was still the one that the call goes by."""
        row = call.row.model_copy(update=fields)
        uow = self._own.work.open()
        uow.save(row)
        try:
            await self._own.work.commit(uow)
        except Conflict:
            return False
        call.row = row.model_copy(update={"version": row.version + 1})
        return True

    def _refused(self, error: NijaError) -> Answer:
        response = error_response(error, self._own.clock)
        return Answer(error.status, list(response.raw_headers), bytearray(response.body))

    def _stored(self, row: IdempotentRequest) -> Answer:
        body = opened(self._own.sealer, row.sealed_answer, _bound_to(row))
        headers = [(b"content-type", row.content_type.encode("latin-1")), (b"content-length", b"%d" % len(body))]
        return Answer(row.status or 200, headers, bytearray(body))


def _bound_to(row: IdempotentRequest) -> str:
    return f"{row.id}/answer"


def _keys_of(scope: Any) -> list[bytes]:
    """The values of the header where it counts, else none."""
    if scope["type"] != "http" or scope["method"] not in ("POST", "PUT") or scope["path"].startswith(_LEFT_ALONE):
        return []
    return [value for name, value in scope["headers"] if name == HEADER]


def _only(keys: list[bytes]) -> str:
    """The key. Raises VALIDATION_ERROR."""
    if len(keys) != 1 or not _KEY.fullmatch(keys[0]):
        text = "Idempotency-Key has 1 to 255 visible ASCII characters."
        raise NijaError(ErrorCode.VALIDATION_ERROR, text, {"Idempotency-Key": "1 to 255 visible ASCII characters"})
    return keys[0].decode("ascii")


async def _body(receive: Any) -> bytes | None:
    """The whole body (the gateway bounds it); None if the client has gone."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return bytes(body)
