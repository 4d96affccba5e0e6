"""Which services answer: one circuit a service, told how each call ended, with its metrics and log lines."""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from nija_common.errors import NijaError, unavailable
from nija_common.telemetry.metrics import GATEWAY_BREAKER_OPEN, GATEWAY_IN_FLIGHT, GATEWAY_UPSTREAM_ERRORS
from nija_common.values.clock import Clock
from nija_gateway.domain.circuit import Circuit
from nija_gateway.domain.routes import LimitClass, Route

log = structlog.get_logger("nija_gateway.api.relay")


class Breakers:
    """Shared by all edges of the gateway. A call that may be made ends in one of `answered`, `failed`, `abandoned`."""

    def __init__(self, services: Iterable[str], clock: Clock) -> None:
        self._clock = clock
        self._circuits = {service: Circuit() for service in services}
        for service, circuit in self._circuits.items():
            _watch(service, circuit)

    def enter(self, route: Route) -> None:
        """A call begins. Raises SERVICE_UNAVAILABLE where it may not be made."""
        circuit = self._circuits[route.service]
        if circuit.enter_quietly():
            return
        if not circuit.enter(self._clock.monotonic(), urgent=route.limit is LimitClass.STOP):
            raise unavailable(f"{route.service} cannot take this call right now. Try again.")

    def answered(self, service: str) -> None:
        """The service answered, whatever the status."""
        if self._circuits[service].succeeded():
            log.info("service_answers_again", service=service)

    def failed(self, service: str, kind: str, reason: str) -> None:
        """It did not answer, or not to the end."""
        circuit = self._circuits[service]
        was_open = circuit.open
        circuit.failed(self._clock.monotonic())
        GATEWAY_UPSTREAM_ERRORS.labels(service, kind).inc()
        log.warning("call_failed", service=service, kind=kind, reason=reason)
        if circuit.open and not was_open:
            log.error("service_cut_off", service=service)

    def abandoned(self, service: str) -> None:
        """The client left or was at fault: nothing was learned about the service."""
        self._circuits[service].abandoned()


def service_away(service: str) -> NijaError:
    """A call was made and failed."""
    return unavailable(f"{service} does not answer right now. Try again.")


def _watch(service: str, circuit: Circuit) -> None:
    """The gauges are asked for when somebody looks, so a call costs nothing more."""
    GATEWAY_BREAKER_OPEN.labels(service).set_function(lambda: circuit.open)
    GATEWAY_IN_FLIGHT.labels(service).set_function(lambda: circuit.in_flight)
