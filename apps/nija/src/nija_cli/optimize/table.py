"""What a search says in the terminal: the best trials, the walk-forward, and in words what it is worth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from nija_cli.moments import per_cent
from nija_cli.optimize.document import figures_of, joined_figures, ranked
from nija_cli.optimize.search import Found
from nija_cli.optimize.walk_forward import sides

SHOWN = 10
"""Trials in the terminal; the others are in the JSON and the report."""
COLUMNS = ("trades", "expectancy", "over its error", "return", "deepest fall", "Sharpe, a year")


def show(found: Found, console: Console) -> None:
    """Prints the search."""
    for table in tables(found):
        console.print(table)
    for line in notes(found):
        console.print(Text(line))


def tables(found: Found) -> list[Table]:
    """The best trials; the walk-forward where there is one."""
    title = f"{found.plan.strategy} on {', '.join(found.feeds.candles)}, {found.feeds.timeframe}: all candles"
    table = Table(title=Text(title), title_justify="left")
    for name in ("parameters", *COLUMNS):
        table.add_column(Text(name), justify="left" if name == "parameters" else "right")
    for trial in ranked(found)[:SHOWN]:
        table.add_row(Text(said(trial.params)), *cells(figures_of(trial.record.whole)))
    table.add_section()
    table.add_row(Text("as given, nothing searched"), *cells(figures_of(found.default.whole)))
    made = [table]
    if found.walk is not None:
        request = found.request
        title = f"Walk-forward: {len(found.walk)} windows, train {request.train}, test {request.test}"
        walk = Table(title=Text(title), title_justify="left")
        for name in ("", "trades", "expectancy", "over its error", "return a day", "return", "Sharpe, a year"):
            walk.add_column(Text(name), justify="left" if not name else "right")
        for name, row in walk_rows(found):
            walk.add_row(Text(name), *map(Text, row))
        made.append(walk)
    return made


def walk_rows(found: Found) -> list[tuple[str, list[str]]]:
    """Chosen in train, chosen in test, the defaults in test; the first has no return as a whole, trains overlap."""
    names = ("chosen, in its trains", "chosen, out of sample", "as given, out of sample")
    rows = []
    for name, spans in zip(names, sides(found.walk or []), strict=True):
        figures = joined_figures(spans)
        rows.append(
            (
                name,
                [
                    f"{figures['trades']:,}",
                    small(figures["expectancy_pct"]),
                    ratio(figures["score"]),
                    small(figures["return_a_day_pct"]),
                    "-" if name == names[0] else per_cent(figures["return_pct"]),
                    "-" if name == names[0] else ratio(figures["sharpe_ratio"]),
                ],
            )
        )
    return rows


def notes(found: Found) -> list[str]:
    """What one has to know to read the figures; what they are worth first."""
    lines = [found.evidence.words]
    if found.walk is not None:
        stayed = sum(window.number is None for window in found.walk)
        if stayed:
            least = found.request.min_trades
            lines.append(
                f"In {stayed} of {len(found.walk)} windows no trial had {least} trades in train; there the parameters "
                "stayed as given."
            )
    again = len(found.trials) - min(found.computed, len(found.trials))
    lines.append(
        f"Trials: {len(found.trials):,}"
        + (f", {again:,} of them known from before" if again else "")
        + (f"; {found.skipped:,} points make no sense together and were left out" if found.skipped else "")
        + f"; took {found.seconds:.1f} s."
    )
    settings = found.plan.settings
    lines.append(
        f"Costs: fees {settings['fee_taker']:.2%} taker, {settings['fee_maker']:.2%} maker, slippage "
        f"{settings['slippage']:.2%}. Expectancy: mean net result of a trade, of its entry's value."
    )
    return lines


def said(params: Mapping[str, Any]) -> str:
    """`fast=10 slow=20`."""
    return " ".join(f"{name}={text_of(value)}" for name, value in params.items())


def text_of(value: Any) -> str:
    """A parameter's value."""
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def cells(figures: Mapping[str, Any]) -> list[str]:
    """The figures of a run, as COLUMNS names them."""
    return [
        f"{figures['trades']:,}",
        small(figures["expectancy_pct"]),
        ratio(figures["score"]),
        per_cent(figures["return_pct"]),
        per_cent(figures["drawdown_pct"]),
        ratio(figures["sharpe_ratio"]),
    ]


def ratio(value: float | None) -> str:
    """`-` where there is none."""
    return "-" if value is None else f"{value:.2f}"


def small(value: float | None) -> str:
    """A per cent value that may be far below 1."""
    return "-" if value is None else f"{value:+.3f} %"
