"""What a run says in the terminal: one table of its figures, and what it was set to."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from nija_cli.backtest.document import Finished
from nija_cli.backtest.figures import equity_pct
from nija_cli.moments import amount, per_cent
from nija_common.values.times import iso
from nija_trading.domain.matching.money import as_float

Row = tuple[str, str]


def show(run: Finished, console: Console) -> None:
    """Prints the run."""
    title = Text(f"{run.result.strategy} on {', '.join(run.result.symbols)}, {run.timeframe}")
    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for section in sections(run):
        for name, value in section:
            table.add_row(Text(name), Text(value))
        table.add_section()
    console.print(table)
    for line in notes(run):
        console.print(Text(line))


def sections(run: Finished) -> tuple[list[Row], ...]:
    """The figures in groups: of the candles, of the money, of the trades."""
    return _run_rows(run), _money_rows(run), _trade_rows(run)


def notes(run: Finished) -> list[str]:
    """What one has to know to read the figures."""
    settings = run.settings
    costs = f"fees {settings['fee_taker']:.2%} taker, {settings['fee_maker']:.2%} maker, slippage {settings['slippage']:.2%}"
    found = [f"Costs: {costs}."]
    held = run.result.open_trades
    if held:
        names = ", ".join(trade.symbol for trade in held)
        found.append(f"Still open at the end: {names}; valued at the last close, in no figure of trades.")
    if not run.result.trades:
        found.append("No trade was closed.")
    return found


def _run_rows(run: Finished) -> list[Row]:
    first = min(int(candles.time_ms[0]) for candles in run.feeds.values())
    last = max(int(candles.time_ms[-1]) for candles in run.feeds.values())
    speed = run.result.bars / run.seconds if run.seconds > 0 else 0.0
    return [
        ("candles", f"{run.result.bars:,}"),
        ("from", iso(first)),
        ("to", iso(last)),
        ("took", f"{run.seconds:.3f} s ({speed:,.0f} candles/s)"),
    ]


def _money_rows(run: Finished) -> list[Row]:
    figures = run.figures
    performance = figures.performance
    return [
        ("cash at the start", amount(as_float(run.result.cash))),
        ("final equity", amount(as_float(run.result.final_equity))),
        ("return", per_cent(equity_pct(run.result))),
        ("market, bought and held", per_cent(None if figures.market is None else 100 * figures.market)),
        ("deepest fall at closes", per_cent(100 * figures.drawdown_at_closes)),
        ("deepest fall of closed trades", per_cent(performance.drawdown.pct)),
        ("fees of closed trades", amount(as_float(performance.total_fees))),
        ("Sharpe ratio (daily, a year)", _ratio(performance.sharpe_ratio)),
    ]


def _trade_rows(run: Finished) -> list[Row]:
    performance = run.figures.performance
    won = "-" if performance.win_rate is None else f"{performance.win_rate:.1%}"
    held = performance.avg_duration_minutes
    return [
        ("orders filled", f"{run.result.orders:,}"),
        ("trades closed", f"{performance.total_trades:,}"),
        ("won", f"{performance.winning_trades:,} ({won})"),
        ("net profit of closed trades", amount(as_float(performance.net_pnl))),
        ("profit factor", _ratio(performance.profit_factor)),
        ("average win", _money(performance.avg_win)),
        ("average loss", _money(performance.avg_loss)),
        ("average hold", "-" if held is None else f"{held / 60:,.1f} h"),
    ]


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _money(value: float | None) -> str:
    return "-" if value is None else amount(value / 1e8)
