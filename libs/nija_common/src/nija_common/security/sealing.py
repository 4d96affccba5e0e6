"""Envelope encryption of secrets at rest and on the bus.

Each secret gets a data key of its own (AES-256-GCM); the data key is wrapped by the key-encryption key. The
text a secret is bound to (a row's id, say) is authenticated with it: moved elsewhere, it does not open.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand


class Unsealable(Exception):
    """Sealed under another key, bound to something else, or changed."""


class Sealer:
    """Seals and opens with one key-encryption key of 32 bytes. Its `repr` shows nothing of it."""

    def __init__(self, key: bytes) -> None:
        if len(key) != 32:
            raise ValueError("a key-encryption key has 32 bytes")
        self._key = AESGCM(key)
        self._hash_key = hmac.digest(key, b"nija-keyed-hash", "sha256")
        self._derivation_key = hmac.digest(bytes(32), key, "sha256")
        self.key_id = hashlib.sha256(b"nija-kek" + key).hexdigest()[:12]

    def __repr__(self) -> str:
        return f"Sealer(key_id={self.key_id!r})"

    def keyed_hash(self, value: bytes, *, purpose: str) -> str:
        """A name for a value that can be found again but, without the key, not guessed. Differs by purpose."""
        purpose_key = hmac.digest(self._hash_key, purpose.encode(), "sha256")
        return hmac.digest(purpose_key, value, "sha256").hex()

    def derived_key(self, purpose: str) -> bytes:
        """A key of 32 bytes for one purpose, the same in every process: HKDF-SHA256 (RFC 5869), no salt, the purpose
        as info."""
        return HKDFExpand(SHA256(), 32, f"nija {purpose}".encode()).derive(self._derivation_key)

    def seal(self, plain: bytes, *, bound_to: str) -> str:
        """Text that only `open` with the same key and the same `bound_to` turns back."""
        data_key, wrap_nonce, nonce = secrets.token_bytes(32), secrets.token_bytes(12), secrets.token_bytes(12)
        aad = bound_to.encode()
        wrapped = self._key.encrypt(wrap_nonce, data_key, aad)
        sealed = AESGCM(data_key).encrypt(nonce, plain, aad)
        parts = (wrap_nonce + wrapped, nonce + sealed)
        return ".".join(["v1", self.key_id, *(base64.urlsafe_b64encode(p).decode() for p in parts)])

    def open(self, text: str, *, bound_to: str) -> bytes:
        """The secret. Raises Unsealable."""
        try:
            version, key_id, wrapped_text, sealed_text = text.split(".")
            if version != "v1" or key_id != self.key_id:
                raise Unsealable("sealed under another key")
            wrapped, sealed = base64.urlsafe_b64decode(wrapped_text), base64.urlsafe_b64decode(sealed_text)
            aad = bound_to.encode()
            data_key = self._key.decrypt(wrapped[:12], wrapped[12:], aad)
            return AESGCM(data_key).decrypt(sealed[:12], sealed[12:], aad)
        except (InvalidTag, ValueError) as error:
            raise Unsealable("cannot be opened") from error
