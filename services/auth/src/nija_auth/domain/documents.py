"""The documents that auth owns."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from nija_common.values.document import Collection, Document, Index
from nija_common.values.tiers import Tier


class User(Document):
    """A person. `email_key` is the address as it is compared: lower case."""

    collection: ClassVar[Collection] = Collection("users", (Index("by_email", ("email_key",), unique=True),))

    email: str
    email_key: str
    full_name: str
    password_hash: str = Field(repr=False)
    role: Literal["user", "admin"] = "user"
    status: Literal["active", "suspended", "disabled"] = "active"
    registered_at_ms: int
    tokens_valid_after_ms: int = 0


class Session(Document):
    """A signed-in client. `created_ms` is the claim `sat` of its tokens; the refresh token is kept as a hash."""

    collection: ClassVar[Collection] = Collection(
        "sessions",
        (
            Index("by_refresh", ("refresh_hash",), unique=True),
            Index("by_user", ("user_id", "created_ms")),
            Index("by_expiry", ("expires_at_ms",)),
        ),
    )

    user_id: str
    refresh_hash: str = Field(repr=False)
    created_ms: int
    expires_at_ms: int


class LoginFailures(Document):
    """Failed logins of one e-mail, known or not; the id is a hash of it."""

    collection: ClassVar[Collection] = Collection("login_failures", (Index("by_expiry", ("expires_at_ms",)),))

    count: int = 0
    locked_until_ms: int = 0
    expires_at_ms: int


class ResetRequest(Document):
    """Somebody asked for a reset of this e-mail. Whether there is such an account is looked up later, by the loop, so
    that the answer says nothing and takes as long for everybody."""

    collection: ClassVar[Collection] = Collection("reset_requests", (Index("by_time", ("asked_ms",)),))

    email_key: str
    asked_ms: int
    address: str | None = None
    user_agent: str | None = None


class PasswordReset(Document):
    """A mailed link. The id is the hash of its token."""

    collection: ClassVar[Collection] = Collection(
        "password_resets", (Index("by_user", ("user_id", "created_ms")), Index("by_expiry", ("expires_at_ms",)))
    )

    user_id: str
    created_ms: int
    expires_at_ms: int


class SigningKey(BaseModel):
    """One key pair; the private half is sealed. It signs from `active_from_ms` until the next one does."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    key_id: str
    sealed: str = Field(repr=False)
    public: dict[str, str]
    created_ms: int
    active_from_ms: int
    retire_at_ms: int | None = None


class Keyring(Document):
    """Every signing key that is still good for something, oldest first. There is one such document."""

    collection: ClassVar[Collection] = Collection("keyrings")

    keys: tuple[SigningKey, ...] = ()


class PaidTier(Document):
    """Read model: what billing says an account has paid for."""

    collection: ClassVar[Collection] = Collection("paid_tiers")

    revision: tuple[int, int]
    tier: Tier


class TierOverride(Document):
    """What administrators last asked billing to keep for an account (the id). Billing decides by its own copy; this one is
    for the "before" of the next audit row."""

    collection: ClassVar[Collection] = Collection("tier_overrides")

    tier: Tier
    expires_at_ms: int | None


class AdminNote(Document):
    """What an administrator wrote about an account. Stays here: no event carries it."""

    collection: ClassVar[Collection] = Collection("admin_notes", (Index("by_user", ("user_id", "written_at_ms")),))

    user_id: str
    author: str
    written_at_ms: int
    text: str


DOCUMENTS: tuple[type[Document], ...] = (
    User,
    Session,
    LoginFailures,
    ResetRequest,
    PasswordReset,
    Keyring,
    PaidTier,
    TierOverride,
    AdminNote,
)
