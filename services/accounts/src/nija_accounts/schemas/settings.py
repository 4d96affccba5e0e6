"""Requests and answers of `/config/settings`: strict types in, the reference's shape out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from nija_accounts.domain.settings import Change, Settings, normal_pair
from nija_common.errors import ErrorCode, NijaError
from nija_common.events.preferences import AdvancedSettings, NotificationSettings, RiskLevel, TradingSettings
from nija_common.http.app import validation_error

Usd = Annotated[float, Field(ge=0.01, allow_inf_nan=False)]
Pair = Annotated[str, Field(max_length=40), AfterValidator(normal_pair)]


def _without_defaults(schema: dict[str, Any]) -> None:
    """The defaults are never applied: a field that is not sent is not changed."""
    for field in schema.get("properties", {}).values():
        field.pop("default", None)


class _Section(BaseModel):
    """What is left out stays as it is; null is no value."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, json_schema_extra=_without_defaults)


class TradingChange(_Section):
    risk_level: RiskLevel = "medium"
    max_position_size_usd: Usd = 0.01
    max_concurrent_positions: Annotated[int, Field(ge=1)] = 1
    max_daily_loss_usd: Usd = 0.01
    allowed_pairs: Annotated[list[Pair], Field(min_length=1, max_length=100)] = []
    paper_trading: bool = True


class NotificationsChange(_Section):
    email_enabled: bool = True
    push_enabled: bool = True
    trade_notifications: bool = True
    daily_summary: bool = True
    weekly_report: bool = True


class AdvancedChange(_Section):
    enable_meta_ai: bool = False
    enable_mmin: bool = False
    enable_gmig: bool = False
    execution_intelligence: bool = False


class SettingsChange(_Section):
    trading: TradingChange = TradingChange()
    notifications: NotificationsChange = NotificationsChange()
    advanced: AdvancedChange = AdvancedChange()


class SettingsAnswer(BaseModel):
    """`GET /config/settings`: what is in force."""

    model_config = ConfigDict(frozen=True)
    trading: TradingSettings
    notifications: NotificationSettings
    advanced: AdvancedSettings


class UpdatedAnswer(BaseModel):
    """`PUT /config/settings`: only the fields that are different now."""

    model_config = ConfigDict(frozen=True)
    message: str
    updated_fields: list[str]


def change_of(body: Mapping[str, Any]) -> Change:
    """The change a body asks for.

    Raises INVALID_SETTING for a name that does not exist, VALIDATION_ERROR for a value of the wrong kind,
    INVALID_RISK_LEVEL; the first of these where a body has several faults.
    """
    try:
        request = SettingsChange.model_validate(body)
    except ValidationError as error:
        raise _refusal(error) from None
    trading = request.trading.model_dump(exclude_unset=True)
    if "allowed_pairs" in trading:
        trading["allowed_pairs"] = tuple(dict.fromkeys(trading["allowed_pairs"]))
    return Change(
        trading=trading,
        notifications=request.notifications.model_dump(exclude_unset=True),
        advanced=request.advanced.model_dump(exclude_unset=True),
    )


def settings_answer(settings: Settings) -> SettingsAnswer:
    """The settings as their owner sees them."""
    return SettingsAnswer(trading=settings.trading, notifications=settings.notifications, advanced=settings.advanced)


def updated_answer(names: Sequence[str]) -> UpdatedAnswer:
    """What a change has come to."""
    message = "Settings updated successfully" if names else "Nothing to change: the settings were like that already"
    return UpdatedAnswer(message=message, updated_fields=list(names))


def _refusal(error: ValidationError) -> NijaError:
    errors = error.errors(include_url=False, include_input=False)
    unknown = [".".join(map(str, e["loc"])) for e in errors if e["type"] == "extra_forbidden"]
    if unknown:
        return NijaError(
            ErrorCode.INVALID_SETTING,
            f"There is no such setting: {', '.join(unknown)}. Nothing was changed.",
            dict.fromkeys(unknown, "not a known setting"),
        )
    other = [e for e in errors if e["loc"] != ("trading", "risk_level")]
    if other:
        return validation_error([{**e, "loc": ("body", *e["loc"])} for e in other])
    return NijaError(
        ErrorCode.INVALID_RISK_LEVEL,
        "risk_level is low, medium or high. Nothing was changed.",
        {"trading.risk_level": "low, medium or high"},
    )
