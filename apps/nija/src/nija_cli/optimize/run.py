"""A search with its outputs: the document, the report, the tables in the terminal."""

from __future__ import annotations

from rich.console import Console

from nija_cli.backtest.document import encoded
from nija_cli.backtest.options import Options
from nija_cli.backtest.run import Outputs
from nija_cli.optimize.document import document_of
from nija_cli.optimize.search import Request, found_by, state_path
from nija_cli.optimize.table import show


def run(options: Options, request: Request, outputs: Outputs) -> None:
    """Does what the options ask. Raises Failed, WrongUsage, OSError; then nothing but the state is written."""
    found = found_by(options, request, state_path(request, outputs.json), Console(stderr=True))
    json = encoded(document_of(found)) if outputs.json is not None else b""
    html = b""
    if outputs.html is not None:
        from nija_cli.optimize.report import report_of

        html = report_of(found)
    show(found, outputs.written(json, html))
