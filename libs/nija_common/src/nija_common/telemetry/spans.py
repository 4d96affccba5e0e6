"""The span in which a consumer handles an event, named after OpenTelemetry's conventions for messaging."""

from __future__ import annotations

from contextlib import AbstractContextManager

from opentelemetry import propagate, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind

tracer = trace.get_tracer("nija.events")

_EVEN = frozenset("02468aceACE")
"""The last hex digit of the flags of a trace that nobody records."""


def is_recorded(traceparent: str | None) -> bool:
    """Whether a span that goes on with this trace, or begins one, may be recorded. Making one that is not costs as much."""
    if traceparent and traceparent[-1] in _EVEN:
        return False
    provider = trace.get_tracer_provider()
    return isinstance(provider, TracerProvider) and provider.sampler is not ALWAYS_OFF


def processing(
    topic: str, *, group: str, event_type: str, event_id: str, traceparent: str | None
) -> AbstractContextManager[object] | None:
    """`process TOPIC`, a part of the trace that the event belongs to; an event of none begins one.

    None where it would not be recorded.
    """
    if not is_recorded(traceparent):
        return None
    attributes = {
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": topic,
        "messaging.consumer.group.name": group,
        "messaging.message.id": event_id,
        "nija.event_type": event_type,
    }
    return tracer.start_as_current_span(
        f"process {topic}",
        context=propagate.extract({} if traceparent is None else {"traceparent": traceparent}),
        kind=SpanKind.CONSUMER,
        attributes=attributes,
    )
