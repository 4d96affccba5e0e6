"""Envelope encryption of secrets at rest and on the bus.

Each secret gets a data key of its own (AES-256-GCM); the data key is wrapped by the key-encryption key. The
text a secret is bound to (a row's id, say) is authenticated with it: moved elsewhere, it does not open. The name of
the key-encryption key stands in front, so several may be good at a time: one seals, all open, and a change of keys
wraps data keys anew and touches no secret (`runtime/rotation.py`).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand


class Unsealable(Exception):
    """Sealed under another key, bound to something else, or changed."""


KeySource = Callable[[], Sequence[bytes]]
"""The key-encryption keys as they are now, 32 bytes each: the one that seals, then others that still open. Asked at
each use, so it has to be cheap; the same object as before means that nothing has changed."""


class Sealer:
    """Seals with one key-encryption key of 32 bytes and opens with it or with others. Its `repr` shows nothing of them."""

    def __init__(self, keys: bytes | KeySource, others: Sequence[bytes] = ()) -> None:
        """`keys`: the key that seals, with `others` that open what they sealed; or a source of all of them."""
        fixed = (keys, *others) if isinstance(keys, bytes) else ()
        self._source: KeySource = keys if not isinstance(keys, bytes) else lambda: fixed
        self._known: Sequence[bytes] | None = None
        self._look()

    def _look(self) -> None:
        """Takes the keys as they are now."""
        found = self._source()
        if found is self._known:
            return
        if not found or any(len(key) != 32 for key in found):
            raise ValueError("a key-encryption key has 32 bytes")
        self._known = found
        self._wrapping = {_id_of(key): AESGCM(key) for key in found}
        self._current = _id_of(found[0])
        self._hash_key = hmac.digest(found[0], b"nija-keyed-hash", "sha256")
        self._derivation_key = hmac.digest(bytes(32), found[0], "sha256")

    @property
    def key_id(self) -> str:
        """The name of the key that seals."""
        self._look()
        return self._current

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The names of every key that opens, the one that seals first."""
        self._look()
        return (self._current, *(key_id for key_id in self._wrapping if key_id != self._current))

    def __repr__(self) -> str:
        return f"Sealer(key_id={self._current!r})"

    def keyed_hash(self, value: bytes, *, purpose: str) -> str:
        """A name for a value that can be found again but, without the key, not guessed. Differs by purpose, and by the
        key that seals: a name does not outlive that key."""
        self._look()
        purpose_key = hmac.digest(self._hash_key, purpose.encode(), "sha256")
        return hmac.digest(purpose_key, value, "sha256").hex()

    def derived_key(self, purpose: str) -> bytes:
        """A key of 32 bytes for one purpose, the same in every process: HKDF-SHA256 (RFC 5869), no salt, the purpose
        as info. Derived from the key that seals: ask for it where it is used, since that key may change."""
        self._look()
        return HKDFExpand(SHA256(), 32, f"nija {purpose}".encode()).derive(self._derivation_key)

    def seal(self, plain: bytes, *, bound_to: str) -> str:
        """Text that only `open` with the same key and the same `bound_to` turns back."""
        self._look()
        data_key, nonce = secrets.token_bytes(32), secrets.token_bytes(12)
        sealed = AESGCM(data_key).encrypt(nonce, plain, bound_to.encode())
        return _joined(self._current, self._wrapped(data_key, bound_to), nonce + sealed)

    def open(self, text: str, *, bound_to: str) -> bytes:
        """The secret. Raises Unsealable."""
        key_id, wrapped, sealed = _parts(text)
        data_key = self._unwrapped(key_id, wrapped, bound_to)
        try:
            return AESGCM(data_key).decrypt(sealed[:12], sealed[12:], bound_to.encode())
        except (InvalidTag, ValueError) as error:
            raise Unsealable("cannot be opened") from error

    def rewrap(self, text: str, *, bound_to: str) -> str:
        """The same sealed secret, its data key wrapped by the key that seals now; the very same text where it is so
        already. Raises Unsealable."""
        self._look()
        key_id, wrapped, sealed = _parts(text)
        if key_id == self._current:
            return text
        return _joined(self._current, self._wrapped(self._unwrapped(key_id, wrapped, bound_to), bound_to), sealed)

    def _wrapped(self, data_key: bytes, bound_to: str) -> bytes:
        nonce = secrets.token_bytes(12)
        return nonce + self._wrapping[self._current].encrypt(nonce, data_key, bound_to.encode())

    def _unwrapped(self, key_id: str, wrapped: bytes, bound_to: str) -> bytes:
        self._look()
        wrapping = self._wrapping.get(key_id)
        if wrapping is None:
            raise Unsealable("sealed under another key")
        try:
            return wrapping.decrypt(wrapped[:12], wrapped[12:], bound_to.encode())
        except (InvalidTag, ValueError) as error:
            raise Unsealable("cannot be opened") from error


def _id_of(key: bytes) -> str:
    return hashlib.sha256(b"nija-kek" + key).hexdigest()[:12]


def _joined(key_id: str, wrapped: bytes, sealed: bytes) -> str:
    return ".".join(["v1", key_id, *(base64.urlsafe_b64encode(part).decode() for part in (wrapped, sealed))])


def _parts(text: str) -> tuple[str, bytes, bytes]:
    """The key's name, the wrapped data key, the sealed secret. Raises Unsealable."""
    try:
        version, key_id, wrapped, sealed = text.split(".")
        if version != "v1":
            raise Unsealable("sealed in a form that is not known here")
        return key_id, base64.urlsafe_b64decode(wrapped), base64.urlsafe_b64decode(sealed)
    except ValueError as error:
        raise Unsealable("cannot be opened") from error
