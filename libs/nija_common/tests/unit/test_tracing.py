"""What part of the stories is recorded is decided where they begin; ids there are in any case."""

from __future__ import annotations

import pytest
from opentelemetry import propagate
from opentelemetry.sdk.trace import TracerProvider

from nija_common.telemetry.tracing import tracer_provider

TRACE = "0af7651916cd43dd8448eb211c80319c"
NOBODY = "http://127.0.0.1:1"


def begun(provider: TracerProvider, traceparent: str | None = None) -> tuple[bool, str]:
    """Whether a span that begins now is recorded, and its trace id."""
    carrier = {} if traceparent is None else {"traceparent": traceparent}
    # Never ended, so nothing is exported.
    span = provider.get_tracer("test").start_span("x", context=propagate.extract(carrier))
    return span.is_recording(), f"{span.get_span_context().trace_id:032x}"


@pytest.mark.parametrize(("ratio", "recorded"), [(0.0, 0), (1.0, 50)])
def test_the_ratio_decides_of_what_begins_here(ratio: float, recorded: int) -> None:
    provider = tracer_provider("test", NOBODY, ratio)
    assert sum(begun(provider)[0] for _ in range(50)) == recorded


@pytest.mark.parametrize(("flag", "recorded"), [("01", True), ("00", False)])
@pytest.mark.parametrize("ratio", [0.0, 1.0])
def test_a_story_that_has_begun_elsewhere_goes_on_as_it_began(ratio: float, flag: str, recorded: bool) -> None:
    provider = tracer_provider("test", NOBODY, ratio)
    assert begun(provider, f"00-{TRACE}-b7ad6b7169203331-{flag}") == (recorded, TRACE)


def test_without_a_collector_nothing_is_recorded_and_ids_are_made_all_the_same() -> None:
    provider = tracer_provider("test", None, 1.0)
    recorded, trace_id = begun(provider)
    assert not recorded
    assert int(trace_id, 16) > 0
    assert begun(provider, f"00-{TRACE}-b7ad6b7169203331-01") == (False, TRACE)
