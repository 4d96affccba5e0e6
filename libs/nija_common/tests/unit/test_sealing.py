"""Sealing: what opens where, and how a change of keys goes."""

from __future__ import annotations

import base64
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from nija_common.errors import SettingsError
from nija_common.runtime.key_encryption import KEY_FILE, KeyFile, sealer_of
from nija_common.runtime.settings import PlatformSettings, load
from nija_common.security.sealing import Sealer, Unsealable

OLD, NEW = b"o" * 32, b"n" * 32
SECRET = b"a secret of somebody"


def text_of(key: bytes) -> str:
    return base64.b64encode(key).decode()


def test_a_sealed_secret_opens_in_its_own_place_only() -> None:
    sealer = Sealer(OLD)
    sealed = sealer.seal(SECRET, bound_to="row/1")
    assert sealer.open(sealed, bound_to="row/1") == SECRET
    with pytest.raises(Unsealable):
        sealer.open(sealed, bound_to="row/2")
    with pytest.raises(Unsealable):
        sealer.rewrap(sealed.replace(sealer.key_id, Sealer(NEW).key_id), bound_to="row/1")


def test_a_changed_letter_anywhere_is_noticed() -> None:
    sealer = Sealer(OLD)
    sealed = sealer.seal(SECRET, bound_to="row/1")
    for place in range(len(sealed)):
        changed = sealed[:place] + ("A" if sealed[place] != "A" else "B") + sealed[place + 1 :]
        try:
            opened = sealer.open(changed, bound_to="row/1")
        except Unsealable:
            continue
        # The last letter before the padding of base64 has bits that mean nothing.
        assert opened == SECRET
        assert sealed[place + 1 : place + 2] in ("=", ".", "")


def test_each_secret_has_a_data_key_of_its_own() -> None:
    sealer = Sealer(OLD)
    first, second = (sealer.seal(SECRET, bound_to="row/1") for _ in range(2))
    assert set(first.split(".")[2:]).isdisjoint(second.split(".")[2:])


def test_nothing_of_a_key_or_a_secret_shows() -> None:
    sealer = Sealer(OLD)
    assert repr(sealer) == f"Sealer(key_id='{sealer.key_id}')"
    assert SECRET.decode() not in sealer.seal(SECRET, bound_to="row/1")


def test_an_old_key_still_opens_and_a_change_of_keys_touches_the_data_key_alone() -> None:
    sealed = Sealer(OLD).seal(SECRET, bound_to="row/1")
    with pytest.raises(Unsealable, match="another key"):
        Sealer(NEW).open(sealed, bound_to="row/1")
    both = Sealer(NEW, [OLD])
    assert both.open(sealed, bound_to="row/1") == SECRET
    rewrapped = both.rewrap(sealed, bound_to="row/1")
    assert rewrapped.split(".")[3] == sealed.split(".")[3], "the secret itself stays as it is"
    assert Sealer(NEW).open(rewrapped, bound_to="row/1") == SECRET
    assert both.rewrap(rewrapped, bound_to="row/1") == rewrapped
    with pytest.raises(Unsealable):
        both.rewrap(sealed, bound_to="row/2")
    with pytest.raises(Unsealable):
        Sealer(OLD).open(rewrapped, bound_to="row/1")


def test_a_running_sealer_takes_a_new_key_of_the_data_folder_up(tmp_path: Path) -> None:
    settings = load(PlatformSettings, {}, {"data_dir": tmp_path})
    running = sealer_of(settings, may_make=True)
    file = KeyFile(tmp_path / KEY_FILE)
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    before, sealed = running.key_id, running.seal(SECRET, bound_to="row/1")
    file.add()
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    beside = sealer_of(settings, may_make=True)
    other = beside.seal(SECRET, bound_to="row/2")
    assert running.open(other, bound_to="row/2") == SECRET
    assert running.open(sealed, bound_to="row/1") == SECRET
    assert running.key_id == beside.key_id != before
    file.path.unlink()
    assert running.open(sealed, bound_to="row/1") == SECRET


def test_keys_of_the_settings_are_checked() -> None:
    def sealer(key: str, old: str | None = None) -> Sealer:
        env = {"NIJA_KEY_ENCRYPTION_KEY": key} | ({} if old is None else {"NIJA_KEY_ENCRYPTION_KEYS_OLD": old})
        return sealer_of(load(PlatformSettings, env), may_make=False)

    sealed = Sealer(OLD).seal(SECRET, bound_to="row/1")
    assert sealer(text_of(NEW), f"{text_of(b'x' * 32)}, {text_of(OLD)}").open(sealed, bound_to="row/1") == SECRET
    with pytest.raises(SettingsError, match="NIJA_KEY_ENCRYPTION_KEYS_OLD: has 3 bytes"):
        sealer(text_of(NEW), text_of(b"abc"))
    with pytest.raises(SettingsError, match="NIJA_KEY_ENCRYPTION_KEY: not base64"):
        sealer("!")
    with pytest.raises(SettingsError, match="NIJA_KEY_ENCRYPTION_KEY: missing"):
        sealer_of(load(PlatformSettings, {}), may_make=False)
    with pytest.raises(SettingsError, match="set without NIJA_KEY_ENCRYPTION_KEY"):
        sealer_of(load(PlatformSettings, {"NIJA_KEY_ENCRYPTION_KEYS_OLD": text_of(OLD)}), may_make=True)


def test_a_derived_key_is_hkdf_of_the_key_and_the_purpose() -> None:
    whole = HKDF(SHA256(), 32, salt=None, info=b"nija export links").derive(b"k" * 32)
    assert Sealer(b"k" * 32).derived_key("export links") == whole


def test_derived_keys_differ_by_purpose_and_by_key() -> None:
    keys = {Sealer(bytes([n]) * 32).derived_key(purpose) for n in range(3) for purpose in ("a", "b")}
    assert len(keys) == 6
    assert {len(key) for key in keys} == {32}
