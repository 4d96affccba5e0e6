"""`/ws/v1` as a raw ASGI app: accepts, and gives each connection a session.

Protocol pings, and the end of a connection that stays silent for 60 s, are the HTTP server's: a browser answers
them by itself, and ASGI shows neither ping nor pong. Everything else of the contract is in `session.py`.
"""

from __future__ import annotations

from typing import Any

from nija_common.errors import ErrorCode, NijaError
from nija_common.http.envelope import error_body, error_response
from nija_common.runtime.manifest import AsgiApp
from nija_notifier.api.rounds import Rounds
from nija_notifier.api.session import Session
from nija_notifier.deps import Deps

PATH = "/ws/v1"


def sockets(deps: Deps) -> AsgiApp:
    """The app of role `api`."""
    nothing = NijaError(ErrorCode.NOT_FOUND, f"There is nothing at this path. The socket is at {PATH}.")
    rounds = Rounds(deps.settings.sockets.flush_ms / 1000)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket" and scope["path"] == PATH:
            await Session(deps, rounds, scope, receive, send).run()
        elif scope["type"] == "websocket":
            await receive()
            await _refuse(scope, send, nothing, deps.clock.now_ms())
        else:
            await error_response(nothing, deps.clock)(scope, receive, send)

    return app


async def _refuse(scope: Any, send: Any, error: NijaError, now_ms: int) -> None:
    """Answers the handshake with the error where the server can, else with its own 403."""
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close"})
        return
    headers = [(b"content-type", b"application/json")]
    await send({"type": "websocket.http.response.start", "status": error.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": error_body(error, now_ms)})
