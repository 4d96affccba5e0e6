"""`nija backup`: the embedded platform in one file, while it runs or not.

The file appears whole, under its name, or not at all. Exports (`files/`) and mail are not in it: both are made again, or
have been sent. The key-encryption key is not in it either, unless it is asked for.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from importlib.metadata import version
from pathlib import Path

from nija_cli.endings import Failed
from nija_cli.operating.folder import Folder, folder_of, size_of
from nija_common.runtime.key_encryption import KEY_FILE
from nija_common.storage.sqlite_backup import BackupInfo, NotABackup, take
from nija_common.values.times import iso

BUSY_S = 10.0


async def back_up(data_dir: Path | None, target: Path, *, with_key: bool) -> None:
    """`nija backup`. Raises Failed, OSError, SettingsError."""
    folder = folder_of(data_dir, "backup")
    _check_places(folder, target)
    info = await _written(folder, target, _description(folder, with_key))
    print(
        f"{target}: {size_of(target)}, incarnation {info.incarnation}, {info.records} events, {iso(info.taken_at_ms)}"
    )
    if info.keys:
        print("the key-encryption key is in it: keep the file as you keep the key")
    elif folder.key_file is not None:
        print(f"the key that opens its secrets is not in it: keep a copy of {folder.path / KEY_FILE} elsewhere")
    else:
        print("the key that opens its secrets is not in it: keep NIJA_KEY_ENCRYPTION_KEY elsewhere")


def _check_places(folder: Folder, target: Path) -> None:
    if not folder.database.is_file():
        raise Failed(f"there is no platform in {folder.path}")
    if target.exists():
        raise Failed(f"{target} is there already; give another name")
    if not target.parent.is_dir():
        raise Failed(f"{target.parent}: there is no such folder")


def _description(folder: Folder, with_key: bool) -> BackupInfo:
    sealer, file = folder.sealer(), folder.key_file
    if with_key and file is None:
        raise Failed("--with-key: the key is not in the data folder; keep NIJA_KEY_ENCRYPTION_KEY where it is")
    return BackupInfo(
        taken_at_ms=round(time.time() * 1000),
        version=version("nija"),
        key_ids=() if sealer is None else sealer.key_ids,
        keys=file.lines() if with_key and file is not None else (),
    )


async def _written(folder: Folder, target: Path, info: BackupInfo) -> BackupInfo:
    """Written beside its place and moved there once it is checked; whatever happens, nothing unfinished stays."""
    for left in target.parent.glob(f".{target.name}.*.unfinished"):
        left.unlink()  # of one that was killed
    unfinished = target.with_name(f".{target.name}.{secrets.token_hex(4)}.unfinished")
    os.close(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        uri = f"{folder.database.absolute().as_uri()}?mode=rw"
        with (
            closing(
                sqlite3.connect(uri, uri=True, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
            ) as source,
            _stopped_by_signals(source),
        ):
            found = await asyncio.to_thread(take, source, unfinished, info)
        unfinished.replace(target)
        _keep_name(target.parent)
        return found
    except (sqlite3.Error, NotABackup) as error:
        raise Failed(f"nothing was backed up: {folder.database}: {error}") from None
    finally:
        for rest in target.parent.glob(f"{unfinished.name}*"):
            rest.unlink()


@contextmanager
def _stopped_by_signals(connection: sqlite3.Connection) -> Iterator[None]:
    """SIGTERM and SIGINT break the copying off, so that what was written is removed."""
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM)
    with suppress(NotImplementedError):  # Windows
        for number in numbers:
            loop.add_signal_handler(number, connection.interrupt)
    try:
        yield
    finally:
        with suppress(NotImplementedError):
            for number in numbers:
                loop.remove_signal_handler(number)


def _keep_name(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
