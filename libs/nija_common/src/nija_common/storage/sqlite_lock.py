"""One platform a data folder: a lock file that the operating system frees when its holder dies.

Not a lease: it protects a file of this machine against a second process of this machine.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import TracebackType
from typing import IO

from nija_common.errors import SettingsError

if sys.platform == "win32":
    import msvcrt

    def _try_lock(file: IO[str]) -> bool:
        # Byte 4096 lies behind the text, so that others can still read the holder's pid.
        file.seek(4096)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    def _try_lock(file: IO[str]) -> bool:
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True


def holder_of(database: Path) -> int | None:
    """The process that has the folder; None if none has. Looking takes the lock for an instant."""
    path = database.with_name(database.name + ".lock")
    if not path.exists():
        return None
    with path.open("r+", encoding="utf-8") as file:
        if _try_lock(file):
            return None
        file.seek(0)
        written = file.read(32).strip()
        return int(written) if written.isdigit() else 0


class FolderLock:
    """Held from enter to exit. Entering raises SettingsError, naming folder and pid, if another process holds it."""

    def __init__(self, database: Path) -> None:
        self._path = database.with_name(database.name + ".lock")
        self._file: IO[str] | None = None

    def __enter__(self) -> FolderLock:
        file = self._path.open("a+", encoding="utf-8")
        if not _try_lock(file):
            file.seek(0)
            holder = file.read(32).strip() or "unknown"
            file.close()
            raise SettingsError(
                f"The data folder {self._path.parent} is in use by another nija process (pid {holder}). "
                "Stop it, or choose another folder."
            )
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
        self._file = file
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
