"""Bodies and answers of trading-engine's routes."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, StrictBool, StrictStr, field_validator

from nija_common.events.trading import BotStatus
from nija_trading.domain.account import Strategy
from nija_trading.domain.alerts import Action
from nija_trading.domain.connections import ConnectionStatus
from nija_trading.domain.standing import SwitchState

PRINTABLE = r"[\x21-\x7e]+"


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
    """An alert of TradingView. `size_usd` left out: as a signal of score 3. `alert_id` makes a repetition known for
    24 hours. Names that are not listed here are ignored."""

    # For the API document alone: `domain/alerts.py` reads the body's bytes, whatever the content type.

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


def _unicode(text: SecretStr) -> SecretStr:
    """JSON may spell half of a surrogate pair, which is no character and has no UTF-8."""
    try:
        text.get_secret_value().encode()
    except UnicodeEncodeError:
        raise ValueError("holds something that is no Unicode character") from None
    return text


SecretText = Annotated[SecretStr, AfterValidator(_unicode)]


class AdditionalParams(_Body):
    """What some exchanges ask for besides key and secret: a pass phrase (OKX, KuCoin, Bitget), Coinbase's organisation
    where the key's name was given without it, a user or account id."""

    password: Annotated[SecretText, Field(min_length=1, max_length=256)] | None = None
    org_id: Annotated[StrictStr, Field(pattern=f"^{PRINTABLE}$", max_length=128)] | None = None
    uid: Annotated[StrictStr, Field(pattern=f"^{PRINTABLE}$", max_length=128)] | None = None
    account_id: Annotated[StrictStr, Field(pattern=f"^{PRINTABLE}$", max_length=128)] | None = None


class BrokerBody(_Body):
    broker: Annotated[StrictStr, Field(min_length=1, max_length=64)]
    api_key: Annotated[SecretStr, Field(min_length=1, max_length=512)]
    api_secret: Annotated[SecretText, Field(min_length=1, max_length=4096)]
    additional_params: AdditionalParams = AdditionalParams()

    @field_validator("api_key")
    @classmethod
    def _one_word(cls, value: SecretStr) -> SecretStr:
        """A key is sent in a header."""
        if re.fullmatch(PRINTABLE, value.get_secret_value().strip()) is None:
            raise ValueError("must be printable characters without spaces")
        return value


class BrokerConnectedAnswer(BaseModel):
    broker_id: str
    message: str
    status: ConnectionStatus


class BrokerView(BaseModel):
    broker_id: str
    name: str
    display_name: str
    status: ConnectionStatus
    last_connected: str | None
    api_key_masked: str
    permissions: list[str]
    created_at: str


class BrokersAnswer(BaseModel):
    brokers: list[BrokerView]


class BrokerRemovedAnswer(BaseModel):
    message: str
    open_positions: int
    warning: str | None = None


class BrokerTestAnswer(BaseModel):
    status: ConnectionStatus
    latency_ms: int
    permissions: list[str]
    account_balance: float
