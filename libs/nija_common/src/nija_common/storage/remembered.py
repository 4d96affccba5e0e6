"""A request that may be asked again: its row, and what its units of work have come to.

The row is written in the unit of work of the request's effect, with what the handler answered. Whoever runs the same
request again, after a crash or beside it, is given that answer by `Work.run` instead of a second effect. What a client
gets to see is the matter of `http/idempotency.py`; docs/decisions/idempotency.md says why it is done so.
"""

from __future__ import annotations

import functools
import typing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from nija_common.errors import ErrorCode, NijaError
from nija_common.security.sealing import Sealer, Unsealable
from nija_common.values.document import Collection, Document
from nija_common.values.ids import derived_id, new_id

R = TypeVar("R")

KEPT_MS = 86_400_000
"""How long a row is kept."""

LEASE_MS = 30_000
"""How long a claimed request is its caller's alone: longer than any call to a vendor may take."""


class Outcome(BaseModel):
    """What one unit of work of a request came to. `claims`: a vendor is called after it."""

    model_config = ConfigDict(frozen=True)

    sealed: str
    commit_id: str
    claims: bool


class IdempotentRequest(Document):
    """One request by its key. Nothing readable of it is kept: the body as a keyed hash, outcomes and answer sealed.

    `attempt` is new whenever a row is made; vendor keys derive from it. `status` is None until there is an answer.
    """

    collection: ClassVar[Collection] = Collection("idempotent_requests", ttl_field="expires_at_ms")

    body_hash: str
    attempt: str
    expires_at_ms: int
    outcomes: tuple[Outcome, ...] = ()
    holder: str | None = None
    lease_until_ms: int = 0
    status: int | None = None
    content_type: str = ""
    sealed_answer: str = ""

    @property
    def claimed(self) -> bool:
        """Whether a vendor may have been called, and what came of it is not known."""
        return self.status is None and bool(self.outcomes) and self.outcomes[-1].claims

    @property
    def took_effect(self) -> bool:
        """Whether a unit of work was committed that is not only the claim before a vendor's call."""
        return any(not outcome.claims for outcome in self.outcomes)


def new_request(row_id: str, body_hash: str, *, version: int, now_ms: int) -> IdempotentRequest:
    """A row that nothing has happened for. `version` is that of a row past its time in whose place it comes, or 0."""
    return IdempotentRequest(
        id=row_id, version=version, body_hash=body_hash, attempt=new_id("att"), expires_at_ms=now_ms + KEPT_MS
    )


class _Rows(Protocol):
    """What is used of a store here."""

    async def get(self, kind: type[IdempotentRequest], document_id: str) -> IdempotentRequest | None: ...

    async def now_ms(self) -> int: ...


@dataclass(slots=True)
class Call:
    """A request with a key that runs in this task. `row` is what it goes by; version 0: not written yet."""

    service: str
    row: IdempotentRequest
    rows: _Rows
    sealer: Sealer
    holder: str
    lease_ms: int = LEASE_MS
    steps: int = 0

    async def renew(self) -> None:
        """Reads the row again. Raises IDEMPOTENCY_CONFLICT if the request is no longer this call's to go on with."""
        found = await self.rows.get(IdempotentRequest, self.row.id)
        if found is None:
            if self.row.outcomes:
                raise conflict("This request was given up elsewhere. Use a new key.")
            self.row = self.row.model_copy(update={"version": 0})
            return
        if found.version == self.row.version:
            return
        if found.body_hash != self.row.body_hash:
            raise other_body()
        if found.claimed and found.holder != self.holder:
            raise in_progress()
        self.row = found


