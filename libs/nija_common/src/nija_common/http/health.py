"""`/livez`, `/readyz` and `/metrics`, in front of any ASGI app.

Alive: the event loop turns. Ready latches: once the stores have been reached and state topics read, only
draining withdraws it; later faults show in its body, in metrics and in logs, because a bus that is away
must not take reads away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import orjson
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from nija_common.runtime.manifest import AsgiApp

CHECK_S = 0.7
"""How long a dependency may take to answer: probes wait a second, and one that is away must not fail them."""

Check = Callable[[], Awaitable[str | None]]
"""None where the dependency answers, else the reason in words."""


@dataclass(slots=True)
class Health:
    """The state behind the endpoints: `ready` is set by the node once, `draining` when it is told to stop."""

    checks: dict[str, Check]
    ready: bool = False
    draining: bool = False

    async def report(self) -> tuple[int, dict[str, Any]]:
        """Status and body of `/readyz`."""
        found = await asyncio.gather(*(_looked_at(check) for check in self.checks.values()))
        reasons = dict(zip(self.checks, found, strict=True))
        body: dict[str, Any] = {
            "status": "draining" if self.draining else "ready" if self.ready else "starting",
            "dependencies": {name: reason or "ok" for name, reason in reasons.items()},
        }
        return (200 if self.ready and not self.draining else 503), body


async def _looked_at(check: Check) -> str | None:
    try:
        async with asyncio.timeout(CHECK_S):
            return await check()
    except TimeoutError:
        return f"no answer within {CHECK_S:g} s"


class HealthApp:
    """Answers the three paths, hands everything else on. `with_metrics` False leaves `/metrics` to its own port."""

    def __init__(self, app: AsgiApp, health: Health, *, with_metrics: bool) -> None:
        self._app = app
        self._health = health
        self._with_metrics = with_metrics

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["method"] in ("GET", "HEAD"):
            path = scope["path"]
            if path == "/livez":
                await _answer(send, 200, b'{"status":"alive"}', "application/json")
                return
            if path == "/readyz":
                status, body = await self._health.report()
                await _answer(send, status, orjson.dumps(body), "application/json")
                return
            if path == "/metrics" and self._with_metrics:
                await metrics_app(scope, receive, send)
                return
        await self._app(scope, receive, send)


async def metrics_app(scope: Any, _receive: Any, send: Any) -> None:
    """Prometheus text of this process."""
    if scope["type"] == "http":
        await _answer(send, 200, generate_latest(), CONTENT_TYPE_LATEST)


async def _answer(send: Any, status: int, body: bytes, content_type: str) -> None:
    headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
