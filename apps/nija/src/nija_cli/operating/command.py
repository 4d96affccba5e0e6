"""The options of the commands for whoever runs the platform. Each does its imports when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nija_cli.endings import told
from nija_cli.options import DataDir

BACKUP_EXAMPLE = "Example: nija backup --to /backups/nija-2026-11-24.backup"
RESTORE_EXAMPLE = "Example: nija restore --from /backups/nija-2026-11-24.backup --data-dir /var/lib/nija"


def backup(
    to: Annotated[Path, typer.Option("--to", help="The file to write; it must not be there yet.")],
    data_dir: DataDir = None,
    with_key: Annotated[
        bool, typer.Option("--with-key", help="Put the folder's key-encryption key into the file, in the clear.")
    ] = False,
) -> None:
    """Copy the embedded platform into one file, while it runs or not: consistent, checked, whole or not there at all."""
    from nija_cli.operating import backup as work
    from nija_cli.process import run

    with told():
        run(work.back_up(data_dir, to, with_key=with_key))


def restore(
    source: Annotated[Path, typer.Option("--from", help="A file that `nija backup` wrote.")],
    data_dir: DataDir = None,
    force: Annotated[
        bool, typer.Option("--force", help="Also where there is a platform; its database is kept aside.")
    ] = False,
    halt: Annotated[bool, typer.Option("--halt", help="Start with the kill switch on: no bot trades.")] = False,
) -> None:
    """Put a backup into a data folder whose platform does not run. Everybody signs in anew afterwards."""
    from nija_cli.operating import restore as work
    from nija_cli.process import run

    with told():
        run(work.restore(source, data_dir, force=force, halt=halt))
