"""The command line of `nija backtest`. Everything else is imported when it runs, so that `nija --help` is quick."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

EXAMPLE = "Example: nija backtest --strategy ema_cross --fee 0.001 --candles BTC-USD_1h.csv.gz --html report.html"


def backtest(
    candles: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="Candle file, CSV (.gz) or Parquet; one for each symbol.")
    ] = None,
    strategy: Annotated[str, typer.Option(help="apex_v72, ema_cross, or PATH.py with one of your own.")] = "apex_v72",
    symbol: Annotated[
        list[str] | None, typer.Option(help="Symbol of each file, in order; without --candles, of the folder's files.")
    ] = None,
    timeframe: Annotated[str | None, typer.Option(help="1m, 5m, 1h, … where the file's name does not say.")] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Folder of candle files (NIJA_CANDLES, default DATA_DIR/candles).")
    ] = None,
    cash: Annotated[float, typer.Option(help="Cash at the start, in the quote currency.")] = 10_000.0,
    fee: Annotated[float | None, typer.Option(help="Both fees as a fraction (0.001 is 0.1 %).")] = None,
    since: Annotated[str | None, typer.Option("--from", help="First day (UTC), or moment.")] = None,
    until: Annotated[str | None, typer.Option("--to", help="Day (UTC), or moment, before which it ends.")] = None,
    risk_profile: Annotated[str | None, typer.Option(help="apex_v72: low, medium (default) or high.")] = None,
    max_position_usd: Annotated[float | None, typer.Option(help="apex_v72: largest position.")] = None,
    max_positions: Annotated[int | None, typer.Option(help="apex_v72: most positions at once.")] = None,
    max_daily_loss_usd: Annotated[float | None, typer.Option(help="apex_v72: loss that ends a day's entries.")] = None,
    max_daily_trades: Annotated[int | None, typer.Option(help="apex_v72: most entries a day.")] = None,
    broker: Annotated[str, typer.Option(help="Whose fees and minimums: coinbase or kraken.")] = "coinbase",
    slippage: Annotated[
        float | None, typer.Option(help="What a market order fills worse, a fraction (default 0.0005; signals: 0).")
    ] = None,
    param: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="A constant of the strategy; may be repeated.")
    ] = None,
    json: Annotated[
        str | None, typer.Option(metavar="OUT", help="Write all of it as JSON; - is standard output.")
    ] = None,
    html: Annotated[
        str | None, typer.Option(metavar="OUT", help="Write a report to look at; - is standard output.")
    ] = None,
    compare: Annotated[
        tuple[Path, Path] | None, typer.Option(metavar="A.json B.json", help="Show two runs beside each other.")
    ] = None,
) -> None:
    """Run a strategy over candles of the past and show what it would have made."""
    from nija_cli.endings import told

    with told(), _uncollected():
        if compare is not None:
            from nija_cli.backtest.compare import compare_files

            compare_files(*compare)
            return
        from nija_cli.backtest.options import Options
        from nija_cli.backtest.run import Outputs, run
        from nija_cli.moments import moment_ms

        options = Options(
            strategy=strategy,
            candles=tuple(candles or ()),
            folder=folder,
            symbols=tuple(symbol or ()),
            timeframe=timeframe,
            from_ms=None if since is None else moment_ms(since, "--from"),
            to_ms=None if until is None else moment_ms(until, "--to"),
            cash=cash,
            broker=broker,
            fee=fee,
            slippage=slippage,
            risk_profile=risk_profile,
            max_position_usd=max_position_usd,
            max_positions=max_positions,
            max_daily_loss_usd=max_daily_loss_usd,
            max_daily_trades=max_daily_trades,
            params=tuple(param or ()),
        )
        run(options, Outputs(json, html))


@contextmanager
def _uncollected() -> Iterator[None]:
    """Looking for cycles among all that is imported and run costs a tenth of so short a process, and frees nothing."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
