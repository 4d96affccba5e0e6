"""Requests and answers of `/auth/*`."""

from __future__ import annotations

import unicodedata
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, StringConstraints

from nija_common.events.identity import AccountStatus
from nija_common.values.tiers import Tier


def _unicode(text: str) -> str:
    """JSON may spell half of a surrogate pair, which is no character and has no UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("holds something that is no Unicode character") from None
    return text


def _one_line(text: str) -> str:
    """A name is written into mails."""
    if any(unicodedata.category(character) in ("Cc", "Zl", "Zp") for character in text):
        raise ValueError("holds a line break or a control character")
    return text


def _secret_unicode(text: SecretStr) -> SecretStr:
    _unicode(text.get_secret_value())
    return text


def _note(text: str | None) -> str | None:
    return text if text is None else _unicode(text)


SecretText = Annotated[SecretStr, AfterValidator(_secret_unicode)]
PasswordText = Annotated[SecretText, Field(min_length=1, max_length=1024)]
"""The policy decides; this only keeps nonsense out of the hasher."""
Email = Annotated[str, StringConstraints(min_length=1, max_length=320), AfterValidator(_unicode)]

FullName = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200),
    AfterValidator(_unicode),
    AfterValidator(_one_line),
]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class RegisterRequest(_Request):
    email: Email
    password: PasswordText
    full_name: FullName
    accept_terms: Annotated[bool, Field(strict=True)]


class LoginRequest(_Request):
    email: Email
    password: PasswordText


class RefreshRequest(_Request):
    refresh_token: Annotated[SecretText, Field(min_length=1, max_length=4096)]


class LogoutRequest(_Request):
    revoke_all: Annotated[bool, Field(strict=True)] = False


class ResetRequest(_Request):
    email: Email


class ConfirmResetRequest(_Request):
    token: Annotated[SecretText, Field(min_length=1, max_length=512)]
    new_password: PasswordText


class ChangePasswordRequest(_Request):
    current_password: PasswordText
    new_password: PasswordText


class UpdateUserRequest(_Request):
    """What is left out stays as it is. `subscription_tier` null lifts the override; `expires_at` (ISO 8601) goes with a
    tier only and lies in the future; null or left out, the override stays until it is lifted."""

    subscription_tier: Tier | None = None
    status: AccountStatus | None = None
    notes: Annotated[
        str | None, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000), AfterValidator(_note)
    ] = None
    expires_at: Annotated[str, StringConstraints(max_length=40)] | None = None


class _Answer(BaseModel):
    """What has a default is in the answer as well."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)


class RegisteredAnswer(_Answer):
    user_id: str
    email: str
    full_name: str
    subscription_tier: str
    trial_active: bool
    trial_ends_at: str
    created_at: str


class UserAnswer(_Answer):
    user_id: str
    email: str
    full_name: str
    subscription_tier: str


class LoginAnswer(_Answer):
    access_token: str = Field(repr=False)
    refresh_token: str = Field(repr=False)
    token_type: Literal["Bearer"] = "Bearer"
    expires_in: int
    user: UserAnswer


class RefreshAnswer(_Answer):
    access_token: str = Field(repr=False)
    token_type: Literal["Bearer"] = "Bearer"
    expires_in: int


class MessageAnswer(_Answer):
    message: str
