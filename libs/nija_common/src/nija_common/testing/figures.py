"""How a benchmark ends: the goals that it missed, its figures as JSON, its status."""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path


def add_options(parser: argparse.ArgumentParser) -> None:
    """`--strict` and `--json`, of which `ended` makes use."""
    parser.add_argument("--strict", action="store_true", help="status 1 if a goal is missed")
    parser.add_argument("--json", type=Path, help="where to write the figures")


def ended(options: argparse.Namespace, figures: Mapping[str, object], missed: Sequence[str]) -> int:
    """Names what was missed and writes the figures, with the machine they are of. The status to end with."""
    for line in missed:
        print(f"missed: {line}")  # noqa: T201 - what a benchmark is run for
    if options.json:
        about = {"python": platform.python_version(), "machine": platform.machine(), "cores": os.cpu_count()}
        options.json.write_text(json.dumps({"about": about, **figures, "missed": missed}, indent=2) + "\n")
    return 1 if missed and options.strict else 0
