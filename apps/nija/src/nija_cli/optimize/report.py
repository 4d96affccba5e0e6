"""The report of a search: one HTML file in the style of a backtest's, drawn by `report.html.jinja`."""

from __future__ import annotations

from typing import Any

import numpy as np

from nija_cli.backtest import charts
from nija_cli.backtest.report import curve_of, page_of
from nija_cli.moments import per_cent
from nija_cli.optimize.axes import Choices
from nija_cli.optimize.document import figures_of, ranked
from nija_cli.optimize.search import Found
from nija_cli.optimize.table import COLUMNS, cells, notes, ratio, said, text_of, walk_rows
from nija_cli.optimize.walk_forward import Chosen, curve
from nija_common.values.times import day_of

MOST_TRIALS = 500
"""Trials in the list, at most: the best ones."""
MOST_CELLS = 40
"""Values of a parameter in the heat map, at most; a larger map is left out."""


def report_of(found: Found) -> bytes:
    """The report as HTML (UTF-8)."""
    return page_of("optimize/report.html.jinja", _shown(found))


def _shown(found: Found) -> dict[str, Any]:
    feeds = found.feeds.candles
    first = min(int(candles.time_ms[0]) for candles in feeds.values())
    last = max(int(candles.time_ms[-1]) for candles in feeds.values())
    evidence = found.evidence
    trials = ranked(found)
    return {
        "strategy": found.plan.strategy,
        "symbols": ", ".join(feeds),
        "timeframe": found.feeds.timeframe,
        "period": f"{day_of(first)} to {day_of(last)}",
        "headline": [
            ("evidence", "sufficient" if evidence.sufficient else "insufficient"),
            ("Deflated Sharpe Ratio", f"{evidence.dsr:.3f}"),
            ("trials", f"{evidence.trials:,}"),
            ("best over all candles", "none" if found.best is None else said(found.trials[found.best].params)),
        ],
        "notes": notes(found),
        "width": charts.WIDTH,
        "height": charts.HEIGHT,
        "curves": [] if found.walk is None else _curves(found.walk),
        "walk": [] if found.walk is None else walk_rows(found),
        "windows": [_window(found, chosen) for chosen in found.walk or []],
        "heat": _heat(found),
        "columns": COLUMNS,
        "trials": [(said(trial.params), cells(figures_of(trial.record.whole))) for trial in trials[:MOST_TRIALS]],
        "left_out": max(0, len(trials) - MOST_TRIALS),
        "default": cells(figures_of(found.default.whole)),
        "settings": list(_settings(found)),
    }


def _curves(walk: list[Chosen]) -> list[dict[str, Any]]:
    """The joined tests of what was chosen, and of the defaults."""
    windows = [chosen.window for chosen in walk]
    made = []
    for title, spans in (
        ("Out of sample, joined: what was chosen", [chosen.test for chosen in walk]),
        ("The same windows with the parameters as given", [chosen.default for chosen in walk]),
    ):
        moments, equity = curve(windows, spans)
        values = 100 * np.array(equity)
        ended = f"It ended at {per_cent(float(values[-1]) - 100)}."
        what = "Equity day by day in % of the cash, each window begun flat."
        made.append(curve_of(title, what, ended, np.array(moments, dtype=np.int64), values, "equity"))
    return made


def _window(found: Found, chosen: Chosen) -> dict[str, Any]:
    number = chosen.number
    return {
        "test": f"{day_of(chosen.window.test[0])} to {day_of(chosen.window.test[1])}",
        "params": "as given (too few trades)" if number is None else said(found.trials[number].params),
        "train": ratio(chosen.train.score),
        "trades": f"{chosen.test.trades:,}",
        "result": per_cent(100 * (chosen.test.final - 1)),
        "default": per_cent(100 * (chosen.default.final - 1)),
        "kind": "won" if chosen.test.final > 1 else "lost" if chosen.test.final < 1 else "none",
    }


def _heat(found: Found) -> dict[str, Any] | None:
    """Scores of a grid of two parameters: a row for each value of the first, a column for each of the second."""
    axes = [axis for axis in found.axes if isinstance(axis, Choices) and len(axis.values) > 1]
    if found.request.random is not None or len(axes) != 2 or max(len(axis.values) for axis in axes) > MOST_CELLS:
        return None
    places = [found.axes.index(axis) for axis in axes]
    scores = {tuple(trial.point[place] for place in places): trial.record.whole.score for trial in found.trials}
    furthest = max((abs(score) for score in scores.values() if score is not None), default=0.0) or 1.0
    rows = []
    for down in axes[0].values:
        row = []
        for right in axes[1].values:
            score = scores.get((down, right))
            share = 0 if score is None else round(60 * abs(score) / furthest)
            row.append({"text": ratio(score), "share": share, "kind": "won" if (score or 0) > 0 else "lost"})
        rows.append((down, row))
    return {"down": axes[0].name, "right": axes[1].name, "heads": axes[1].values, "rows": rows}


def _settings(found: Found) -> list[tuple[str, str]]:
    request = found.request
    rows = [(f"searched: {axis.name}", _axis(axis)) for axis in found.axes]
    if request.random is not None:
        rows.append(("drawn", f"{request.random:,} points, seed {request.seed}"))
    rows.append(("least trades", f"{request.min_trades:,}"))
    for name, value in found.plan.settings.items():
        if name != "params":
            rows.append((name.replace("_", " "), "-" if value is None else str(value)))
    rows += [(name.replace("_", " "), text_of(value)) for name, value in found.plan.settings["params"].items()]
    return rows


def _axis(axis: Any) -> str:
    return ", ".join(axis.values) if isinstance(axis, Choices) else f"from {axis.low} to {axis.high}"
