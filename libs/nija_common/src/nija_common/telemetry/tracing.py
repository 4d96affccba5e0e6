"""OpenTelemetry traces: W3C trace context through HTTP and events, exported over OTLP where an endpoint is set.

Whether a story is recorded is decided once, where it begins, by `NIJA_TRACE_RATIO`; everything that follows from it,
in whatever process, goes by that. Its trace id is made in any case, so logs and events carry one.
"""

from __future__ import annotations

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased, TraceIdRatioBased


def tracer_provider(service: str, endpoint: str | None, ratio: float) -> TracerProvider:
    """Records that part of the stories (0 to 1) and exports them; without an endpoint only ids are made."""
    sampler = ALWAYS_OFF if endpoint is None else ParentBased(TraceIdRatioBased(ratio))
    provider = TracerProvider(resource=Resource.create({"service.name": f"nija-{service}"}), sampler=sampler)
    if endpoint is not None:
        # Here, because it brings an HTTP client of its own that most processes have no use for.
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")))
    return provider


def configure_tracing(service: str, endpoint: str | None, ratio: float) -> None:
    """Makes it the provider of this process."""
    trace.set_tracer_provider(tracer_provider(service, endpoint or None, ratio))
