"""A backtest from its options to its outputs: read, run, count, tell."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from nija_cli.backtest.candles import feeds_for
from nija_cli.backtest.document import Finished, document_of, encoded
from nija_cli.backtest.figures import figures_of
from nija_cli.backtest.options import Options
from nija_cli.backtest.strategies import plan_for
from nija_cli.backtest.table import show
from nija_cli.endings import Failed, WrongUsage
from nija_common.storage.whole_files import write_whole
from nija_common.values.times import iso_or_none

STANDARD_OUTPUT = "-"


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where the document and the report go: a path, `-` for standard output, or None for nowhere."""

    json: str | None
    html: str | None

    def __post_init__(self) -> None:
        if self.json is not None and self.json == self.html:
            raise WrongUsage(f"--json and --html cannot both go to {self.json}")
        for name in (self.json, self.html):
            if name is not None and name != STANDARD_OUTPUT and not Path(name).parent.is_dir():
                raise Failed(f"{name}: there is no folder {Path(name).parent}")

    def written(self, json: bytes, html: bytes) -> Console:
        """Writes what was asked for; the console for all else that is said. Raises OSError; then nothing is written."""
        contents = {name: data for name, data in ((self.json, json), (self.html, html)) if name is not None}
        write_whole({Path(name): data for name, data in contents.items() if name != STANDARD_OUTPUT})
        if STANDARD_OUTPUT in contents:
            sys.stdout.buffer.write(contents[STANDARD_OUTPUT])
            sys.stdout.buffer.flush()
        return Console(stderr=STANDARD_OUTPUT in contents)


def run(options: Options, outputs: Outputs) -> None:
    """Does what the options ask. Raises Failed, WrongUsage, OSError; then nothing is written."""
    finished = finish(options)
    json = encoded(document_of(finished)) if outputs.json is not None else b""
    html = b""
    if outputs.html is not None:
        from nija_cli.backtest.report import report_of

        html = report_of(finished)
    show(finished, outputs.written(json, html))


def finish(options: Options) -> Finished:
    """The run with its figures. Raises Failed, WrongUsage."""
    plan = plan_for(options)
    feeds = feeds_for(options)
    begun = time.perf_counter()
    result = plan.run(feeds.candles)
    figures = figures_of(result, feeds.candles)
    seconds = time.perf_counter() - begun
    settings = {
        "cash": options.cash,
        "from": iso_or_none(options.from_ms),
        "to": iso_or_none(options.to_ms),
        **plan.settings,
    }
    return Finished(feeds.timeframe, settings, feeds.candles, result, figures, seconds)
