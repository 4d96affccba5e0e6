"""The socket's messages: what a client may say, and the frames it is told. Bytes in, bytes out; no connection.

A frame is a whole WebSocket frame, so it is built once and the same bytes go to everybody whom it concerns.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import orjson

from nija_common.errors import ErrorCode, NijaError
from nija_common.values.frames import text_frame

Channel = Literal["positions", "trades", "alerts"]
CHANNELS: tuple[Channel, ...] = ("positions", "trades", "alerts")
FRAME_LIMIT_BYTES = 65_536
LARGEST_ID = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Auth:
    """`{"type": "auth", "token": …}`: the token as it came, with or without `Bearer `. Its `repr` hides it."""

    token: str

    def __repr__(self) -> str:
        return "Auth(token=hidden)"


@dataclass(frozen=True, slots=True)
class Subscribe:
    """`since`: of `trades` only, the `id` of the last update that the client has; whatever follows it is told first."""

    channel: Channel
    since: int | None = None


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    channel: Channel


@dataclass(frozen=True, slots=True)
class Ping:
    """`{"type": "ping"}`."""


ClientMessage = Auth | Subscribe | Unsubscribe | Ping


def read_message(data: str | bytes) -> ClientMessage:
    """The message in a text or binary frame; unknown fields are ignored. Raises VALIDATION_ERROR.

    A token that is missing or no text reads as an empty one: that is a refused sign-in, not a malformed message.
    """
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise _not_valid("The message is not valid JSON.", {"message": "not valid JSON"}) from None
    if not isinstance(body, dict):
        raise _not_valid("The message is not a JSON object.", {"message": "not an object"})
    match body.get("type"):
        case "auth":
            token = body.get("token")
            return Auth(token if isinstance(token, str) else "")
        case "ping":
            return Ping()
        case "subscribe":
            channel = _channel(body.get("channel"))
            return Subscribe(channel, _since(body.get("since")) if channel == "trades" else None)
        case "unsubscribe":
            return Unsubscribe(_channel(body.get("channel")))
    known = "auth, subscribe, unsubscribe or ping"
    raise _not_valid(f"The message's type is not {known}.", {"type": f"must be {known}"})


def _channel(name: object) -> Channel:
    for channel in CHANNELS:
        if name == channel:
            return channel
    known = ", ".join(CHANNELS[:-1]) + " or " + CHANNELS[-1]
    raise _not_valid(f"There is no such channel; subscribe to {known}.", {"channel": f"must be {known}"})


def _since(value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST_ID:
        return value
    raise _not_valid("`since` is not the `id` of a trade update.", {"since": "must be the id of a trade update"})


def _not_valid(message: str, details: dict[str, object]) -> NijaError:
    return NijaError(ErrorCode.VALIDATION_ERROR, message, details)


def error_frame(error: NijaError) -> bytes:
    """`{"type": "error", "error": {code, message, details}}`."""
    body = {"code": error.code.value, "message": error.message, "details": error.details}
    return _frame({"type": "error", "error": body})


def auth_success(user_id: str, subscriptions: Iterable[Channel]) -> bytes:
    """The answer to an accepted token, with the channels this connection already follows."""
    return _frame({"type": "auth_success", "user_id": user_id, "subscriptions": sorted(subscriptions)})


def subscribed(channel: Channel) -> bytes:
    return _frame({"type": "subscribed", "channel": channel})


def unsubscribed(channel: Channel) -> bytes:
    return _frame({"type": "unsubscribed", "channel": channel})


def resync(channel: Channel) -> bytes:
    """What a client has missed cannot be told: it reads the present state anew, and is told what comes from here on."""
    return _frame({"type": "resync", "channel": channel})


PONG = text_frame(b'{"type":"pong"}')


def update(kind: str, channel: Channel, data: dict[str, object], event_id: int | None = None) -> bytes:
    """One update of a channel; `event_id` where the channel's updates can be asked for again."""
    return text_frame(opening(kind, channel, event_id) + orjson.dumps(data) + b"}")


def opening(kind: str, channel: Channel, event_id: int | None = None) -> bytes:
    """The text of an update up to its data, which is followed by a brace."""
    head: dict[str, object] = {"type": kind, "channel": channel}
    if event_id is not None:
        head["id"] = event_id
    return orjson.dumps(head)[:-1] + b',"data":'


def _frame(body: dict[str, object]) -> bytes:
    return text_frame(orjson.dumps(body))
