"""The commands and their options. Each does its imports when it runs, so `--help` is quick."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from nija_cli.backtest import command as backtest_command
from nija_cli.data import command as data_command
from nija_cli.endings import WrongUsage, told
from nija_cli.operating import command as operating_command
from nija_cli.optimize import command as optimize_command
from nija_cli.options import DataDir

app = typer.Typer(
    name="nija",
    help="NIJA: trading bots for many users. Start with: nija up --demo",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command(epilog=backtest_command.EXAMPLE)(backtest_command.backtest)
app.command(epilog=optimize_command.EXAMPLE)(optimize_command.optimize)
app.add_typer(data_command.app, name="data")
app.command(epilog=operating_command.MIGRATE_EXAMPLE)(operating_command.migrate)
app.command(epilog=operating_command.BACKUP_EXAMPLE)(operating_command.backup)
app.command(epilog=operating_command.RESTORE_EXAMPLE)(operating_command.restore)
app.command(epilog=operating_command.DOCTOR_EXAMPLE)(operating_command.doctor)
app.command(epilog=operating_command.REPUBLISH_EXAMPLE)(operating_command.republish)
admin = typer.Typer(help="Look after accounts, keys and the audit log.", no_args_is_help=True)
parked = typer.Typer(help="Events that a consumer could not handle.", no_args_is_help=True)
app.add_typer(admin, name="admin")
app.add_typer(parked, name="parked")


class Market(StrEnum):
    """Where candles come from."""

    LIVE = "live"
    REPLAY = "replay"


@app.command(epilog="Example: nija up --market replay --speed 3600 --demo")
def up(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8000,
    data_dir: DataDir = None,
    market: Annotated[Market | None, typer.Option(help="Where candles come from (NIJA_MARKET).")] = None,
    candles: Annotated[Path | None, typer.Option(help="Folder of candle files for replay (NIJA_CANDLES).")] = None,
    speed: Annotated[float | None, typer.Option(help="Replay: times real time (NIJA_SPEED).")] = None,
    demo: Annotated[bool, typer.Option("--demo", help="Bundled candles and a demo user with a running bot.")] = False,
) -> None:
    """Start the whole platform in this process."""
    from nija_cli import up as command
    from nija_cli.process import run

    options = command.Options(
        host=host,
        port=port,
        data_dir=data_dir,
        market=market.value if market else None,
        candles=candles,
        speed=speed,
        demo=demo,
    )
    run(command.up(options))


@app.command(epilog="Example: NIJA_STORE=mongodb NIJA_BUS=kafka … nija serve gateway --port 8000")
def serve(
    name: Annotated[str, typer.Argument(help="gateway, auth, trading-engine, trading-worker, accounts, …")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 0,
    shared_port: Annotated[
        bool, typer.Option("--shared-port", help="Others may listen there too: one process for each core.")
    ] = False,
) -> None:
    """Start one service in this process, wired by settings."""
    from nija_cli import serve as command
    from nija_cli.process import run

    run(command.serve(name, host, port, shared_port=shared_port))


@admin.command(
    "create", epilog="Example: echo 'a-long-password' | nija admin create --email me@example.com --password-stdin"
)
def admin_create(
    email: Annotated[str, typer.Option(help="E-mail address of the administrator.")],
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Make an administrator, or make an existing account one; before or while the platform runs."""
    from nija_cli import maintenance as command
    from nija_cli.process import run

    if password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    run(command.create_administrator(email, password, data_dir))


@admin.command("create-key", epilog="Example: nija admin create-key --file /keys/key-encryption.key")
def admin_create_key(
    file: Annotated[Path, typer.Option(help="Where NIJA_KEY_ENCRYPTION_KEY_FILE will point.")],
) -> None:
    """Make a key-encryption key in a file that its owner alone can read (0400), unless there is one."""
    from nija_cli import maintenance as command
    from nija_cli.endings import told

    with told():
        command.create_key(file)


@admin.command("verify-audit", epilog="Example: nija admin verify-audit")
def admin_verify_audit(data_dir: DataDir = None) -> None:
    """Check that no row of the audit log was changed, removed, inserted or moved; before or while the platform runs."""
    from nija_cli import audit as command
    from nija_cli.process import run

    run(command.verify_audit(data_dir))


@admin.command("rotate-keys", epilog="Example: nija admin rotate-keys")
def admin_rotate_keys(data_dir: DataDir = None) -> None:
    """Put every stored secret under the current key-encryption key, while the platform runs."""
    from nija_cli import rotation as command
    from nija_cli.process import run

    run(command.rotate_keys(data_dir))


@parked.command("list", epilog="Example: nija parked list")
def parked_list(data_dir: DataDir = None) -> None:
    """Show which keys are parked, of which consumer, and why."""
    from nija_cli import parked as command
    from nija_cli.process import run

    run(command.show_keys(data_dir))


@parked.command("show", epilog="Example: nija parked show analytics usr_01jk…")
def parked_show(
    service: Annotated[str, typer.Argument(help="The consuming service.")],
    key: Annotated[str, typer.Argument(help="The key, as `nija parked list` shows it.")],
    data_dir: DataDir = None,
) -> None:
    """Show the events of a parked key, without their payloads."""
    from nija_cli import parked as command
    from nija_cli.process import run

    run(command.show_events(service, key, data_dir))


@parked.command("replay", epilog="Example: nija parked replay analytics usr_01jk…")
def parked_replay(
    service: Annotated[str, typer.Argument(help="The consuming service.")],
    key: Annotated[str | None, typer.Argument(help="The key, as `nija parked list` shows it.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every parked key of the service.")] = False,
    skip: Annotated[
        list[int] | None, typer.Option(help="Pass over the event of this number (see `show`): it never takes effect.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Handle the events of a parked key again, in order, and release it."""
    from nija_cli import parked as command
    from nija_cli.process import run

    with told():
        if everything == (key is not None) or (everything and skip):
            raise WrongUsage("give a key, with or without --skip, or --all")
        run(command.replay(service, key, skip or (), data_dir))


def main() -> None:
    """Entry point: status 0 done, 1 failed with the reason, 2 wrong usage."""
    app()
