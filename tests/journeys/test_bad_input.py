"""Wrong settings, folders, ports and candle files: one clear line on standard error, status 1, nothing changed."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from nija_common.testing.platforms import Embedded, run_nija

HEADER = "timestamp_ms,open,high,low,close,volume\n"
GOOD = "".join(f"{i * 300_000},10,11,9,10,5\n" for i in range(120))


def up(data_dir: Path, *options: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    arguments: Sequence[str] = ["up", "--port", "0", "--data-dir", str(data_dir), "--market", "replay", *options]
    return run_nija(arguments, env=env or {})


def refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """One line that holds every word, and nothing on standard output."""
    assert done.returncode == 1, done.stderr
    assert done.stdout == ""
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("nija: "), done.stderr
    for word in words:
        assert word in last, last
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("NIJA_SPEDE", "2", ("NIJA_SPEDE", "no such setting")),
        ("NIJA_SPEED", "fast", ("NIJA_SPEED",)),
        ("NIJA_SPEED", "0", ("NIJA_SPEED",)),
        ("NIJA_STORE", "postgres", ("NIJA_STORE",)),
        ("NIJA_LIMITS__LOGIN_PER_MINUTE", "-1", ("NIJA_LIMITS__LOGIN_PER_MINUTE",)),
        ("NIJA_KEY_ENCRYPTION_KEY", "short", ("NIJA_KEY_ENCRYPTION_KEY",)),
        ("NIJA_TRUSTED_PROXIES", "everyone", ("NIJA_TRUSTED_PROXIES",)),
        ("NIJA_SMTP_URL_FILE", "absent-file", ("NIJA_SMTP_URL_FILE", "absent-file")),
        ("NIJA_BUS", "kafka", ("NIJA_BUS",)),
    ],
)
def test_a_wrong_variable_stops_the_start_with_its_name(
    tmp_path: Path, name: str, value: str, words: tuple[str, ...]
) -> None:
    refused(up(tmp_path / "data", env={name: value}), *words)
    assert not (tmp_path / "data" / "nija.sqlite3").exists()


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        refused(run_nija(["up", "--port", port, "--data-dir", str(tmp_path)], env={}), port)


@pytest.mark.slow
def test_a_data_folder_in_use_is_refused_and_the_first_platform_goes_on(tmp_path: Path) -> None:
    with Embedded(tmp_path, options=["--market", "replay"]) as running:
        refused(up(running.data_dir), str(running.data_dir))
        assert running.process.alive


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("timestamp_ms,open,high,low,close\n0,1,1,1,1\n", ("volume",)),
        (HEADER + "0,10,11,9,ten,5\n", (":2", "ten")),
        (HEADER + "0,10,9,11,10,5\n", (":2",)),
        (HEADER + "300000,10,11,9,10,5\n0,10,11,9,10,5\n", (":3",)),
        (HEADER + "0,10,11,9,10,-5\n", (":2",)),
        (HEADER, ()),
        ("", ()),
    ],
    ids=["column", "text", "high-below-low", "backwards", "negative-volume", "no-rows", "empty"],
)
def test_a_broken_candle_file_is_named_with_its_line(tmp_path: Path, rows: str, words: tuple[str, ...]) -> None:
    folder = tmp_path / "candles"
    folder.mkdir()
    (folder / "ETH-USD_5m.csv").write_text(HEADER + GOOD)
    (folder / "BTC-USD_5m.csv").write_text(rows)
    refused(up(tmp_path / "data", "--candles", str(folder)), "BTC-USD_5m.csv", *words)


def test_a_candle_folder_that_is_not_there_or_holds_none_is_named(tmp_path: Path) -> None:
    refused(up(tmp_path / "data", "--candles", str(tmp_path / "absent")), "absent")
    (tmp_path / "none").mkdir()
    refused(up(tmp_path / "data", "--candles", str(tmp_path / "none")), "none")


@pytest.mark.parametrize("arguments", [["up", "--speed", "fast"], ["nonsense"], ["up", "--nonsense"], ["serve"]])
def test_wrong_usage_is_status_2(arguments: list[str]) -> None:
    done = run_nija(arguments, env={})
    assert done.returncode == 2, done.stderr


def test_serving_without_what_it_needs_says_what_is_missing() -> None:
    refused(run_nija(["serve", "nothing"], env={}), "nothing")
    refused(run_nija(["serve", "auth"], env={"NIJA_STORE": "mongodb", "NIJA_BUS": "kafka"}), "NIJA_KEY_ENCRYPTION_KEY")


def test_every_command_has_help_with_an_example() -> None:
    for command in (
        ["up"],
        ["serve"],
        ["migrate"],
        ["admin", "create"],
        ["admin", "rotate-keys"],
        ["parked", "list"],
        ["parked", "replay"],
    ):
        done = run_nija([*command, "--help"], env={})
        assert done.returncode == 0
        assert "Example:" in done.stdout
