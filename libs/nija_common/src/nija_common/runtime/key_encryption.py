"""Where the key-encryption keys come from: the settings, or a file in the data folder of the embedded platform.

The file has one key a line in base64, the one that seals first; it is looked at again whenever it has changed, so a
running platform takes part in a change of keys.
"""

from __future__ import annotations

import base64
import binascii
import os
import secrets
from collections.abc import Sequence
from pathlib import Path

from nija_common.errors import SettingsError
from nija_common.runtime.infrastructure import make_folder
from nija_common.runtime.settings import PlatformSettings
from nija_common.security.sealing import Sealer

KEY_FILE = "key-encryption.key"
MAIN, MORE = "NIJA_KEY_ENCRYPTION_KEY", "NIJA_KEY_ENCRYPTION_KEYS_OLD"


class KeyFile:
    """The keys of a data folder; a source for `Sealer`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[int, int] | None = None
        self._keys: Sequence[bytes] = ()

    def __call__(self) -> Sequence[bytes]:
        """The keys as they are in the file now; the last ones known where it cannot be read. Raises SettingsError."""
        try:
            stat = self.path.stat()
            seen = (stat.st_ino, stat.st_mtime_ns)
            if seen != self._seen:
                lines = self.path.read_text("ascii").split()
                self._keys, self._seen = tuple(_decoded(line, str(self.path)) for line in lines), seen
        except OSError as error:
            if not self._keys:
                raise SettingsError(f"{self.path}: {error.strerror}") from None
        if not self._keys:
            raise SettingsError(f"{self.path}: has no key")
        return self._keys

    def lines(self) -> tuple[str, ...]:
        """The keys as they are written, in base64. Raises as a call does."""
        return tuple(base64.b64encode(key).decode() for key in self())

    def put_first(self, lines: Sequence[str]) -> None:
        """Puts these keys in front of those that are there; the first of them seals from now on. Raises SettingsError."""
        given = [_decoded(line, "a key of the backup") for line in lines]
        before = list(self()) if self.path.exists() else []
        self._replace([*given, *(key for key in before if key not in given)])

    def make(self, mode: int = 0o600) -> bool:
        """Makes the file with one key, for its owner only, unless it is there. Whether it was made."""
        try:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        except FileExistsError:
            return False
        _write(descriptor, [secrets.token_bytes(32)])
        _sync_folder(self.path.parent)  # what is sealed with the key must not outlive it
        return True

    def add(self) -> None:
        """Puts a new key in front of the others; the file is there in full, before or after, at any moment."""
        self._replace([secrets.token_bytes(32), *self()])

    def _replace(self, keys: Sequence[bytes]) -> None:
        beside = self.path.with_suffix(".new")
        _write(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), keys)
        beside.replace(self.path)
        _sync_folder(self.path.parent)  # what is wrapped with the new key from now on must not outlive it


def key_file_of(settings: PlatformSettings) -> KeyFile | None:
    """The data folder's keys; None where the settings name the key."""
    return KeyFile(settings.data_dir / KEY_FILE) if settings.key_encryption_key is None else None


def sealer_of(settings: PlatformSettings, *, may_make: bool) -> Sealer:
    """The sealer of the keys in the settings, else of those in the data folder, where `may_make` makes one (0600).

    Raises SettingsError for a key that is missing or not 32 bytes.
    """
    if settings.key_encryption_key is not None:
        more = settings.key_encryption_keys_old
        others = [] if more is None else [text.strip() for text in more.get_secret_value().split(",") if text.strip()]
        return Sealer(
            _decoded(settings.key_encryption_key.get_secret_value(), MAIN), [_decoded(text, MORE) for text in others]
        )
    if not may_make:
        raise SettingsError(f"{MAIN}: missing; 32 random bytes in base64, the same for every service")
    if settings.key_encryption_keys_old is not None:
        raise SettingsError(f"{MORE}: set without {MAIN}; the data folder's own keys are in {KEY_FILE}")
    make_folder(settings.data_dir)
    file = KeyFile(settings.data_dir / KEY_FILE)
    file.make()
    return Sealer(file)


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _write(descriptor: int, keys: Sequence[bytes]) -> None:
    with os.fdopen(descriptor, "wb") as file:
        file.write(b"".join(base64.b64encode(key) + b"\n" for key in keys))
        file.flush()
        os.fsync(file.fileno())


def _decoded(text: str, name: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise SettingsError(f"{name}: not base64") from None
    if len(key) != 32:
        raise SettingsError(f"{name}: has {len(key)} bytes where 32 are needed")
    return key
