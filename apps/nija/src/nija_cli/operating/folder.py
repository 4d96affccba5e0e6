"""The data folder that a command works on, and what is in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nija_cli.endings import Failed
from nija_cli.environment import platform_settings, read_environment
from nija_common.runtime.infrastructure import DATABASE_FILE
from nija_common.runtime.key_encryption import KeyFile, key_file_of, sealer_of
from nija_common.runtime.settings import PlatformSettings
from nija_common.security.sealing import Sealer

ON_MONGODB = (
    "is for the data folder of `nija up`; MongoDB has tools of its own: see docs/decisions/backup-and-incarnation.md"
)


@dataclass(frozen=True, slots=True)
class Folder:
    """A data folder with its settings."""

    settings: PlatformSettings

    @property
    def path(self) -> Path:
        return self.settings.data_dir

    @property
    def database(self) -> Path:
        return self.path / DATABASE_FILE

    @property
    def key_file(self) -> KeyFile | None:
        """None where the settings name the key, or there is no such file."""
        file = key_file_of(self.settings)
        return None if file is None or not file.path.exists() else file

    def sealer(self) -> Sealer | None:
        """Of the keys that are known here; None where there are none. Makes no key."""
        if self.settings.key_encryption_key is None and self.key_file is None:
            return None
        return sealer_of(self.settings, may_make=True)


def folder_of(data_dir: Path | None, command: str) -> Folder:
    """Raises Failed where the settings are those of MongoDB, SettingsError for wrong ones."""
    settings = platform_settings(read_environment(), data_dir=data_dir)
    if (settings.store, settings.bus) != ("sqlite", "sqlite"):
        raise Failed(f"`nija {command}` {ON_MONGODB}")
    return Folder(settings)


def size_of(path: Path) -> str:
    """A file's size as a person reads it."""
    size = float(path.stat().st_size)
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
