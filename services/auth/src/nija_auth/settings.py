"""What an operator can change about auth."""

from __future__ import annotations

from pydantic import Field, SecretStr

from nija_common.runtime.settings import Block


class PasswordSettings(Block):
    """Cost of a password hash (Argon2id), and how many may be computed or wait at a time."""

    memory_kib: int = Field(19_456, ge=8, description="Argon2id memory in KiB (OWASP's first choice).")
    time_cost: int = Field(2, ge=1, description="Argon2id passes.")
    at_once: int = Field(2, ge=1, description="Hashes computed at the same time.")
    waiting: int = Field(200, ge=1, description="Hashes that may wait; more are refused with 503.")


class FirstAdminSettings(Block):
    """An administrator who is made at the start where that e-mail has no account yet; both or neither."""

    email: str | None = Field(None, description="E-mail of the first administrator.")
    password: SecretStr | None = Field(None, description="Password of the first administrator.")


class AuthSettings(Block):
    """Auth's own block."""

    password: PasswordSettings = PasswordSettings()
    first_admin: FirstAdminSettings = FirstAdminSettings()
    key_rotation_days: int = Field(30, ge=1, description="Age at which a new signing key takes over.")
