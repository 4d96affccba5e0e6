"""A GET of our own, answered by anything that is called as an ASGI app is."""

from __future__ import annotations

import asyncio
from typing import Any

from nija_common.runtime.manifest import AsgiApp

DOCUMENT_PATH = "/openapi.json"
"""Where each service tells of its operations."""


async def get(app: AsgiApp, path: str) -> tuple[int, bytes]:
    """Status and body of `GET path`."""
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"local")],
        "client": None,
        "server": None,
        "extensions": {},
        "state": {},
    }
    status, body, asked = 500, bytearray(), False

    async def receive() -> dict[str, Any]:
        nonlocal asked
        if asked:
            await asyncio.Event().wait()
        asked = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        elif message["type"] == "http.response.body":
            body.extend(message.get("body", b""))

    await app(scope, receive, send)
    return status, bytes(body)
