"""Requests and answers of `/auth/*`."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints

PasswordText = Annotated[SecretStr, Field(min_length=1, max_length=1024)]
"""The policy decides; this only keeps nonsense out of the hasher."""
Email = Annotated[str, StringConstraints(min_length=1, max_length=320)]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class RegisterRequest(_Request):
    email: Email
    password: PasswordText
    full_name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
    accept_terms: Annotated[bool, Field(strict=True)]


class LoginRequest(_Request):
    email: Email
    password: PasswordText


class RefreshRequest(_Request):
    refresh_token: Annotated[SecretStr, Field(min_length=1, max_length=4096)]


class LogoutRequest(_Request):
    revoke_all: Annotated[bool, Field(strict=True)] = False


class ResetRequest(_Request):
    email: Email


class ConfirmResetRequest(_Request):
    token: Annotated[SecretStr, Field(min_length=1, max_length=512)]
    new_password: PasswordText


class ChangePasswordRequest(_Request):
    current_password: PasswordText
    new_password: PasswordText


class RegisteredAnswer(BaseModel):
    user_id: str
    email: str
    full_name: str
    subscription_tier: str
    trial_active: bool
    trial_ends_at: str
    created_at: str


class UserAnswer(BaseModel):
    user_id: str
    email: str
    full_name: str
    subscription_tier: str


class LoginAnswer(BaseModel):
    access_token: str
    refresh_token: str
    token_type: str = "Bearer"
    expires_in: int
    user: UserAnswer


class RefreshAnswer(BaseModel):
    access_token: str
    token_type: str = "Bearer"
    expires_in: int


class MessageAnswer(BaseModel):
    message: str
