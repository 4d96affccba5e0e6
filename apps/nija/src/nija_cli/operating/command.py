"""The options of the commands for whoever runs the platform. Each does its imports when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nija_cli.endings import WrongUsage, told
from nija_cli.options import DataDir

BACKUP_EXAMPLE = "Example: nija backup --to /backups/nija-2026-11-24.backup"
RESTORE_EXAMPLE = "Example: nija restore --from /backups/nija-2026-11-24.backup --data-dir /var/lib/nija"

DOCTOR_EXAMPLE = "Example: nija doctor --data-dir /var/lib/nija"
MIGRATE_EXAMPLE = "Example: NIJA_STORE=mongodb NIJA_BUS=kafka … nija migrate --check"
REPUBLISH_EXAMPLE = "Example: nija republish billing subscriptions --user usr_01jk…"


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


def migrate(
    data_dir: DataDir = None,
    check: Annotated[bool, typer.Option("--check", help="Show what differs, change nothing; status 1 if any.")] = False,
    new_incarnation: Annotated[
        bool, typer.Option("--new-incarnation", help="After MongoDB was restored from a backup, before services start.")
    ] = False,
) -> None:
    """Make topics, collections and indexes. Running it again changes nothing."""
    from nija_cli import maintenance
    from nija_cli.operating import schema
    from nija_cli.process import run

    with told():
        if check and new_incarnation:
            raise WrongUsage("--check changes nothing; give one of --check and --new-incarnation")
        if check:
            run(schema.show_differences(data_dir))
            return
        run(maintenance.make_schema(data_dir))
        if new_incarnation:
            run(schema.begin_incarnation(data_dir))


def republish(
    service: Annotated[str, typer.Argument(help="The owner: auth, billing, accounts or trading-engine.")],
    topic: Annotated[str, typer.Argument(help="Its state topic: users, subscriptions, settings or controls.")],
    user: Annotated[str | None, typer.Option("--user", help="Of this user alone.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Of everybody.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Let an owner tell the present state of its entities again, each with the next revision."""
    from nija_cli.operating import republish as work
    from nija_cli.process import run

    with told():
        if everything == (user is not None):
            raise WrongUsage("give one of --user U and --all")
        run(work.tell_again(service, topic, user, data_dir))


def doctor(
    data_dir: DataDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
    exchanges: Annotated[bool, typer.Option("--exchanges", help="Ask the exchanges too whether they answer.")] = False,
) -> None:
    """Look whether all is well: settings, what can be reached, what lags. Changes nothing; status 1 if something failed."""
    from nija_cli.operating.doctor.run import examine
    from nija_cli.process import run

    with told():
        run(examine(data_dir, as_json=as_json, exchanges=exchanges))
