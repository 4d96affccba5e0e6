"""The messages of `/ws/v1` as models: what `docs/asyncapi.json` says of them. The frames themselves are built in `domain/`
without these, once for all sockets; a test holds every frame to its model.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from nija_notifier.domain.messages import LARGEST_ID, Channel


class Message(BaseModel):
    """Base of them: nothing besides what is declared."""

    model_config = ConfigDict(extra="forbid")


# What a client says; unknown fields are ignored there.


class Auth(Message):
    """Signs in; the first message, within ten seconds. Later ones renew the token of the same user."""

    type: Literal["auth"]
    token: str = Field(description="An access token, with or without `Bearer `.")


class Subscribe(Message):
    """Follows a channel."""

    type: Literal["subscribe"]
    channel: Channel
    since: Annotated[int, Field(ge=0, le=LARGEST_ID)] | None = Field(
        None,
        description="Of `trades` only: the `id` of the last update that the client has; what followed is told first.",
    )


class Unsubscribe(Message):
    """Leaves a channel."""

    type: Literal["unsubscribe"]
    channel: Channel


class Ping(Message):
    """Asks for a `pong`."""

    type: Literal["ping"]


# What it is told.


class AuthSuccess(Message):
    """The token was accepted."""

    type: Literal["auth_success"]
    user_id: str
    subscriptions: list[Channel] = Field(description="Channels that this connection follows already.")


class Subscribed(Message):
    """The channel is followed from here on."""

    type: Literal["subscribed"]
    channel: Channel


class Unsubscribed(Message):
    """The channel is not followed any more."""

    type: Literal["unsubscribed"]
    channel: Channel


class Pong(Message):
    """The answer to `ping`."""

    type: Literal["pong"]


class Resync(Message):
    """What was missed cannot be told: read the history anew; what comes from here on is told."""

    type: Literal["resync"]
    channel: Channel


class ErrorBody(Message):
    """As in the API."""

    code: str
    message: str
    details: dict[str, Any]


class Error(Message):
    """A message was refused, or the connection is about to be closed."""

    type: Literal["error"]
    error: ErrorBody


class PositionData(Message):
    """A position as it is now. `status` closed: its last update."""

    position_id: str
    status: Literal["open", "closed"]
    symbol: str
    side: str
    broker: str
    paper: bool
    quantity: float
    size_usd: float
    entry_price: float
    current_price: float
    unrealized_pnl: float
    unrealized_pnl_pct: float
    stop_loss: float | None
    take_profit: float | None
    protected: bool
    opened_at: str
    timestamp: str


class PositionUpdate(Message):
    """A position of the user has moved or changed. Only its newest state is told to a client that is slow."""

    type: Literal["position_update"]
    channel: Literal["positions"]
    data: PositionData


class TradeData(Message):
    """What happened to a trade; which fields there are depends on `action`."""

    trade_id: str
    action: Literal["opened", "reduced", "closed", "cancelled"]
    symbol: str
    side: str
    broker: str
    paper: bool
    position_id: str | None = None
    entry_price: float | None
    exit_price: float | None = None
    quantity: float
    remaining_quantity: float | None = None
    size_usd: float | None
    realized_pnl: float | None = None
    realized_pnl_pct: float | None = None
    fees: float
    reason: str | None = None
    source: str | None = None
    opened_at: str | None = None
    timestamp: str


class TradeExecuted(Message):
    """A trade was opened, reduced, closed or cancelled. Each is told once and in order; `id` is what `since` takes."""

    type: Literal["trade_executed"]
    channel: Literal["trades"]
    id: int
    data: TradeData


class AlertData(Message):
    """What stops a user's trading, or that it is over. Further fields depend on `kind`."""

    model_config = ConfigDict(extra="allow")

    kind: Literal[
        "kill_switch_tripped", "kill_switch_released", "payment_failed", "payment_settled", "bot_error", "bot_paused"
    ]
    message: str = Field(description="What happened and what to do next, for a person to read.")
    severity: Literal["critical", "warning", "info"]
    timestamp: str


class AlertMessage(Message):
    """Told when it happens, and what lasts also to whoever subscribes."""

    type: Literal["alert"]
    channel: Literal["alerts"]
    data: AlertData


SAID: tuple[type[Message], ...] = (Auth, Subscribe, Unsubscribe, Ping)
TOLD: tuple[type[Message], ...] = (
    AuthSuccess,
    Subscribed,
    Unsubscribed,
    Pong,
    Resync,
    Error,
    PositionUpdate,
    TradeExecuted,
    AlertMessage,
)


def type_of(message: type[Message]) -> str:
    """The value of `type` that marks a message."""
    (name,) = message.model_fields["type"].annotation.__args__  # type: ignore[union-attr]
    return str(name)
