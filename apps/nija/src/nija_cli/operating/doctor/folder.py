"""The data folder of the embedded platform: space, sizes, rights, and whether a platform is at work on it."""

from __future__ import annotations

import shutil
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

from nija_cli.operating.doctor.findings import Finding, fail, ok, warn
from nija_cli.operating.doctor.progress import Waiting
from nija_cli.operating.folder import size_of
from nija_cli.operating.schema import embedded_differences
from nija_common.bus import sqlite_log
from nija_common.events.topics import Topic
from nija_common.runtime.infrastructure import DATABASE_FILE
from nija_common.runtime.key_encryption import KEY_FILE
from nija_common.runtime.manifest import Service
from nija_common.runtime.settings import PlatformSettings
from nija_common.storage.sqlite_backup import incarnation_of
from nija_common.storage.sqlite_engine import CHECKPOINT_BYTES
from nija_common.storage.sqlite_lock import holder_of

AREA = "folder"
LITTLE_BYTES, TOO_LITTLE_BYTES = 1_000_000_000, 100_000_000


async def folder_findings(settings: PlatformSettings) -> list[Finding]:
    """Of a folder that has a database."""
    folder, database = settings.data_dir, settings.data_dir / DATABASE_FILE
    holder = holder_of(database)
    running = "nothing runs on it" if holder is None else f"a platform runs on it (pid {holder})"
    size = f"{size_of(database)}, incarnation {incarnation_of(database)}"
    return [
        ok(AREA, f"{folder}: {size}; {running}"),
        _space(folder),
        _log_size(database),
        *_rights(folder, settings),
    ]


async def due_findings(settings: PlatformSettings) -> list[Finding]:
    """What the start of the platform would change in its file."""
    found = embedded_differences(settings.data_dir / DATABASE_FILE)
    due = [line for line in found if not line.endswith("declared by nobody")]
    lines = [warn("schema", line, "`nija up` does it at its start, `nija migrate` now") for line in due]
    lines += [warn("schema", line, "another version left it; it does no harm") for line in found if line not in due]
    return lines or [ok("schema", "topics, collections and indexes are as declared")]


def waiting_of(settings: PlatformSettings) -> Waiting:
    """How many records a service has not applied: counted, since offsets on this log may leap (`sqlite_backup.renew`)."""
    uri = f"{(settings.data_dir / DATABASE_FILE).absolute().as_uri()}?mode=ro"

    async def waiting(service: Service, group: str, topic: Topic) -> int:
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            return sqlite_log.waiting(connection, service.name, group, topic.name)

    return waiting


def _space(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    text = f"{free / 1e9:.1f} GB are free on its disk"
    if free < TOO_LITTLE_BYTES:
        return fail(AREA, text, "make room: without it nothing can be committed")
    return warn(AREA, text, "make room before it is full") if free < LITTLE_BYTES else ok(AREA, text)


def _log_size(database: Path) -> Finding:
    wal = database.with_name(database.name + "-wal")
    size = wal.stat().st_size if wal.exists() else 0
    text = f"the write-ahead log has {size / 1e6:.1f} MB"
    if size > 4 * CHECKPOINT_BYTES:
        return warn(AREA, text, "some program keeps the file open for reading; end it, and the log shrinks")
    return ok(AREA, text)


def _rights(folder: Path, settings: PlatformSettings) -> list[Finding]:
    found = [
        warn(AREA, f"{path.name} can be read by others", f"chmod 600 {path}")
        for path in (folder / KEY_FILE, folder / DATABASE_FILE)
        if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077
    ]
    if settings.key_encryption_key is None and not (folder / KEY_FILE).exists():
        found.append(fail(AREA, f"{KEY_FILE} is missing", "put it back from where you keep it: stored secrets need it"))
    return found
