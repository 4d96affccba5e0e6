"""The command as it is installed: from wheels, outside the checkout, with every file that it needs.

The short test puts the wheels that a backtest needs before this environment's packages. With NIJA_TEST_LONG=1 all wheels
go into an environment of their own, with their dependencies from the package index.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from nija_common.testing.long_run import only_long

ROOT = Path(__file__).parents[3]
NEEDED = ("nija", "nija-analytics", "nija-common", "nija-trading-engine")
ARGS = (
    "backtest",
    "--strategy",
    "ema_cross",
    "--fee",
    "0.001",
    "--symbol",
    "BTC-USD",
    "--json",
    "run.json",
    "--html",
    "run.html",
)


@pytest.fixture
def uv() -> str:
    """The tool that `make setup` installs with."""
    found = shutil.which("uv") or shutil.which(str(ROOT / ".tools/uv/bin/uv"))
    if found is None:
        pytest.skip("there is no uv: wheels are not built")
    return found


def build(uv: str, out: Path, *packages: str) -> list[Path]:
    """Builds wheels; those of all packages where none is named."""
    for chosen in [["--package", package] for package in packages] or [["--all-packages"]]:
        subprocess.run([uv, "build", "--quiet", "--wheel", *chosen, "--out-dir", str(out)], cwd=ROOT, check=True)
    return sorted(out.glob("*.whl"))


def ran(command: list[str], folder: Path, **env: str) -> str:
    """Runs the command outside the checkout; what it says on standard output."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "XDG_CACHE_HOME": str(folder / "cache"), **env}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def check(folder: Path, said: str) -> None:
    """The run's outputs are there and whole."""
    document = json.loads((folder / "run.json").read_bytes())
    assert (document["bars"], document["symbol"]) == (20_111, "BTC-USD")
    assert f"{document['orders']:,}" in said
    assert (folder / "run.html").read_text().endswith("</html>")


@pytest.mark.slow
def test_a_backtest_runs_from_wheels(tmp_path: Path, uv: str) -> None:
    packages, work = tmp_path / "packages", tmp_path / "work"
    work.mkdir()
    for wheel in build(uv, tmp_path / "wheels", *NEEDED):
        zipfile.ZipFile(wheel).extractall(packages)
    run = "import nija_cli, nija_trading; print(nija_cli.__file__, nija_trading.__file__); from nija_cli.main import app; app()"
    said = ran([sys.executable, "-c", run, *ARGS], work, PYTHONPATH=str(packages))
    assert said.startswith(f"{packages}/nija_cli/__init__.py {packages}/nija_trading/__init__.py\n")
    check(work, said)


@pytest.mark.slow
@only_long("a whole new environment")
@pytest.mark.timeout(600)
def test_a_backtest_runs_in_a_new_environment(tmp_path: Path, uv: str) -> None:
    fresh, work = tmp_path / "fresh", tmp_path / "work"
    work.mkdir()
    wheels = [str(wheel) for wheel in build(uv, tmp_path / "wheels")]
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(fresh)], check=True)
    subprocess.run([uv, "pip", "install", "--quiet", "--python", str(fresh / "bin/python"), *wheels], check=True)
    check(work, ran([str(fresh / "bin/nija"), *ARGS], work))
    assert "BTC-USD" in ran([str(fresh / "bin/nija"), "data", "check", f"{_data(fresh)}/BTC-USD_1h.csv.gz"], work)


def _data(fresh: Path) -> Path:
    (found,) = fresh.glob("lib/python*/site-packages/nija_trading/data")
    return found
