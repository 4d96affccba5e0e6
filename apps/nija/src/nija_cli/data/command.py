"""The command lines of `nija data`. Everything else is imported when one runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Candle files: fetch them from exchanges, list and check them.", no_args_is_help=True, rich_markup_mode=None
)

Folder = Annotated[Path | None, typer.Option(help="Folder of candle files (NIJA_CANDLES, default DATA_DIR/candles).")]


@app.command(epilog="Example: nija data download --exchange kraken --symbol BTC-USD --timeframe 1h --from 2024-01-01")
def download(
    symbol: Annotated[list[str], typer.Option(help="Market, such as BTC-USD; may be repeated.")],
    exchange: Annotated[str, typer.Option(help="Any exchange that ccxt knows.")] = "coinbase",
    timeframe: Annotated[str, typer.Option(help="1m, 5m, 1h, 1d, …")] = "1h",
    since: Annotated[
        str | None, typer.Option("--from", help="First day (UTC); not needed where a file is only to go on.")
    ] = None,
    until: Annotated[str | None, typer.Option("--to", help="Day (UTC) before which it ends; default: now.")] = None,
    folder: Folder = None,
    parquet: Annotated[bool, typer.Option("--parquet", help="Write Parquet instead of CSV.")] = False,
    base_url: Annotated[str | None, typer.Option(help="Where the exchange is, instead of its own address.")] = None,
) -> None:
    """Fetch public candles. What was fetched is kept after Ctrl-C or a kill: the same command goes on there."""
    from nija_cli.endings import told

    with told():
        from nija_cli.data.download import Order, download
        from nija_cli.data.folder import candle_folder
        from nija_cli.moments import moment_ms

        download(
            Order(
                exchange=exchange,
                symbols=tuple(symbol),
                timeframe=timeframe,
                from_ms=None if since is None else moment_ms(since, "--from"),
                to_ms=None if until is None else moment_ms(until, "--to"),
                folder=candle_folder(folder),
                parquet=parquet,
                base_url=base_url,
            )
        )


@app.command(epilog="Example: nija data check candles/BTC-USD_1h.csv.gz")
def check(
    path: Annotated[Path, typer.Argument(help="A candle file, or a folder of them.")],
    timeframe: Annotated[str | None, typer.Option(help="Of a file whose name does not say.")] = None,
) -> None:
    """Look for broken rows, repeated times, gaps, stretches without volume. Status 1: a file cannot be used."""
    from nija_cli.endings import told

    with told():
        from nija_cli.data.check import check

        check(path, timeframe)


@app.command("list", epilog="Example: nija data list --folder candles")
def list_files(folder: Folder = None) -> None:
    """Show the files of the folder: symbol, timeframe, from, to, rows, gaps."""
    from nija_cli.endings import told

    with told():
        from nija_cli.data.folder import candle_folder
        from nija_cli.data.listing import show

        show(candle_folder(folder))
