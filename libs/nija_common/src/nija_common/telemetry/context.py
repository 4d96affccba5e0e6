"""What travels with a request or an event through the code: correlation, causation, trace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import structlog
from opentelemetry import propagate, trace


@dataclass(frozen=True, slots=True)
class Context:
    """`correlation_id` names the story (a request's id at its start), `causation_id` the event handled just now."""

    correlation_id: str | None = None
    causation_id: str | None = None
    traceparent: str | None = None


_context: ContextVar[Context] = ContextVar("nija_context", default=Context())


def current_context() -> Context:
    """The context of this task, with the trace of the current span where there is one."""
    context = _context.get()
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    traceparent = carrier.get("traceparent", context.traceparent)
    return Context(context.correlation_id, context.causation_id, traceparent)


@contextmanager
def in_context(context: Context) -> Iterator[None]:
    """Everything emitted inside belongs to this story."""
    token = _context.set(context)
    try:
        yield
    finally:
        _context.reset(token)


@contextmanager
def continued(name: str, context: Context, *, user_id: str) -> Iterator[None]:
    """A piece of work that goes on with an earlier story (a stored command): a span in its trace, its context, and log
    lines that say whose story it is."""
    carrier = {} if context.traceparent is None else {"traceparent": context.traceparent}
    span = trace.get_tracer("nija.stories").start_as_current_span(name, context=propagate.extract(carrier))
    lines = structlog.contextvars.bound_contextvars(request_id=context.correlation_id, user_id=user_id)
    with span, in_context(context), lines:
        yield
