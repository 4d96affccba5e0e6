"""A search from its options to its outputs: which points, what is known of them, the rest run, the whole judged."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from nija_cli.backtest.candles import Feeds, feeds_for
from nija_cli.backtest.options import Options
from nija_cli.backtest.run import STANDARD_OUTPUT
from nija_cli.backtest.strategies import Plan, defaults_of
from nija_cli.data.folder import cache_folder
from nija_cli.endings import Failed, WrongUsage
from nija_cli.optimize.axes import Axis, Choices, Point, axes_of, drawn, grid, size_of
from nija_cli.optimize.evidence import Evidence, evidence_of
from nija_cli.optimize.measure import Measured
from nija_cli.optimize.pool import cores, records
from nija_cli.optimize.state import State, common_of, key_of, opened
from nija_cli.optimize.walk_forward import Chosen, best_of, sides, walked
from nija_cli.optimize.windows import Window, duration_ms, windows_of
from nija_cli.optimize.work import Record, Task, Work
from nija_trading.domain.apex.features import FEATURE_PARAMETERS

MOST_UNASKED = 1_000
"""Points that are run without `--yes`."""


@dataclass(frozen=True, slots=True)
class Request:
    """What `nija optimize` asks for beside the options of a backtest. `train` and `test` are durations, or both None."""

    grids: tuple[str, ...]
    ranges: tuple[str, ...]
    random: int | None
    seed: int
    train: str | None
    test: str | None
    min_trades: int
    jobs: int | None
    state: Path | None
    yes: bool

    def __post_init__(self) -> None:
        if (self.train is None) != (self.test is None):
            raise WrongUsage("a walk-forward needs both: --train 30d --test 7d")
        if not self.grids and not self.ranges:
            raise WrongUsage("nothing is searched: --grid NAME=V1,V2,… or --random N --range NAME=LOW:HIGH")
        if self.ranges and self.random is None:
            raise WrongUsage("--range draws points: say how many with --random N")
        for name, count in {"--random": self.random, "--jobs": self.jobs}.items():
            if count is not None and count < 1:
                raise WrongUsage(f"{name} {count}: write 1 or more")
        if self.min_trades < 2:
            raise WrongUsage(f"--min-trades {self.min_trades}: of fewer than 2 trades there is no standard error")


class Trial(NamedTuple):
    """A point, its parameters as they were read, and its figures."""

    point: Point
    params: dict[str, Any]
    record: Record


@dataclass(frozen=True, slots=True)
class Found:
    """A finished search. `trials` in the order of the search, `best` the number of the best one over all candles.

    `skipped` points make no sense together; `computed` records are of this run, the others were in the state file.
    """

    request: Request
    plan: Plan
    feeds: Feeds
    axes: list[Axis]
    trials: list[Trial]
    default: Record
    best: int | None
    walk: list[Chosen] | None
    evidence: Evidence
    skipped: int
    computed: int
    seconds: float


class _Points(NamedTuple):
    """Points by the keys of their records, in the order of the search; the keys of all, and of the defaults."""

    wanted: dict[str, Point | None]
    plans: dict[str, Plan]
    trials: list[str]
    default: str
    skipped: int


def found_by(options: Options, request: Request, state: Path | None, console: Console) -> Found:
    """The search, gone through. Raises Failed, WrongUsage, OSError."""
    work = Work(Task(options, (), {}, ()))
    axes = axes_of(request.grids, request.ranges, defaults_of(options, work.made), options.strategy)
    drawn_points = _points(axes, request)
    plan = work.plan(None)
    feeds = feeds_for(options)
    windows = _windows(feeds, request)
    task = Task(options, tuple(axis.name for axis in axes), feeds.candles, windows)
    own = Path(options.strategy)
    source = own.read_text(encoding="utf-8") if own.suffix == ".py" else None
    common = common_of(feeds.candles, windows, source)
    points = _keyed(Work(task), drawn_points, common, plan)
    begun = time.perf_counter()
    path = state or cache_folder() / "optimize" / f"{points.default[:32]}.jsonl"
    with opened(path) as kept:
        computed = _computed(task, points, kept, request.jobs or cores(), console)
        known = kept.known
    trials = [Trial(points.wanted[key] or (), _params(points.plans[key], task), known[key]) for key in points.trials]
    default, wholes = known[points.default], [trial.record.whole for trial in trials]
    best = best_of(wholes, request.min_trades)
    walk = walked(windows, [trial.record for trial in trials], default, request.min_trades) if windows else None
    evidence = _judged(wholes, best, walk, request.min_trades)
    seconds = time.perf_counter() - begun
    return Found(request, plan, feeds, axes, trials, default, best, walk, evidence, points.skipped, computed, seconds)


def _points(axes: list[Axis], request: Request) -> list[Point]:
    listed = [axis for axis in axes if isinstance(axis, Choices)]
    count = size_of(listed) if request.random is None else request.random
    if count > MOST_UNASKED and not request.yes:
        raise WrongUsage(f"that is {count:,} points; --yes runs more than {MOST_UNASKED:,}")
    return grid(listed) if request.random is None else drawn(axes, request.random, request.seed)


def _windows(feeds: Feeds, request: Request) -> tuple[Window, ...]:
    if request.train is None or request.test is None:
        return ()
    train, test = duration_ms(request.train, "--train"), duration_ms(request.test, "--test")
    return tuple(windows_of(feeds.candles, train, test))


def _keyed(work: Work, points: list[Point], common: dict[str, Any], default: Plan) -> _Points:
    """Raises WrongUsage where no point makes sense."""
    default_key = key_of(common, default)
    found = _Points({}, {default_key: default}, [], default_key, 0)
    skipped, reason = 0, "nothing is searched"
    for point in points:
        try:
            plan = work.plan(point)
        except WrongUsage as error:
            skipped, reason = skipped + 1, str(error)
            continue
        key = key_of(common, plan)
        if key not in found.wanted:
            found.wanted[key] = point
            found.plans[key] = plan
            found.trials.append(key)
    if not found.trials:
        raise WrongUsage(f"no point of the search makes sense; the last one: {reason}")
    found.wanted.setdefault(default_key, None)
    return found._replace(skipped=skipped)


def _computed(task: Task, points: _Points, kept: State, jobs: int, console: Console) -> int:
    """Runs what the state does not have. Raises Failed where Ctrl-C stops it."""
    missing = {point: key for key, point in points.wanted.items() if key not in kept.known}
    read = [place for place, name in enumerate(task.names) if name in FEATURE_PARAMETERS]
    order = sorted(missing, key=lambda point: [] if point is None else [point[place] for place in read])
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    done = 0
    try:
        with (
            Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress,
            closing(records(task, order, jobs)) as coming,
        ):
            bar = progress.add_task("points", total=len(points.wanted), completed=len(points.wanted) - len(missing))
            for point, record in coming:
                kept.add(missing[point], record)
                done += 1
                progress.advance(bar)
    except KeyboardInterrupt:
        there = len(points.wanted) - len(missing) + done
        raise Failed(
            f"stopped after {there:,} of {len(points.wanted):,} points; the same command goes on ({kept.path})"
        ) from None
    return done


def _params(plan: Plan, task: Task) -> dict[str, Any]:
    return {name: plan.settings["params"][name] for name in task.names}


def _judged(wholes: list[Measured], best: int | None, walk: list[Chosen] | None, least: int) -> Evidence:
    if walk is None:
        return evidence_of(wholes, None if best is None else wholes[best], None, least)
    chosen = [window.number for window in walk if window.number is not None]
    some = wholes[chosen[-1]] if chosen else None
    return evidence_of(wholes, some, sides(walk)[1:], least)


def state_path(request: Request, json: str | None) -> Path | None:
    """The state file: the one that is named, else beside the JSON, else None: one in the cache folder."""
    if request.state is not None:
        return request.state
    return None if json in (None, STANDARD_OUTPUT) else Path(json).with_suffix(".state.jsonl")
