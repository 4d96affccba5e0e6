"""The command line of `nija optimize`. Everything else is imported when it runs, so that `nija --help` is quick."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nija_cli.backtest import arguments

EXAMPLE = (
    "Example: nija optimize --symbol BTC-USD --timeframe 1h --grid minimum_score=3,4 --grid stop_atr=1:2:0.5 "
    "--train 90d --test 30d --json search.json --html search.html"
)


def optimize(
    candles: arguments.CandleFiles = None,
    strategy: arguments.Strategy = "apex_v72",
    grid: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=V1,V2,…", help="Values of a parameter, or NAME=START:STOP:STEP; may be repeated."),
    ] = None,
    random: Annotated[
        int | None, typer.Option(metavar="N", help="Draw so many points, instead of all of a grid.")
    ] = None,
    span: Annotated[
        list[str] | None,
        typer.Option("--range", metavar="NAME=LOW:HIGH", help="With --random: draw a parameter from here; repeatable."),
    ] = None,
    seed: Annotated[int, typer.Option(help="With --random: the same seed draws the same points.")] = 1,
    train: Annotated[str | None, typer.Option(metavar="30d", help="Walk-forward: days to choose in (30d, 4w).")] = None,
    test: Annotated[str | None, typer.Option(metavar="7d", help="Walk-forward: days behind them to test in.")] = None,
    min_trades: Annotated[int, typer.Option(help="Fewer trades than this choose nothing.")] = 30,
    jobs: Annotated[int | None, typer.Option(help="Processes (default: one for each core).")] = None,
    state: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What is done, to go on from (default: beside the JSON).")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Run more than 1,000 points.")] = False,
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
) -> None:
    """Search a strategy's parameters, test what is chosen where it was not chosen, and say how much of it is luck."""
    from nija_cli.endings import told

    with told():
        from nija_cli.backtest.options import Options
        from nija_cli.backtest.run import Outputs
        from nija_cli.moments import moment_ms
        from nija_cli.optimize.run import run
        from nija_cli.optimize.search import Request

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
        request = Request(
            grids=tuple(grid or ()),
            ranges=tuple(span or ()),
            random=random,
            seed=seed,
            train=train,
            test=test,
            min_trades=min_trades,
            jobs=jobs,
            state=state,
            yes=yes,
        )
        run(options, request, Outputs(json, html))
