"""A search that ends early goes on where it stopped, computes nothing twice, and mixes with no other."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

Nija = Callable[..., Result]
CandleFile = Callable[..., Path]
GRID = ("--grid", "fast=3:9:3", "--grid", "slow=20,30", "--train", "20d", "--test", "10d", "--min-trades", "5")

WAITING = """
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from nija_trading.domain.backtest.strategies.ema_cross import EmaCross

@dataclass(frozen=True)
class Waiting:
    name: ClassVar[str] = "waiting"
    fast: int = 2
    slow: int = 20

    def targets(self, candles):
        while self.fast == 6 and not Path("go").exists():
            time.sleep(0.01)
        return EmaCross(self.fast, self.slow).targets(candles)
"""


@pytest.fixture
def search(nija: Nija, candle_file: CandleFile) -> Callable[..., dict[str, Any]]:
    """The JSON of a search in this process."""

    def run(*args: str | Path, strategy: str = "ema_cross", state: str = "state.jsonl") -> dict[str, Any]:
        path = candle_file()
        common = ("--strategy", strategy, "--candles", path, "--state", state, "--jobs", "1", "--json", "-")
        result = nija("optimize", *common, *args)
        assert result.exit_code == 0, result.stderr
        found: dict[str, Any] = json.loads(result.stdout)
        return found

    return run


def figures(document: dict[str, Any]) -> dict[str, Any]:
    """All that does not tell how it came about."""
    return {name: value for name, value in document.items() if name not in ("seconds", "computed")}


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def children_of(process: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc to see the processes")
@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGINT])
def test_killed_halfway_it_goes_on_as_if_nothing_had_happened(
    by: signal.Signals, search: Callable[..., dict[str, Any]], candle_file: CandleFile, own_folder: Path
) -> None:
    Path("own.py").write_text(WAITING)
    state = own_folder / "state.jsonl"
    command = [sys.executable, "-c", "from nija_cli.main import main; main()", "optimize", "--strategy", "own.py"]
    command += ["--candles", str(candle_file()), "--state", str(state), *GRID, "--jobs", "2"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    try:
        until(lambda: state.exists() and len(state.read_bytes().splitlines()) >= 3, "no point was run")
        workers = children_of(process.pid)
        assert len(workers) >= 2
        os.kill(process.pid, by)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    until(lambda: not any(map(alive, workers)), "a process outlived the search")
    if by == signal.SIGINT:
        assert process.returncode == 1
        assert "stopped after" in said
        assert "the same command goes on" in said
        assert len(said.strip().splitlines()) == 1
    before = state.read_bytes().splitlines()
    done = len(before) - 1
    assert 2 <= done < 7
    Path("go").touch()
    resumed = search(*GRID, strategy="own.py")
    lines = state.read_bytes().splitlines()
    keys = [json.loads(line)["key"] for line in lines[1:]]
    assert lines[: len(before)] == before
    assert len(set(keys)) == len(keys) == 7
    assert resumed["computed"] == 7 - done
    assert figures(resumed) == figures(search(*GRID, strategy="own.py", state="another.jsonl"))


def test_a_damaged_last_line_is_run_again(search: Callable[..., dict[str, Any]]) -> None:
    whole = search(*GRID)
    state = Path("state.jsonl")
    kept = state.read_bytes()
    for damage in (kept[:-1], kept[:-40], kept[: kept.rindex(b'{"key"')] + b'{"key": 3}\n', kept[:-3] + b"\xff}\n"):
        state.write_bytes(damage)
        again = search(*GRID)
        assert again["computed"] == 1
        assert figures(again) == figures(whole)
        assert state.read_bytes() == kept
    state.write_bytes(kept[:5])
    assert search(*GRID)["computed"] == 7


def test_nothing_is_computed_twice_and_nothing_mixes(
    search: Callable[..., dict[str, Any]], candle_file: CandleFile
) -> None:
    first = search(*GRID)
    assert (first["computed"], first["trials"]) == (7, 6)
    assert search(*GRID)["computed"] == 0
    assert search("--grid", "slow=20,30,40", "--grid", "fast=3,6", *GRID[4:])["computed"] == 2
    for other in (("--fee", "0.002"), ("--cash", "5000"), ("--slippage", "0.001"), ("--from", "2017-07-10")):
        changed = search(*GRID, *other)
        assert changed["computed"] == 7, other
        assert figures(changed) != figures(first), other
    assert search(*GRID[:4], "--train", "25d", "--test", "10d")["computed"] == 7
    assert search(*GRID[:4])["computed"] == 7
    assert search(*GRID[:8], "--min-trades", "9")["computed"] == 0


def test_a_changed_rule_or_candle_is_another_search(
    search: Callable[..., dict[str, Any]], nija: Nija, candle_file: CandleFile
) -> None:
    Path("own.py").write_text(WAITING)
    Path("go").touch()
    given = ("--strategy", "own.py", "--candles", candle_file(), "--grid", "fast=3,5")

    def computed() -> int:
        result = nija("optimize", *given, "--jobs", "1", "--json", "x.json")
        assert result.exit_code == 0, result.stderr
        return int(json.loads(Path("x.json").read_text())["computed"])

    assert [computed(), computed()] == [3, 0]
    assert Path("x.state.jsonl").exists()
    Path("own.py").write_text(WAITING + "\n# another\n")
    assert computed() == 3
    candle_file(start=1)
    assert computed() == 3


def test_a_state_file_of_another_kind_or_in_use_is_left_alone(nija: Nija, candle_file: CandleFile) -> None:
    path = candle_file()
    text = path.read_text()
    args = ("optimize", "--strategy", "ema_cross", "--candles", path, "--grid", "fast=3", "--state")
    refused = nija(*args, path)
    assert refused.exit_code == 1
    assert f"{path}:1: this is no line of a search's state" in refused.stderr
    assert path.read_text() == text
    code = "import fcntl, sys; f = open('busy', 'w'); fcntl.flock(f, fcntl.LOCK_EX); print('held', flush=True); input()"
    holder = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    busy = nija(*args, "busy")
    holder.communicate("\n")
    assert busy.exit_code == 1
    assert "another search is using it" in busy.stderr
