"""OpenTelemetry traces: W3C trace context through HTTP and events, exported over OTLP where an endpoint is set."""

from __future__ import annotations

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor


def configure_tracing(service: str, endpoint: str | None) -> None:
    """Makes trace ids in any case, so that logs and events carry them; exports only with an endpoint."""
    provider = TracerProvider(resource=Resource.create({"service.name": f"nija-{service}"}))
    if endpoint:
        # Here, because it brings an HTTP client of its own that most processes have no use for.
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")))
    trace.set_tracer_provider(provider)
