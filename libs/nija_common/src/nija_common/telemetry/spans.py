"""The span in which a consumer handles an event, named after OpenTelemetry's conventions for messaging."""

from __future__ import annotations

from contextlib import AbstractContextManager

from opentelemetry import propagate, trace
from opentelemetry.trace import Span, SpanKind

tracer = trace.get_tracer("nija.events")


def processing(
    topic: str, *, group: str, event_type: str, event_id: str, traceparent: str | None
) -> AbstractContextManager[Span]:
    """`process TOPIC`, a part of the trace that the event belongs to; an event of none begins one."""
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
