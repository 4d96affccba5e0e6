"""A receiver of OpenTelemetry traces: what processes export over OTLP and HTTP, kept for a test to look at."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

PROMPTLY = {"OTEL_BSP_SCHEDULE_DELAY": "100"}
"""For the environment of processes: they export after so many milliseconds instead of five seconds."""


@dataclass(frozen=True, slots=True)
class Span:
    """One span as it was exported; ids in hexadecimal, `parent_id` empty for the first of a trace."""

    service: str
    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, str]


class Receiver:
    """Listens at `endpoint` (`NIJA_OTLP_ENDPOINT`)."""

    def __init__(self) -> None:
        self._spans: list[Span] = []
        self._bodies: list[bytes] = []
        self._lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver._take(gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body)
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def spans(self) -> list[Span]:
        """Everything that has come so far."""
        with self._lock:
            return list(self._spans)

    def bodies(self) -> bytes:
        """Every byte of it, as it was sent."""
        with self._lock:
            return b"".join(self._bodies)

    def _take(self, body: bytes) -> None:
        found = [
            Span(
                service=_service(resource.resource.attributes),
                name=span.name,
                kind=span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
                trace_id=span.trace_id.hex(),
                span_id=span.span_id.hex(),
                parent_id=span.parent_span_id.hex(),
                attributes={each.key: str(_value(each.value)) for each in span.attributes},
            )
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]
        with self._lock:
            self._spans += found
            self._bodies.append(body)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _service(attributes: object) -> str:
    found = next(each.value.string_value for each in attributes if each.key == "service.name")  # type: ignore[attr-defined]
    return str(found)


def _value(value: object) -> object:
    return getattr(value, value.WhichOneof("value"))  # type: ignore[attr-defined]


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver that listens while the context lasts."""
    receiver = Receiver()
    receiver.start()
    try:
        yield receiver
    finally:
        receiver.stop()
