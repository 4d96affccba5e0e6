"""Keys derived from the key-encryption key."""

from __future__ import annotations

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from nija_common.security.sealing import Sealer


def test_a_derived_key_is_hkdf_of_the_key_and_the_purpose() -> None:
    whole = HKDF(SHA256(), 32, salt=None, info=b"nija export links").derive(b"k" * 32)
    assert Sealer(b"k" * 32).derived_key("export links") == whole


def test_derived_keys_differ_by_purpose_and_by_key() -> None:
    keys = {Sealer(bytes([n]) * 32).derived_key(purpose) for n in range(3) for purpose in ("a", "b")}
    assert len(keys) == 6
    assert {len(key) for key in keys} == {32}
