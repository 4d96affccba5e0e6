"""Bodies and answers of trading-engine's routes."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictStr

from nija_common.events.trading import BotStatus
from nija_trading.domain.account import Strategy
from nija_trading.domain.alerts import Action
from nija_trading.domain.standing import SwitchState


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class StartBody(_Body):
    """`paper_trading` and `risk_profile` left out: the user's settings."""

    broker: Annotated[StrictStr, Field(min_length=1, max_length=64)]
    paper_trading: StrictBool | None = None
    risk_profile: Annotated[StrictStr, Field(max_length=64)] | None = None
    strategy: Strategy = "APEX_V72"


class StartAnswer(BaseModel):
    status: BotStatus
    message: str
    estimated_ready_in_seconds: int


class StopBody(_Body):
    close_positions: StrictBool = False
    emergency: StrictBool = False


class StopAnswer(BaseModel):
    status: BotStatus
    message: str
    open_positions: int
    action_required: str | None = None


class StatusAnswer(BaseModel):
    status: BotStatus
    uptime_seconds: int | None
    broker: str | None
    paper_trading: bool
    last_scan: str | None
    next_scan: str | None
    active_positions: int
    today_trades: int
    last_error: str | None
    advanced: dict[str, SwitchState]


class EmergencyStopBody(_Body):
    reason: Annotated[StrictStr, Field(max_length=500)] = "Emergency stop by the user"
    close_positions: StrictBool = False


class EmergencyStopAnswer(BaseModel):
    status: str
    positions_closed: int
    positions_remaining: int
    message: str


class ResetAnswer(BaseModel):
    status: BotStatus
    message: str


class CloseAnswer(BaseModel):
    position_id: str
    trade_id: str
    status: str


class WebhookKeyAnswer(BaseModel):
    webhook_key: str
    created_at: str


class WebhookKeyView(BaseModel):
    webhook_key_masked: str
    created_at: str


class AlertBody(BaseModel):
    """What TradingView posts, as the API document shows it; `nija_trading.domain.alerts` reads it.

    `size_usd` left out: as a signal of score 3. `alert_id` makes a repetition known for 24 hours. Names that are not
    known here are ignored.
    """

    symbol: Annotated[str, Field(max_length=200, examples=["BTC-USD", "COINBASE:BTCUSD", "XBT/USD"])]
    action: Action
    api_key: Annotated[str, Field(max_length=200, description="The webhook key.")]
    price: Annotated[float, Field(gt=0, lt=1e12)] | str | None = None
    size_usd: Annotated[float, Field(gt=0, lt=1e12)] | str | None = None
    strategy: Any = Field(None, description="Not looked at.")
    alert_id: Annotated[str, Field(max_length=200)] | int | None = None
    time: str | float | None = Field(None, description="`{{timenow}}`: at most 60 seconds away from now.")


class AlertAnswer(BaseModel):
    received: bool
    trade_id: str
    status: str


class KillSwitchBody(_Body):
    reason: Annotated[StrictStr, Field(min_length=1, max_length=500)]
    close_all_positions: StrictBool = False
    notify_users: StrictBool = False


class KillSwitchAnswer(BaseModel):
    message: str
    affected_users: int
    active_positions: int
    timestamp: str


class ReleaseBody(_Body):
    reason: Annotated[StrictStr, Field(max_length=500)] | None = None


class ReleaseAnswer(BaseModel):
    message: str
    timestamp: str
