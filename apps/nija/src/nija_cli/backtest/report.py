"""The report of a run for people: one HTML file that needs nothing else, no network and no script.

What is shown is worked out here and drawn by `report.html.jinja`, which escapes every text. Its size is bounded: curves
are thinned, and of very many trades only the latest are listed.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import numpy as np
from jinja2 import Environment, FunctionLoader, StrictUndefined

from nija_analytics.domain.figures import stretch
from nija_analytics.domain.results import month_number, month_text
from nija_cli.backtest import charts
from nija_cli.backtest.document import Finished
from nija_cli.backtest.figures import equity_pct, return_pct
from nija_cli.backtest.table import notes, sections
from nija_cli.moments import amount, per_cent
from nija_common.values.times import day_of, iso
from nija_trading.domain.backtest.result import TradeRecord, drawdowns
from nija_trading.domain.market.candles import Candles, Floats, Ints
from nija_trading.domain.matching.money import as_float

MOST_TRADES = 1_000
"""Trades in the list and marks on the price, at most."""
MOST_PRICES = 10
"""Symbols whose price is drawn, at most: those with the most trades."""


def report_of(run: Finished) -> bytes:
    """The report as HTML (UTF-8)."""
    return page_of("backtest/report.html.jinja", _shown(run))


def page_of(template: str, shown: dict[str, Any]) -> bytes:
    """A page of a command's template, a path in this package; every text in it is escaped."""
    loader = FunctionLoader(lambda name: files("nija_cli").joinpath(name).read_text(encoding="utf-8"))
    environment = Environment(
        autoescape=True, loader=loader, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template(template).render(shown).encode()


def _shown(run: Finished) -> dict[str, Any]:
    result = run.result
    first = min(int(candles.time_ms[0]) for candles in run.feeds.values())
    last = max(int(candles.time_ms[-1]) for candles in run.feeds.values())
    trades = result.trades
    return {
        "strategy": result.strategy,
        "symbols": ", ".join(result.symbols),
        "timeframe": run.timeframe,
        "period": f"{day_of(first)} to {day_of(last)}",
        "headline": [
            ("final equity", amount(as_float(result.final_equity))),
            ("return", per_cent(equity_pct(result))),
            ("deepest fall", per_cent(100 * run.figures.drawdown_at_closes)),
            ("trades", f"{len(trades):,}"),
        ],
        "sections": sections(run),
        "notes": notes(run),
        "settings": list(_settings(run)),
        "width": charts.WIDTH,
        "height": charts.HEIGHT,
        "curves": _curves(run),
        "prices": _prices(run),
        "months": _months(run),
        "distribution": _distribution(trades),
        "trades": [_row(number, trade) for number, trade in list(enumerate(trades, start=1))[-MOST_TRADES:][::-1]],
        "left_out": max(0, len(trades) - MOST_TRADES),
        "open_trades": [_row(number, trade) for number, trade in enumerate(result.open_trades, start=1)],
    }


def _curves(run: Finished) -> list[dict[str, Any]]:
    """Equity and drawdown."""
    result = run.result
    if not len(result.equity):
        return []
    equity = result.equity / 1e8
    fallen = 100 * drawdowns(result.equity, result.cash)
    began, ended = amount(as_float(result.cash)), amount(float(equity[-1]))
    said = f"From {began} to {ended}; highest {amount(float(equity.max()))}, lowest {amount(float(equity.min()))}."
    worst = int(fallen.argmin())
    deep = f"Deepest: {per_cent(float(fallen[worst]))} at the close of {iso(int(result.equity_ms[worst]))}."
    return [
        curve_of("Equity", "Cash and what is held, at every close.", said, result.equity_ms, equity, "equity"),
        curve_of("Drawdown, %", "How far equity lies below its highest close.", deep, result.equity_ms, fallen, "fall"),
    ]


def curve_of(title: str, what: str, said: str, times: Ints, values: Floats, kind: str) -> dict[str, Any]:
    """A drawing of values over time for the macro `plot`; `kind` is its class in the page's style."""
    x, y = charts.time_scale(times), charts.value_scale(values)
    return {
        "title": title,
        "what": what,
        "said": said,
        "kind": kind,
        "points": charts.polyline(x, y, times, values),
        "left": charts.time_ticks(x),
        "up": charts.value_ticks(y),
        "marks": [],
    }


def _prices(run: Finished) -> list[dict[str, Any]]:
    """The price of each symbol with its trades."""
    everything = (*run.result.trades, *run.result.open_trades)
    by_symbol = {symbol: [t for t in everything if t.symbol == symbol] for symbol in run.feeds}
    chosen = sorted(by_symbol, key=lambda symbol: -len(by_symbol[symbol]))[:MOST_PRICES]
    return [_price(symbol, run.feeds[symbol], by_symbol[symbol]) for symbol in run.feeds if symbol in chosen]


def _price(symbol: str, candles: Candles, trades: list[TradeRecord]) -> dict[str, Any]:
    largest = sorted(trades, key=lambda trade: -abs(trade.realized_pnl))[: MOST_TRADES // 2]
    said = f"{len(trades):,} trades; closes from {amount(float(candles.close.min()))} to {amount(float(candles.close.max()))}."
    if len(largest) < len(trades):
        said += f" The {len(largest):,} with the largest results are marked."
    curve = curve_of(f"{symbol}: trades on the price", "Closes.", said, candles.time_ms, candles.close, "price")
    x, y = charts.time_scale(candles.time_ms), charts.value_scale(candles.close)
    for trade in largest:
        end_ms, end_price = _end(trade, candles)
        curve["marks"].append(
            {
                "x1": x(trade.opened_ms),
                "y1": _inside(y(trade.entry_price)),
                "x2": x(end_ms),
                "y2": _inside(y(end_price)),
                "kind": "won" if trade.realized_pnl > 0 else "lost",
                "said": f"{iso(trade.opened_ms)} at {trade.entry_price:,.8g} to {iso(end_ms)} at {end_price:,.8g}: "
                f"{amount(as_float(trade.realized_pnl))}",
            }
        )
    return curve


def _end(trade: TradeRecord, candles: Candles) -> tuple[int, float]:
    """When and at which price a trade ended; of an open one, the last close."""
    if trade.closed_ms is None or not trade.exits:
        return int(candles.time_ms[-1]), float(candles.close[-1])
    return trade.closed_ms, trade.exits[-1].price


def _inside(y: float) -> float:
    return min(max(y, 0.0), charts.HEIGHT)


def _months(run: Finished) -> list[dict[str, Any]]:
    """Rows of years: for each month the net profit of its closed trades, in per cent of the equity it began with."""
    months: dict[int, list[Any]] = {}
    for day in run.figures.days:
        months.setdefault(month_number(day.day), []).append(day)
    years: dict[int, list[dict[str, Any] | None]] = {}
    equity = run.result.cash
    for month, days in months.items():
        found = stretch(equity, days)
        equity += found.pnl
        cell = {
            "text": f"{found.pnl_pct:+.1f}",
            "kind": "won" if found.pnl > 0 else "lost" if found.pnl < 0 else "none",
            "said": f"{month_text(month)}: {amount(as_float(found.pnl))}, {found.trades} trades",
        }
        years.setdefault(month // 12, [None] * 12)[month % 12] = cell
    return [{"year": year, "months": cells} for year, cells in years.items()]


def _distribution(trades: tuple[TradeRecord, ...]) -> dict[str, Any] | None:
    if not trades:
        return None
    values = np.array([return_pct(trade) for trade in trades])
    bars, scale = charts.distribution(values)
    return {
        "bars": bars,
        "left": charts.value_ticks(scale, 8),
        "zero": scale(0.0),
        "said": f"Half of {len(values):,} trades ended above {np.median(values):+.2f} %; the worst at {values.min():+.2f} %, "
        f"the best at {values.max():+.2f} %.",
    }


def _row(number: int, trade: TradeRecord) -> dict[str, Any]:
    return {
        "number": number,
        "symbol": trade.symbol,
        "opened": iso(trade.opened_ms),
        "closed": "open" if trade.closed_ms is None else iso(trade.closed_ms),
        "entry": f"{trade.entry_price:,.8g}",
        "exit": f"{_mean_exit(trade):,.8g}" if trade.exits else "-",
        "quantity": f"{as_float(trade.quantity):,.8g}",
        "pnl": amount(as_float(trade.realized_pnl)),
        "pct": f"{return_pct(trade):+.2f}",
        "fees": amount(as_float(trade.fees)),
        "reason": "-" if trade.exit_reason is None else trade.exit_reason.value.replace("_", " "),
        "kind": "won" if trade.realized_pnl > 0 else "lost" if trade.realized_pnl < 0 else "none",
    }


def _mean_exit(trade: TradeRecord) -> float:
    """The mean price of a trade's exits, by quantity."""
    sold = sum(exit_.quantity for exit_ in trade.exits)
    return sum(exit_.price * exit_.quantity for exit_ in trade.exits) / sold


def _settings(run: Finished) -> Iterator[tuple[str, str]]:
    for name, value in run.settings.items():
        if name != "params":
            yield name.replace("_", " "), "-" if value is None else str(value)
    for name, value in run.settings["params"].items():
        yield name.replace("_", " "), ", ".join(map(str, value)) if isinstance(value, list) else str(value)
