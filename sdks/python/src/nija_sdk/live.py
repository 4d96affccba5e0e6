"""The live socket's conversation, without the network: what to say, what an answer means, where to go on.

    handlers by message type -> channels to subscribe to; after a break, `since` the last update that was seen
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from nija_sdk.errors import AuthenticationFailed, NIJAError
from nija_sdk.records import Record

CHANNEL_OF = {"position_update": "positions", "trade_executed": "trades", "alert": "alerts"}
"""Which channel brings a message type. `resync` comes on whatever is subscribed; `error` at any time."""

REFUSED = 4401
LONGEST_PAUSE_S = 30.0

Handler = Callable[[Any], Any]


@dataclass(slots=True)
class Conversation:
    """What this end knows of one live socket over all its connections."""

    handlers: dict[str, list[Handler]] = field(default_factory=dict)
    last_seen: dict[str, int] = field(default_factory=dict)
    failures: int = 0

    def on(self, kind: str, handler: Handler) -> None:
        """Adds a handler. Raises NIJAError for a message type that does not exist."""
        if kind not in CHANNEL_OF and kind not in ("resync", "error"):
            known = ", ".join([*CHANNEL_OF, "resync", "error"])
            raise NIJAError(f"there is no message {kind!r}; there are {known}")
        self.handlers.setdefault(kind, []).append(handler)

    def auth(self, token: str | None) -> str:
        return json.dumps({"type": "auth", "token": f"Bearer {token or ''}"})

    def subscriptions(self) -> list[str]:
        """What to say once signed in: each channel that has a handler, from where it was left."""
        channels = dict.fromkeys(CHANNEL_OF[kind] for kind in self.handlers if kind in CHANNEL_OF)
        return [json.dumps(self._subscription(channel)) for channel in channels]

    def _subscription(self, channel: str) -> dict[str, Any]:
        asked: dict[str, Any] = {"type": "subscribe", "channel": channel}
        if channel in self.last_seen:
            asked["since"] = self.last_seen[channel]
        return asked

    def heard(self, text: str | bytes) -> tuple[list[Handler], Any]:
        """The handlers of a message and what they are given. Remembers how far the channel has come."""
        message = json.loads(text)
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
        """Checks the answer to `auth`. Raises AuthenticationFailed."""
        message = json.loads(text)
        if message.get("type") == "auth_success":
            self.failures = 0
            return
        error = message.get("error", {})
        raise AuthenticationFailed(
            error.get("code", "TOKEN_INVALID"), error.get("message", "The token was refused."), status=401
        )

    def pause_s(self) -> float:
        """How long to wait before the next connection: longer each time it fails, spread so that not all come at once."""
        self.failures += 1
        return random.uniform(0.5, 1.0) * min(0.5 * 2 ** (self.failures - 1), LONGEST_PAUSE_S)  # noqa: S311
