"""`/openapi.json` and `/docs`: the services are asked for their documents once, then the answer stands.

While a service has not answered yet, both are 503: half a document would look like a whole one.
"""

from __future__ import annotations

import asyncio
from typing import Any

import orjson

from nija_common.errors import NijaError, unavailable
from nija_common.http.local import DOCUMENT_PATH, get
from nija_gateway.deps import Deps
from nija_gateway.domain.api_document import put_together
from nija_gateway.domain.examples import with_examples
from nija_gateway.domain.reference_page import page
from nija_gateway.domain.routes import ROUTES
from nija_gateway.ports import UpstreamFailed

ASK_S = 5.0
PAGES = {DOCUMENT_PATH: b"application/json", "/docs": b"text/html; charset=utf-8"}


class Document:
    """The two pages of a running gateway."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._made: dict[str, bytes] = {}
        self._asking = asyncio.Lock()

    async def body(self, path: str) -> bytes:
        """The page at a path of `PAGES`. Raises SERVICE_UNAVAILABLE while a service's part cannot be had."""
        if path not in self._made:
            async with self._asking:
                if path not in self._made:
                    self._made = await self._make()
        return self._made[path]

    async def _make(self) -> dict[str, bytes]:
        routes = [route for route in ROUTES if route.method != "SOCKET"]
        names = sorted({route.service for route in routes})
        answers = await asyncio.gather(*(self._of(name) for name in names))
        document = put_together(dict(zip(names, answers, strict=True)), routes, self._deps.public_url)
        whole = with_examples(document, self._deps.examples)
        return {DOCUMENT_PATH: orjson.dumps(whole), "/docs": page(whole)}

    async def _of(self, service: str) -> dict[str, Any]:
        try:
            async with asyncio.timeout(ASK_S):
                status, body = await get(self._deps.upstreams[service], DOCUMENT_PATH)
        except (UpstreamFailed, TimeoutError) as error:
            raise _not_whole(service) from error
        if status != 200:
            raise _not_whole(service)
        document: dict[str, Any] = orjson.loads(body)
        return document


def _not_whole(service: str) -> NijaError:
    return unavailable(f"The document is not whole: {service} does not answer right now. Try again.")
