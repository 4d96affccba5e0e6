"""The command line of `nija backtest`. Everything else is imported when it runs, so that `nija --help` is quick."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nija_cli.backtest import arguments

EXAMPLE = "Example: nija backtest --strategy ema_cross --fee 0.001 --candles BTC-USD_1h.csv.gz --html report.html"


def backtest(
    candles: arguments.CandleFiles = None,
    strategy: arguments.Strategy = "apex_v72",
    symbol: arguments.Symbols = None,
    timeframe: arguments.Timeframe = None,
    folder: arguments.Folder = None,
    cash: arguments.Cash = 10_000.0,
    fee: arguments.Fee = None,
    since: arguments.Since = None,
    until: arguments.Until = None,
    risk_profile: arguments.RiskProfile = None,
    max_position_usd: arguments.MaxPositionUsd = None,
    max_positions: arguments.MaxPositions = None,
    max_daily_loss_usd: arguments.MaxDailyLossUsd = None,
    max_daily_trades: arguments.MaxDailyTrades = None,
    broker: arguments.Broker = "coinbase",
    slippage: arguments.Slippage = None,
    param: arguments.Params = None,
    json: arguments.Json = None,
    html: arguments.Html = None,
    compare: Annotated[
        tuple[Path, Path] | None, typer.Option(metavar="A.json B.json", help="Show two runs beside each other.")
    ] = None,
) -> None:
    """Run a strategy over candles of the past and show what it would have made."""
    from nija_cli.endings import told
    from nija_common.collector import collector_at_rest

    # Looking for cycles among all that is imported and run costs a tenth of so short a process.
    with told(), collector_at_rest():
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
