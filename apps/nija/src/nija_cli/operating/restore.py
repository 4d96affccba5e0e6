"""`nija restore`: a backup becomes the data folder's database, with a new incarnation.

Everything is done to a copy in a folder beside the database; the last step, one rename, puts it into its place. Up to
there the old database is untouched, and killed at any moment the command leaves it, or the whole new one.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

from nija_auth.handlers.restored import end_everything
from nija_cli.endings import Failed
from nija_cli.maintenance import opened
from nija_cli.operating.folder import Folder, folder_of, size_of
from nija_common.runtime.infrastructure import DATABASE_FILE, make_folder
from nija_common.runtime.key_encryption import KEY_FILE, KeyFile
from nija_common.security.sealing import Sealer
from nija_common.storage import sqlite_backup
from nija_common.storage.incarnations import next_incarnation
from nija_common.storage.sqlite_backup import BackupInfo, NotABackup
from nija_common.storage.sqlite_lock import FolderLock
from nija_common.values.times import iso
from nija_trading.handlers.audit import Actor
from nija_trading.handlers.controls import TripSwitch, trip_switch

STAGING = ".restoring"


async def restore(source: Path, data_dir: Path | None, *, force: bool, halt: bool) -> None:
    """`nija restore`. Raises Failed, OSError, SettingsError."""
    folder = folder_of(data_dir, "restore")
    info = _inspected(source)
    make_folder(folder.path)
    with FolderLock(folder.database):
        if folder.database.exists() and not force:
            raise Failed(
                f"there is a platform in {folder.path}; --force puts the backup in its place, and keeps it aside"
            )
        _check_keys(folder, info)
        incarnation = next_incarnation(
            info.incarnation, sqlite_backup.incarnation_of(folder.database) if folder.database.exists() else None
        )
        staging = folder.path / STAGING
        _remove(staging)
        try:
            staged = _staged(folder, staging, source, info, incarnation)
            ended = await _made_fit(staging, halt)
            _check_closed(staged)
            if info.keys:
                KeyFile(folder.path / KEY_FILE).put_first(info.keys)
            aside = _put_in_place(staged, folder.database)
        finally:
            _remove(staging)
    _tell(folder, source, info, incarnation, ended, aside, halt)


def _inspected(source: Path) -> BackupInfo:
    if not source.is_file():
        raise Failed(f"{source}: there is no such file")
    try:
        return sqlite_backup.inspect(source)
    except NotABackup as error:
        raise Failed(f"{source} cannot be restored: {error}") from None


def _check_keys(folder: Folder, info: BackupInfo) -> None:
    """Without the key that sealed them, the secrets in the backup, auth's signing keys among them, are lost."""
    if info.keys or not info.key_ids:
        return
    sealer: Sealer | None = folder.sealer()
    if sealer is None or info.key_ids[0] not in sealer.key_ids:
        raise Failed(
            f"the secrets in the backup are sealed with the key {info.key_ids[0]}, which is not known here: put the"
            f" {KEY_FILE} of that platform into {folder.path}, or set NIJA_KEY_ENCRYPTION_KEY"
        )


def _staged(folder: Folder, staging: Path, source: Path, info: BackupInfo, incarnation: int) -> Path:
    """The backup as a database that can be opened, in a folder of its own with the keys."""
    staging.mkdir(mode=0o700)
    staged = staging / DATABASE_FILE
    descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as target, source.open("rb") as given:
        shutil.copyfileobj(given, target, 1 << 20)
    sqlite_backup.renew(staged, incarnation)
    if folder.key_file is not None:
        shutil.copy2(folder.key_file.path, staging / KEY_FILE)
    if info.keys:
        KeyFile(staging / KEY_FILE).put_first(info.keys)
    return staged


async def _made_fit(staging: Path, halt: bool) -> int:
    """Brings the schema up to date, ends every session, trips the kill switch if that is wanted; how many sessions."""
    async with opened("auth", staging) as (auth, _):
        ended = await end_everything(auth.deps)
    if halt:
        trip = TripSwitch("Restored from a backup", close_positions=False, notify_users=False, by=Actor("restore"))
        async with opened("trading-engine", staging) as (trading, _):
            await trading.work.run(trip_switch, trading.deps, trip)
    return ended


def _check_closed(staged: Path) -> None:
    """What is moved is one file: SQLite has folded its log into it when the last connection closed."""
    if staged.with_name(staged.name + "-wal").exists():
        raise Failed(f"{staged} is still open somewhere; nothing was restored")
    _durable(staged)


def _put_in_place(staged: Path, database: Path) -> Path | None:
    """One rename; where the old database went, if there was one."""
    aside = _set_aside(database) if database.exists() else None
    staged.replace(database)
    _durable(database.parent)
    return aside


def _set_aside(database: Path) -> Path:
    """Gives the old database a second name. Its log belongs to it and must not meet the new one."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(database, isolation_level=None)) as connection:
        # Closing folds the log into the file; of a broken one both are kept as they are.
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    moment = datetime.fromtimestamp(time.time(), UTC).strftime("%Y%m%dT%H%M%S%fZ")
    aside = database.with_name(f"{database.name}.before-restore-{moment}")
    for ending in ("", "-wal"):
        old = database.with_name(database.name + ending)
        if old.exists():
            _second_name(old, aside.with_name(aside.name + ending))
    _durable(database.parent)
    for ending in ("-wal", "-shm"):
        database.with_name(database.name + ending).unlink(missing_ok=True)
    return aside


def _second_name(old: Path, new: Path) -> None:
    try:
        os.link(old, new)
    except OSError:  # a file system without hard links
        shutil.copy2(old, new)
        _durable(new)


def _durable(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(staging: Path) -> None:
    if staging.exists():
        shutil.rmtree(staging)


def _tell(
    folder: Folder, source: Path, info: BackupInfo, incarnation: int, ended: int, aside: Path | None, halt: bool
) -> None:
    print(f"{folder.path} is as it was at {iso(info.taken_at_ms)} ({size_of(source)}, {info.records} events)")
    print(
        f"incarnation {incarnation} (the backup's was {info.incarnation}): what is told from now on is newer than all before"
    )
    print(f"{ended} sessions have ended: everybody signs in anew")
    if halt:
        print("the kill switch is on: no bot trades until an administrator lifts it")
    else:
        print("bots go on as they were then (--halt starts with trading stopped)")
    if aside is not None:
        print(f"the database of before is {aside}")
