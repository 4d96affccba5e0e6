"""The table of everything that enters: method, path, service, who may call, and which limit counts it.

The gateway imports no service; a test outside the services compares this table with all manifests, in both
directions. Paths are never rewritten: the path a client types is the path a service serves.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

API = "/api/v1"
ADMIN = f"{API}/admin"
SOCKET_PATH = "/ws/v1"


class Who(StrEnum):
    """Who may call a route."""

    OPEN = "open"
    USER = "user"
    ADMIN = "admin"
    WEBHOOK = "webhook"
    """Whoever holds a key, or signs with one, that the service checks itself."""


class LimitClass(StrEnum):
    """Which window counts a call."""

    USER = "user"
    STOP = "stop"
    REGISTER = "register"
    LOGIN = "login"
    OPEN = "open"
    WEBHOOK = "webhook"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Route:
    """One operation. `path` holds `{name}` where one segment of the path varies; `SOCKET` is the method of a WebSocket."""

    method: str
    path: str
    service: str
    who: Who = Who.USER
    limit: LimitClass = LimitClass.USER


def _open(method: str, path: str, service: str, limit: LimitClass = LimitClass.OPEN) -> Route:
    return Route(method, path, service, Who.OPEN, limit)


ROUTES: tuple[Route, ...] = (
    _open("POST", f"{API}/auth/register", "auth", LimitClass.REGISTER),
    _open("POST", f"{API}/auth/login", "auth", LimitClass.LOGIN),
    _open("POST", f"{API}/auth/refresh", "auth"),
    Route("POST", f"{API}/auth/logout", "auth"),
    _open("POST", f"{API}/auth/reset-password", "auth"),
    _open("POST", f"{API}/auth/reset-password/confirm", "auth"),
    Route("PUT", f"{API}/auth/change-password", "auth"),
    _open("GET", "/.well-known/jwks.json", "auth"),
    Route("POST", f"{API}/trading/start", "trading-engine"),
    Route("POST", f"{API}/trading/stop", "trading-engine", limit=LimitClass.STOP),
    Route("GET", f"{API}/trading/status", "trading-engine"),
    Route("POST", f"{API}/trading/emergency-stop", "trading-engine", limit=LimitClass.STOP),
    Route("POST", f"{API}/trading/emergency-reset", "trading-engine"),
    Route("POST", f"{API}/trading/positions/{{position_id}}/close", "trading-engine", limit=LimitClass.STOP),
    Route("GET", f"{API}/config/brokers", "trading-engine"),
    Route("POST", f"{API}/config/brokers", "trading-engine"),
    Route("DELETE", f"{API}/config/brokers/{{broker_id}}", "trading-engine"),
    Route("POST", f"{API}/config/brokers/{{broker_id}}/test", "trading-engine"),
    Route("GET", f"{API}/config/webhook-key", "trading-engine"),
    Route("POST", f"{API}/config/webhook-key", "trading-engine"),
    Route("PUT", f"{ADMIN}/users/{{user_id}}", "auth", Who.ADMIN),
    Route("POST", f"{ADMIN}/kill-switch", "trading-engine", Who.ADMIN, LimitClass.STOP),
    Route("DELETE", f"{ADMIN}/kill-switch", "trading-engine", Who.ADMIN, LimitClass.STOP),
    Route("POST", f"{API}/webhooks/tradingview", "trading-engine", Who.WEBHOOK, LimitClass.WEBHOOK),
    Route("GET", f"{API}/account/balance", "accounts"),
    Route("GET", f"{API}/account/positions", "accounts"),
    Route("GET", f"{API}/account/history", "accounts"),
    Route("GET", f"{API}/account/performance", "analytics"),
    Route("GET", f"{API}/account/stats", "analytics"),
    Route("GET", f"{API}/analytics/dashboard", "analytics"),
    Route("GET", f"{API}/analytics/trades", "analytics"),
    Route("POST", f"{API}/analytics/export", "analytics"),
    _open("GET", "/exports/{name}", "analytics"),
    Route("GET", f"{ADMIN}/users", "analytics", Who.ADMIN),
    Route("GET", f"{ADMIN}/users/{{user_id}}", "analytics", Who.ADMIN),
    Route("GET", f"{ADMIN}/metrics", "analytics", Who.ADMIN),
    Route("GET", f"{ADMIN}/audit-logs", "analytics", Who.ADMIN),
    Route("GET", f"{API}/config/settings", "accounts"),
    Route("PUT", f"{API}/config/settings", "accounts"),
    _open("GET", f"{API}/subscription/plans", "billing"),
    Route("GET", f"{API}/subscription/current", "billing"),
    Route("POST", f"{API}/subscription/upgrade", "billing"),
    Route("POST", f"{API}/subscription/cancel", "billing"),
    Route("GET", f"{API}/subscription/usage", "billing"),
    Route("POST", f"{API}/webhooks/stripe", "billing", Who.WEBHOOK, LimitClass.NONE),
    Route("SOCKET", SOCKET_PATH, "notifier", Who.OPEN, LimitClass.NONE),
)


@dataclass(frozen=True, slots=True)
class Found:
    """What a path has: the route of the method asked for (HEAD is answered by GET's), and the methods it takes."""

    route: Route | None
    allow: tuple[str, ...]


NOTHING = Found(None, ())


class Table:
    """Looks routes up: exact paths in one dictionary, patterns by number of segments."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._exact: dict[str, dict[str, Route]] = {}
        self._patterns: dict[int, list[tuple[tuple[str | None, ...], dict[str, Route]]]] = {}
        for route in routes:
            self._methods_of(route.path)[route.method] = route

    def _methods_of(self, path: str) -> dict[str, Route]:
        if "{" not in path:
            return self._exact.setdefault(path, {})
        shape = tuple(None if part.startswith("{") else part for part in path.split("/"))
        same_length = self._patterns.setdefault(len(shape), [])
        for known, methods in same_length:
            if known == shape:
                return methods
        methods = {}
        same_length.append((shape, methods))
        return methods

    def find(self, method: str, path: str) -> Found:
        """Both fields empty for an unknown path; a known path without that method has no route but `allow`."""
        methods = self._exact.get(path) or self._by_pattern(path)
        if not methods:
            return NOTHING
        route = methods.get("GET" if method == "HEAD" else method)
        return Found(route, _allowed(methods))

    def _by_pattern(self, path: str) -> dict[str, Route] | None:
        parts = path.split("/")
        for shape, methods in self._patterns.get(len(parts), ()):
            if all(part == given if part is not None else given for part, given in zip(shape, parts, strict=True)):
                return methods
        return None


def _allowed(methods: dict[str, Route]) -> tuple[str, ...]:
    names = {name for name in methods if name != "SOCKET"}
    if "GET" in names:
        names.add("HEAD")
    return tuple(sorted(names | {"OPTIONS"}))


def is_admin_path(path: str) -> bool:
    """Whether the path lies where the role is asked for before anything is looked up."""
    return path == ADMIN or path.startswith(f"{ADMIN}/")
