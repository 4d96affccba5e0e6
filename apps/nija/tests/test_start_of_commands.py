"""A command imports what it needs and no more: what the quick ones cost is counted in modules, which no load changes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = (
    "aiohttp",
    "asyncio",
    "ccxt",
    "duckdb",
    "fastapi",
    "jinja2",
    "pandas",
    "pydantic",
    "pymongo",
    "requests",
    "stripe",
)
RUN = """
import json, sys
from nija_cli.main import app
try:
    app(sys.argv[1:])
except SystemExit as end:
    status = end.code
print()
print(json.dumps([status, sorted(sys.modules)]))
"""


@pytest.mark.parametrize(
    ("args", "also_not"),
    [
        (["--help"], ["numpy", "rich", "orjson", "nija_common"]),
        (["backtest", "--strategy", "ema_cross", "--candles", "{bundled}"], ["nija_trading.service"]),
    ],
)
def test_a_quick_command_imports_no_service(tmp_path: Path, args: list[str], also_not: list[str]) -> None:
    from nija_trading.adapters.candle_files import bundled_folder

    bundled = str(bundled_folder() / "BTC-USD_1h.csv.gz")
    ran = subprocess.run(
        [sys.executable, "-c", RUN, *(arg.format(bundled=bundled) for arg in args)],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={"XDG_CACHE_HOME": str(tmp_path), "PATH": ""},
    )
    status, modules = json.loads(ran.stdout.splitlines()[-1])
    assert status in (0, None), ran.stderr
    assert not {name.split(".")[0] for name in modules} & {*HEAVY}
    assert not set(also_not) & set(modules)
