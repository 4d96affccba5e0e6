"""Options that `nija backtest` and `nija optimize` share: the candles, the strategy, the account, its costs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

CandleFiles = Annotated[
    list[Path] | None, typer.Option(metavar="FILE", help="Candle file, CSV (.gz) or Parquet; one for each symbol.")
]
Strategy = Annotated[str, typer.Option(help="apex_v72, ema_cross, or PATH.py with one of your own.")]
Symbols = Annotated[
    list[str] | None, typer.Option(help="Symbol of each file, in order; without --candles, of the folder's files.")
]
Timeframe = Annotated[str | None, typer.Option(help="1m, 5m, 1h, … where the file's name does not say.")]
Folder = Annotated[Path | None, typer.Option(help="Folder of candle files (NIJA_CANDLES, default DATA_DIR/candles).")]
Cash = Annotated[float, typer.Option(help="Cash at the start, in the quote currency.")]
Fee = Annotated[float | None, typer.Option(help="Both fees as a fraction (0.001 is 0.1 %).")]
Since = Annotated[str | None, typer.Option("--from", help="First day (UTC), or moment.")]
Until = Annotated[str | None, typer.Option("--to", help="Day (UTC), or moment, before which it ends.")]
RiskProfile = Annotated[str | None, typer.Option(help="apex_v72: low, medium (default) or high.")]
MaxPositionUsd = Annotated[float | None, typer.Option(help="apex_v72: largest position.")]
MaxPositions = Annotated[int | None, typer.Option(help="apex_v72: most positions at once.")]
MaxDailyLossUsd = Annotated[float | None, typer.Option(help="apex_v72: loss that ends a day's entries.")]
MaxDailyTrades = Annotated[int | None, typer.Option(help="apex_v72: most entries a day.")]
Broker = Annotated[str, typer.Option(help="Whose fees and minimums: coinbase or kraken.")]
Slippage = Annotated[
    float | None, typer.Option(help="What a market order fills worse, a fraction (default 0.0005; signals: 0).")
]
Params = Annotated[
    list[str] | None, typer.Option(metavar="NAME=VALUE", help="A constant of the strategy; may be repeated.")
]
Json = Annotated[str | None, typer.Option(metavar="OUT", help="Write all of it as JSON; - is standard output.")]
Html = Annotated[str | None, typer.Option(metavar="OUT", help="Write a report to look at; - is standard output.")]
