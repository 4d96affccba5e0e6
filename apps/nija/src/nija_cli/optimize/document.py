"""A search as JSON: what was searched, every trial, every window's choice, and the evidence."""

from __future__ import annotations

from typing import Any

from nija_cli.optimize.axes import Choices
from nija_cli.optimize.deflated import Moments
from nija_cli.optimize.evidence import Evidence, a_year
from nija_cli.optimize.measure import Measured
from nija_cli.optimize.search import Found, Trial
from nija_cli.optimize.walk_forward import Chosen, Joined, curve, sides
from nija_common.values.times import iso


def document_of(found: Found) -> dict[str, Any]:
    """The whole document, as plain values. Returns and expectancies in per cent, Sharpe ratios of a year."""
    request, feeds = found.request, found.feeds.candles
    return {
        "strategy": found.plan.strategy,
        "symbols": list(feeds),
        "timeframe": found.feeds.timeframe,
        "settings": {**found.plan.settings, "cash": found.plan.cash / 1e8},
        "first_candle": iso(min(int(candles.time_ms[0]) for candles in feeds.values())),
        "last_candle": iso(max(int(candles.time_ms[-1]) for candles in feeds.values())),
        "search": {
            "axes": {axis.name: _axis(axis) for axis in found.axes},
            "random": request.random,
            "seed": None if request.random is None else request.seed,
            "min_trades": request.min_trades,
            "train": request.train,
            "test": request.test,
        },
        "trials": len(found.trials),
        "skipped": found.skipped,
        "computed": found.computed,
        "seconds": found.seconds,
        "evidence": _evidence(found.evidence),
        "best": None if found.best is None else trial_of(found.trials[found.best]),
        "defaults": figures_of(found.default.whole),
        "results": [trial_of(trial) for trial in ranked(found)],
        "walk_forward": None if found.walk is None else _walk(found, found.walk),
    }


def ranked(found: Found) -> list[Trial]:
    """The trials, the best first; those with too few trades behind all others."""
    least = found.request.min_trades

    def place(trial: Trial) -> tuple[bool, float]:
        whole = trial.record.whole
        return whole.trades < least or whole.score is None, -(whole.score or 0.0)

    return sorted(found.trials, key=place)


def trial_of(trial: Trial) -> dict[str, Any]:
    """A trial's parameters and figures over all candles."""
    return {"params": trial.params, **figures_of(trial.record.whole)}


def figures_of(measured: Measured) -> dict[str, Any]:
    """The figures of one run."""
    return {
        "trades": measured.trades,
        "expectancy_pct": _pct(measured.expectancy),
        "score": measured.score,
        "return_pct": 100 * (measured.final - 1),
        "drawdown_pct": 100 * measured.drawdown,
        "sharpe_ratio": a_year(Moments.of(measured.daily).sharpe),
    }


def joined_figures(spans: Joined) -> dict[str, Any]:
    """The figures of spans together."""
    return {
        "trades": spans.trades,
        "expectancy_pct": _pct(spans.expectancy),
        "score": spans.score,
        "return_pct": 100 * (spans.final - 1),
        "return_a_day_pct": 100 * spans.a_day,
        "sharpe_ratio": a_year(Moments.of(spans.daily).sharpe),
    }


def _walk(found: Found, walk: list[Chosen]) -> dict[str, Any]:
    train, test, default = sides(walk)
    in_sample = joined_figures(train)
    for name in ("return_pct", "sharpe_ratio"):  # trains overlap: their days do not follow each other
        del in_sample[name]
    moments, equity = curve([window.window for window in walk], [window.test for window in walk])
    return {
        "in_sample": in_sample,
        "out_of_sample": joined_figures(test),
        "defaults": joined_figures(default),
        "equity": [{"at": iso(at), "times_cash": value} for at, value in zip(moments, equity, strict=True)],
        "windows": [
            {
                "train_from": iso(window.window.train[0]),
                "test_from": iso(window.window.test[0]),
                "test_to": iso(window.window.test[1]),
                "params": None if window.number is None else found.trials[window.number].params,
                "train": figures_of(window.train),
                "test": figures_of(window.test),
                "defaults": figures_of(window.default),
            }
            for window in walk
        ],
    }


def _evidence(evidence: Evidence) -> dict[str, Any]:
    return {
        "of": evidence.of,
        "deflated_sharpe_ratio": evidence.dsr,
        "sufficient": evidence.sufficient,
        "words": evidence.words,
        "trials": evidence.trials,
        "days": evidence.moments.count,
        "sharpe_ratio": a_year(evidence.moments.sharpe),
        "sharpe_ratio_of_luck": a_year(evidence.luck),
        "daily_sharpe_ratio": evidence.moments.sharpe,
        "daily_variance_of_trials": evidence.variance,
        "skew": evidence.moments.skew,
        "kurtosis": evidence.moments.kurtosis,
    }


def _axis(axis: object) -> Any:
    return list(axis.values) if isinstance(axis, Choices) else axis._asdict()  # type: ignore[attr-defined]


def _pct(value: float | None) -> float | None:
    return None if value is None else 100 * value
