"""Webhook keys: made, rotated, recognised. The key itself is shown once and never kept."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Any

from nija_common.errors import ErrorCode, NijaError
from nija_common.storage.unit_of_work import UnitOfWork
from nija_trading.deps import Deps
from nija_trading.domain.alerts import WebhookKey
from nija_trading.handlers.audit import Actor, audited
from nija_trading.handlers.bots import known_standing

PREFIX = "whk_"


@dataclass(frozen=True, slots=True)
class RotateKey:
    """A user asks for a (new) key."""

    by: Actor
    registered_at_ms: int


async def rotate_key(deps: Deps, cmd: RotateKey, uow: UnitOfWork) -> tuple[str, WebhookKey]:
    """Makes a key; an older one stops working. Raises EXCEEDS_TIER_LIMIT below Pro."""
    user_id = cmd.by.user_id
    now_ms = deps.clock.now_ms()
    standing = await known_standing(deps, user_id, cmd.registered_at_ms)
    if not standing.tier(now_ms).features.webhooks:
        raise NijaError(ErrorCode.EXCEEDS_TIER_LIMIT, "Webhook keys need the Pro plan or above.")
    before = await deps.store.webhook_key(user_id)
    secret = PREFIX + secrets.token_urlsafe(32)
    fields: dict[str, Any] = {"key_hash": hash_of(secret), "ending": secret[-4:], "created_at_ms": now_ms}
    key = WebhookKey(id=user_id, **fields) if before is None else before.model_copy(update=fields)
    uow.save(key)
    uow.emit(audited(user_id, "webhook_key_created", cmd.by, now_ms, **{"rotated": before is not None}))
    return secret, key


async def key_view(deps: Deps, user_id: str) -> WebhookKey:
    """The user's key, as far as it may be shown. Raises NOT_FOUND."""
    key = await deps.store.webhook_key(user_id)
    if key is None:
        raise NijaError(ErrorCode.NOT_FOUND, "There is no webhook key yet. Make one with POST /config/webhook-key.")
    return key


async def owner_of(deps: Deps, secret: str) -> str:
    """The user of a key; compared in constant time. Raises TOKEN_INVALID."""
    given = hash_of(secret)
    key = await deps.store.key_by_hash(given)
    if not secret or not hmac.compare_digest(given, key.key_hash if key is not None else hash_of("")) or key is None:
        raise NijaError(ErrorCode.TOKEN_INVALID, "The webhook key is missing or not valid.")
    return key.id


def hash_of(secret: str) -> str:
    """Keys are 32 random bytes, so a plain SHA-256 keeps them."""
    return hashlib.sha256(secret.encode()).hexdigest()
