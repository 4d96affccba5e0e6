"""What travels with a request or an event through the code: correlation, causation, trace."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar, Token
from typing import NamedTuple

from opentelemetry import propagate, trace


class Context(NamedTuple):
    """`correlation_id` names the story (a request's id at its start), `causation_id` the event or command in hand.

    Log lines carry them as `request_id` and `event_id`, and `user_id`, whose story it is.
    """

    correlation_id: str | None = None
    causation_id: str | None = None
    traceparent: str | None = None
    user_id: str | None = None


_context: ContextVar[Context] = ContextVar("nija_context", default=Context())


def current_context() -> Context:
    """The context of this task, with the trace of the current span where there is one."""
    context = _context.get()
    if not trace.get_current_span().get_span_context().is_valid:
        return context  # nothing is to be carried over: events are made in the hundreds
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    traceparent = carrier.get("traceparent", context.traceparent)
    return Context(context.correlation_id, context.causation_id, traceparent, context.user_id)


def known_context() -> Context:
    """The context of this task as it was set, whatever span is current."""
    return _context.get()


def trace_begun() -> str:
    """A trace that nobody records: its id is for logs, and for what follows from here."""
    drawn = f"{random.getrandbits(192):048x}"
    return f"00-{drawn[:32]}-{drawn[32:]}-00"


class _In:
    """A context manager without a generator: every event goes through it."""

    __slots__ = ("_context", "_token")

    def __init__(self, context: Context) -> None:
        self._context = context

    def __enter__(self) -> None:
        self._token: Token[Context] = _context.set(self._context)

    def __exit__(self, *_: object) -> None:
        _context.reset(self._token)


def in_context(context: Context) -> AbstractContextManager[None]:
    """Everything emitted, and every line logged, inside belongs to this story."""
    return _In(context)


@contextmanager
def continued(name: str, context: Context, *, user_id: str) -> Iterator[None]:
    """A piece of work that goes on with an earlier story (a stored command): a span in its trace, and its context."""
    carrier = {} if context.traceparent is None else {"traceparent": context.traceparent}
    span = trace.get_tracer("nija.stories").start_as_current_span(name, context=propagate.extract(carrier))
    with span, in_context(context._replace(user_id=user_id)):
        yield