@dataclass(slots=True)
class Step(Generic[R]):
    """One `Work.run` of a request: the units of work of a request are told apart by their order."""

    call: Call
    number: int
    adapter: TypeAdapter[R]
    claims: bool

    def remembered(self) -> tuple[R, str] | None:
        """What this unit of work came to, and its commit, if it was committed before."""
        outcomes = self.call.row.outcomes
        if self.number >= len(outcomes):
            return None
        outcome = outcomes[self.number]
        plain = opened(self.call.sealer, outcome.sealed, self._bound_to)
        try:
            return self.adapter.validate_json(plain), outcome.commit_id
        except ValidationError as error:
            raise conflict("This request was begun by another version. Use a new key.") from error

    async def committed_elsewhere(self) -> bool:
        """Whether, by now, another run of the same request has committed this unit of work."""
        await self.call.renew()
        return self.number < len(self.call.row.outcomes)

    async def with_outcome(self, result: R, commit_id: str) -> IdempotentRequest:
        """The row as it is to be committed with the effect."""
        row, call = self.call.row, self.call
        if row.status is not None or len(row.outcomes) != self.number:
            raise in_progress()
        sealed = call.sealer.seal(self.adapter.dump_json(result), bound_to=self._bound_to)
        outcome = Outcome(sealed=sealed, commit_id=commit_id, claims=self.claims)
        lease_until_ms = await call.rows.now_ms() + call.lease_ms if self.claims else 0
        return row.model_copy(
            update={
                "outcomes": (*row.outcomes, outcome),
                "holder": call.holder if self.claims else None,
                "lease_until_ms": lease_until_ms,
            }
        )

    def written(self, row: IdempotentRequest) -> None:
        """The row is stored now."""
        self.call.row = row.model_copy(update={"version": row.version + 1})

    def vendor_key(self) -> str:
        """The same for whoever goes on with this request, another one for every other request."""
        return derived_id("vnd", self.call.row.attempt, str(self.number))

    @property
    def _bound_to(self) -> str:
        return f"{self.call.row.id}/{self.call.row.attempt}/{self.number}"


@dataclass(frozen=True, slots=True)
class Claim(Generic[R]):
    """What was decided before a vendor is called, and the key to call it with."""

    decided: R
    vendor_key: str


_current: ContextVar[Call | None] = ContextVar("nija_idempotent_call", default=None)


@contextmanager
def remembering(call: Call) -> Iterator[None]:
    """Units of work of the call's service that run inside belong to this request."""
    token = _current.set(call)
    try:
        yield
    finally:
        _current.reset(token)


@contextmanager
def apart() -> Iterator[None]:
    """Units of work inside belong to no request, though they run in one: what they do is safe to repeat, and whether
    they run at all depends on what a request before has left."""
    token = _current.set(None)
    try:
        yield
    finally:
        _current.reset(token)


def next_step(service: str, handler: Callable[..., Any], *, claims: bool) -> Step[Any] | None:
    """The next unit of work of the request that runs in this task; None where there is none, or it is not `service`'s."""
    call = _current.get()
    if call is None or call.service != service:
        return None
    call.steps += 1
    return Step(call, call.steps - 1, _adapter(handler), claims)


@functools.cache
def _adapter(handler: Callable[..., Any]) -> TypeAdapter[Any]:
    """How the answer of a handler is kept: by its annotation."""
    return TypeAdapter(typing.get_type_hints(handler)["return"])


def opened(sealer: Sealer, text: str, bound_to: str) -> bytes:
    """What was sealed. Raises IDEMPOTENCY_CONFLICT if it cannot be opened any more."""
    try:
        return sealer.open(text, bound_to=bound_to)
    except Unsealable as error:
        raise conflict("The answer to this key can no longer be read. Use a new key.") from error


def conflict(message: str) -> NijaError:
    """IDEMPOTENCY_CONFLICT."""
    return NijaError(ErrorCode.IDEMPOTENCY_CONFLICT, message)


def other_body() -> NijaError:
    """The key is taken by another request."""
    return conflict("This idempotency key was used for another request. Use a new key.")


def in_progress() -> NijaError:
    """The same request is still running."""
    return conflict("The same request is still running. Try again with the same key.")
