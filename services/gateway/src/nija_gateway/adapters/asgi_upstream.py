"""A service that runs in this process: its ASGI app is called in the request's own task, so nothing is buffered."""

from __future__ import annotations

import structlog

from nija_common.runtime.manifest import AsgiApp
from nija_common.runtime.platform import LocalApps
from nija_gateway.ports import ClientGone, Message, Receive, Send, UpstreamFailed

log = structlog.get_logger(__name__)


class AsgiUpstream:
    """Implements `Upstream`. The app is looked up at each call: services start in any order."""

    connections = None

    def __init__(self, service: str, local: LocalApps) -> None:
        self._service = service
        self._local = local

    def _app(self) -> AsgiApp:
        app = self._local.apps.get(self._service)
        if app is None:
            raise UpstreamFailed("connect", f"{self._service} does not run in this process")
        return app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        app = self._app()
        complete = gone = False

        async def receiving() -> Message:
            nonlocal gone
            message = await receive()
            gone = gone or (message["type"] == "http.disconnect" and not complete)
            return message

        async def sending(message: Message) -> None:
            nonlocal complete
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                complete = True
            await send(message)

        try:
            await app(scope, receiving, sending)
        except Exception as error:
            if gone:
                raise ClientGone from error
            if not complete:
                raise UpstreamFailed("broken", f"{self._service} failed: {type(error).__name__}") from error
            log.debug("service_raised_after_answer", service=self._service, error=type(error).__name__)
        if not complete:
            if gone:
                raise ClientGone
            raise UpstreamFailed("closed", f"{self._service} did not complete its answer")

    async def socket(self, scope: Message, receive: Receive, send: Send) -> None:
        await self._app()(scope, receive, send)

    async def close(self) -> None:
        return
