"""Signing keys: made, rotated without logging anyone out, published, used.

The private half is kept sealed and bound to its key id; a new key is published ten minutes before it signs, and an
old one stays published until the last token it signed has expired.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from nija_auth.deps import Deps
from nija_auth.domain import sessions
from nija_auth.domain.documents import Keyring, Session, SigningKey, User
from nija_auth.store import KEYRING
from nija_common.errors import SettingsError, unavailable
from nija_common.security.sealing import Sealer, Unsealable
from nija_common.security.tokens import jwk_of, sign
from nija_common.storage.unit_of_work import UnitOfWork
from nija_common.values.ids import new_id
from nija_common.values.times import DAY_MS


@dataclass(frozen=True, slots=True)
class EnsureKey:
    """Make the first key if there is none."""


@dataclass(frozen=True, slots=True)
class RotateKeys:
    """Make a new key if the newest is older than the settings say, or in any case."""

    even_if_young: bool = False


async def ensure_key(deps: Deps, _: EnsureKey, uow: UnitOfWork) -> None:
    """Two processes on a fresh store make one: the second one's commit loses, and it finds the first one's.

    Raises SettingsError where the key-encryption key is another than the one it was sealed with.
    """
    keyring = await deps.people.keyring()
    if keyring is None:
        # Active since ever: a process whose clock lags a little behind may sign with it too.
        uow.save(Keyring(id=KEYRING, keys=(_fresh(deps, deps.clock.now_ms(), active_from_ms=0),)))
        return
    try:
        _private(deps, keyring.keys[-1])
    except Unsealable:
        raise SettingsError(
            "NIJA_KEY_ENCRYPTION_KEY: not the key that auth's signing keys were sealed with; set the one used before"
        ) from None


async def rotate_keys(deps: Deps, command: RotateKeys, uow: UnitOfWork) -> bool:
    """Whether there is a new key; it signs from ten minutes on."""
    keyring = await deps.people.keyring()
    now_ms = deps.clock.now_ms()
    if keyring is None:
        raise unavailable("There is no signing key yet.")
    due = now_ms - keyring.keys[-1].created_ms >= deps.settings.key_rotation_days * DAY_MS
    if not due and not command.even_if_young:
        return False
    fresh = _fresh(deps, now_ms, active_from_ms=now_ms + sessions.PUBLISH_AHEAD_MS)
    uow.save(sessions.rotated(keyring, fresh))
    return True


async def replace_keys(deps: Deps, _: None, uow: UnitOfWork) -> None:
    """One new key in the place of all: whatever they have signed is refused from now on."""
    keyring = await deps.people.keyring() or Keyring(id=KEYRING)
    fresh = _fresh(deps, deps.clock.now_ms(), active_from_ms=0)
    uow.save(keyring.model_copy(update={"keys": (fresh,)}))


async def key_set(deps: Deps) -> dict[str, list[dict[str, str]]]:
    """The JWKS document (RFC 7517)."""
    keyring = await deps.people.keyring()
    return {"keys": [] if keyring is None else sessions.published(keyring, deps.clock.now_ms())}


async def access_token(deps: Deps, user: User, session: Session) -> str:
    """A token of the session, signed with the key that is active now."""
    keyring = await deps.people.keyring()
    now_ms = deps.clock.now_ms()
    key = None if keyring is None else sessions.active_key(keyring, now_ms)
    if key is None:
        raise unavailable("There is no signing key yet.")
    return sign(sessions.claims_of(user, session, now_ms), _private(deps, key), key.key_id)


def rewrapped(keyring: Keyring, sealer: Sealer) -> Keyring:
    """The keyring with every private half under the key-encryption key that seals now. Raises Unsealable."""
    keys = tuple(
        key.model_copy(update={"sealed": sealer.rewrap(key.sealed, bound_to=_row(key.key_id))}) for key in keyring.keys
    )
    return keyring.model_copy(update={"keys": keys})


def _private(deps: Deps, key: SigningKey) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(deps.sealer.open(key.sealed, bound_to=_row(key.key_id)))


def _fresh(deps: Deps, now_ms: int, *, active_from_ms: int) -> SigningKey:
    private, key_id = Ed25519PrivateKey.generate(), new_id("key")
    return SigningKey(
        key_id=key_id,
        sealed=deps.sealer.seal(private.private_bytes_raw(), bound_to=_row(key_id)),
        public=jwk_of(private.public_key(), key_id),
        created_ms=now_ms,
        active_from_ms=active_from_ms,
    )


def _row(key_id: str) -> str:
    return f"auth/signing-key/{key_id}"
