"""What is left of a request once it has been answered: its count, its metrics, its line in the log."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

from nija_common.telemetry.access_log import AccessLog
from nija_common.telemetry.metrics import HTTP_REQUESTS, HTTP_SECONDS
from nija_gateway.domain.usage import Usage

NO_ROUTE = "none"
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"))


class Recorder:
    """Shared by all edges of the gateway. Labels are bounded: methods, routes of the table, statuses."""

    def __init__(self, usage: Usage, access_log: AccessLog) -> None:
        self._usage = usage
        self._access_log = access_log
        self._series: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def answered(
        self,
        method: str,
        route: str,
        status: int,
        code: str | None,
        seconds: float,
        request_id: str,
        address: str,
        user_id: str | None,
        trace_id: str | None,
    ) -> None:
        """`route` is a path of the table or `NO_ROUTE`, `code` that of a refusal of the gateway's own."""
        self._usage.count(user_id, status, seconds)
        series = self._series.get((method, route, status))
        if series is None:
            method = method if method in _METHODS else "other"
            series = self._series[method, route, status] = (
                HTTP_REQUESTS.labels("gateway", method, route, str(status)),
                HTTP_SECONDS.labels("gateway", route),
            )
        series[0].inc()
        series[1].observe(seconds)
        if self._access_log.enabled:
            line = {
                "method": method,
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
            self._access_log.write(line)
