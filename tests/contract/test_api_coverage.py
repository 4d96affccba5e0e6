"""docs/api-coverage.md says what the tests' names say, and nothing is left open in it."""

from __future__ import annotations

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]
CHECKED_IN = (ROOT / "docs/api-coverage.md").read_text("utf-8")


def test_the_table_of_api_tests_is_fresh() -> None:
    assert runpy.run_path(str(ROOT / "scripts/api_coverage.py"))["page"]() == CHECKED_IN, "stale: run `make docs`"


def test_every_answer_of_every_operation_is_shown_by_a_test() -> None:
    rows = [line for line in CHECKED_IN.splitlines() if line.startswith("| `")]
    assert len(rows) > 40
    assert [row.split(" | ")[0] for row in rows if "**gap**" in row] == []
