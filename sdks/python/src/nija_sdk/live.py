"""The live socket's conversation, without the network: what to say, what an answer means, where to go on.

handlers by message type -> channels to subscribe to; after a break, `since` the last update that was seen
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from nija_sdk.errors import APIError, NIJAError, UnexpectedAnswer, error_class
from nija_sdk.records import Record

CHANNEL_OF = {"position_update": "positions", "trade_executed": "trades", "alert": "alerts"}
"""Which channel brings a message type. `resync` comes on whatever is subscribed; `error` at any time."""

LONGEST_PAUSE_S = 30.0

_STATUS_OF = {"SERVICE_UNAVAILABLE": 503, "INTERNAL_ERROR": 500, "DATABASE_ERROR": 500, "RATE_LIMIT_EXCEEDED": 429}
"""Refusals of a sign-in that will pass. Every other one says that the token is no good."""

Handler = Callable[[Any], Any]


def known(kind: str) -> str:
    """The message type. Raises NIJAError for one that does not exist."""
    if kind not in CHANNEL_OF and kind not in ("resync", "error"):
        raise NIJAError(f"there is no message {kind!r}; there are {', '.join([*CHANNEL_OF, 'resync', 'error'])}")
    return kind


@dataclass(slots=True)
class Conversation:
    """What this end knows of one live socket over all its connections."""

    handlers: dict[str, list[Handler]] = field(default_factory=dict)
    last_seen: dict[str, int] = field(default_factory=dict)
    failures: int = 0

    def on(self, kind: str, handler: Handler) -> str | None:
        """Adds a handler. Answers what to say on an open connection for it: a subscription where the channel is new."""
        new = kind in CHANNEL_OF and kind not in self.handlers
        self.handlers.setdefault(kind, []).append(handler)
        return self._subscription(CHANNEL_OF[kind]) if new else None

    def auth(self, token: str | None) -> str:
        return json.dumps({"type": "auth", "token": f"Bearer {token or ''}"})

    def subscriptions(self) -> list[str]:
        """What to say once signed in: each channel that has a handler, from where it was left."""
        channels = dict.fromkeys(CHANNEL_OF[kind] for kind in self.handlers if kind in CHANNEL_OF)
        return [self._subscription(channel) for channel in channels]

    def _subscription(self, channel: str) -> str:
        asked: dict[str, Any] = {"type": "subscribe", "channel": channel}
        if channel in self.last_seen:
            asked["since"] = self.last_seen[channel]
        return json.dumps(asked)

    def heard(self, text: str | bytes) -> tuple[list[Handler], Any]:
        """The handlers of a message and what they are given. Remembers how far the channel has come.

        Raises UnexpectedAnswer.
        """
        message = _message(text)
        self.failures = 0
        kind, channel = message.get("type"), message.get("channel")
        number = message.get("id")
        if isinstance(number, int) and isinstance(channel, str):
            self.last_seen[channel] = number
        if kind == "resync" and isinstance(channel, str):
            self.last_seen.pop(channel, None)
        found = self.handlers.get(str(kind), [])
        content = message.get("error") if kind == "error" else message.get("data", message)
        return found, Record.of(content) if isinstance(content, dict) else content

    def signed_in(self, text: str | bytes) -> None:
        """Checks the answer to `auth`. Raises AuthenticationFailed, or another APIError where it may work later."""
        message = _message(text)
        if message.get("type") == "auth_success":
            return
        error = message.get("error") or {}
        code = str(error.get("code", "TOKEN_INVALID"))
        status = _STATUS_OF.get(code, 401)
        raise error_class(status)(code, str(error.get("message", "The token was refused.")), status=status)

    def as_error(self, error: APIError) -> str:
        """What the platform would say of it on the socket."""
        return json.dumps(
            {"type": "error", "error": {"code": error.code, "message": error.message, "details": error.details}}
        )

    def pause_s(self) -> float:
        """How long to wait before the next connection: longer each time it fails, spread so that not all come at once."""
        self.failures += 1
        return random.uniform(0.5, 1.0) * min(0.5 * 2.0 ** (self.failures - 1), LONGEST_PAUSE_S)


def _message(text: str | bytes) -> dict[str, Any]:
    try:
        message = json.loads(text)
    except ValueError as error:
        raise UnexpectedAnswer("a message on the live socket that is not JSON") from error
    if not isinstance(message, dict):
        raise UnexpectedAnswer("a message on the live socket that is not the platform's")
    return message
