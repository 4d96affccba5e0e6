"""What is left of a request once it has been answered: its count, its metrics, its line in the log."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from prometheus_client import Counter, Histogram

from nija_common.errors import ErrorCode
from nija_common.http.request_context import METHODS
from nija_common.telemetry.access_log import AccessLog
from nija_common.telemetry.metrics import (
    GATEWAY_REFUSALS,
    HTTP_IN_FLIGHT,
    HTTP_REQUESTS,
    HTTP_SECONDS,
    RATE_LIMIT_REFUSALS,
)
from nija_gateway.domain.routes import LimitClass
from nija_gateway.domain.usage import Usage

NO_ROUTE = "none"
LATER_S = 0.05
MOST_KEPT = 256
"""So many requests at most wait to be recorded: a millisecond's work."""


class Answered(NamedTuple):
    """A request that has been answered, at `at_ns` of the wall clock, in so many seconds.

    `route` is a path of the table or `NO_ROUTE`, `code` that of a refusal of the gateway's own.
    """

    method: str
    route: str
    status: int
    code: str | None
    seconds: float
    request_id: str
    address: str
    user_id: str | None
    trace_id: str | None
    at_ns: int


class Recorder:
    """Shared by all edges of the gateway. Labels are bounded: methods, routes of the table, statuses."""

    def __init__(self, usage: Usage, access_log: AccessLog) -> None:
        self._usage = usage
        self._access_log = access_log
        self._series: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._refusals: dict[str, Counter] = {}
        self.in_flight = 0
        """Requests that are being answered: each edge adds its own, and takes it off again."""
        HTTP_IN_FLIGHT.labels("gateway").set_function(lambda: self.in_flight)
        self._kept: list[Answered] = []
        self._timer: asyncio.TimerHandle | None = None

    def refused(self, code: str, limit: LimitClass) -> None:
        """Counts a refusal of the gateway's own; `limit` is that of the request's route."""
        counter = self._refusals.get(code)
        if counter is None:
            counter = self._refusals[code] = GATEWAY_REFUSALS.labels(code)
        counter.inc()
        if code == ErrorCode.RATE_LIMIT_EXCEEDED.value:
            RATE_LIMIT_REFUSALS.labels(limit.value).inc()

    def later(self, answered: Answered) -> None:
        """Records it within `LATER_S`, together with others: many in a row cost a third of what each costs by itself,
        because what records them is then in the processor's caches."""
        self._kept.append(answered)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(LATER_S, self.flush)
        elif len(self._kept) >= MOST_KEPT:
            self.flush()

    def flush(self) -> None:
        """Records what waits."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        kept, self._kept = self._kept, []
        for answered in kept:
            self.now(answered)
        self._access_log.flush()

    def now(self, answered: Answered) -> None:
        """Records it."""
        method, route, status, code, seconds, request_id, address, user_id, trace_id, at_ns = answered
        self._usage.count(user_id, status, seconds)
        series = self._series.get((method, route, status))
        if series is None:
            method = method if method in METHODS else "other"
            series = self._series[method, route, status] = (
                HTTP_REQUESTS.labels("gateway", method, route, str(status)),
                HTTP_SECONDS.labels("gateway", route),
            )
        series[0].inc()
        series[1].observe(seconds)
        if self._access_log.enabled:
            line = {
                "service": "gateway",
                "method": method if method in METHODS else "other",
                "route": route,
                "status": status,
                "code": code,
                "ms": round(seconds * 1000, 2),
                "request_id": request_id,
                "address": address,
                "user_id": user_id,
            }
            if trace_id is not None:
                line["trace_id"] = trace_id
            self._access_log.write(line, at_ns)
