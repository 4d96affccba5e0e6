"""`nija backup` and `nija restore` as an operator meets them."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from nija_auth.domain.documents import Session
from nija_auth.service import SERVICE as AUTH
from nija_cli.main import app
from nija_common.events.identity import UserSnapshot
from nija_common.runtime.key_encryption import KEY_FILE, KeyFile
from nija_common.storage.sqlite_backup import incarnation_of, inspect
from nija_common.testing import TestPlatform, start_platform
from nija_common.testing.long_run import LONG
from nija_common.testing.platforms import nija_command, run_nija
from nija_common.values.clock import SystemClock
from nija_trading.domain.controls import GLOBAL, GlobalSwitch
from nija_trading.service import SERVICE as TRADING

PASSWORD = "Copper-Meadow-Station-42"
SCRIPT = Path(__file__).with_name("killed_restore.py")


EVERY = 1 if LONG else 3


def nija(*arguments: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    """In this process."""
    done = CliRunner().invoke(app, [str(argument) for argument in arguments], env=env)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return subprocess.CompletedProcess(["nija"], done.exit_code, done.stdout, done.stderr)


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither the machine's nor a `.env` beside the checkout."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("NIJA_")]:
        monkeypatch.delenv(name)


async def signed_in(platform: TestPlatform, email: str) -> Any:
    """A new account's tokens and id."""
    client = platform.client("auth")
    body = {"email": email, "password": PASSWORD, "full_name": "Ada Trader", "accept_terms": True}
    user_id = (await client.post("/api/v1/auth/register", json=body)).json()["data"]["user_id"]
    answer = await client.post("/api/v1/auth/login", json={"email": email, "password": PASSWORD})
    return {**answer.json()["data"], "user_id": user_id}


@pytest.fixture(scope="module")
def backed_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a backup taken beside a running platform (`backup`), and the data folder as it was left (`old`)."""
    folder = tmp_path_factory.mktemp("backed-up")

    async def main() -> None:
        async with start_platform(folder / "old", [AUTH], clock=SystemClock()) as platform:
            await signed_in(platform, "before@nija.example")
            arguments = ["backup", "--to", str(folder / "backup"), "--data-dir", str(folder / "old")]
            done = await asyncio.to_thread(run_nija, arguments, env={})
            assert done.returncode == 0, done.stderr
            assert f"{folder / 'backup'}: " in done.stdout and "incarnation 1" in done.stdout
            assert f"keep a copy of {folder / 'old' / KEY_FILE} elsewhere" in done.stdout
            await signed_in(platform, "after@nija.example")

    asyncio.run(main())
    return folder


def fresh(backed_up: Path, tmp_path: Path) -> Path:
    """An empty data folder, but for the key."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / KEY_FILE).write_bytes((backed_up / "old" / KEY_FILE).read_bytes())
    return folder


def test_the_file_is_its_owners_and_names_nothing_secret(backed_up: Path) -> None:
    file = backed_up / "backup"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sorted(path.name for path in backed_up.iterdir()) == ["backup", "old"]
    key = (backed_up / "old" / KEY_FILE).read_text().strip()
    assert key.encode() not in file.read_bytes() and base64.b64decode(key) not in file.read_bytes()
    assert inspect(file).keys == ()


async def test_restored_nobody_is_signed_in_and_everything_else_is_there(backed_up: Path, tmp_path: Path) -> None:
    folder = fresh(backed_up, tmp_path)
    arguments = ["restore", "--from", str(backed_up / "backup"), "--data-dir", str(folder), "--halt"]
    done = await asyncio.to_thread(run_nija, arguments, env={})
    assert done.returncode == 0, done.stderr
    assert "1 sessions have ended" in done.stdout and "the kill switch is on" in done.stdout
    assert {path.name for path in folder.iterdir()} == {KEY_FILE, "nija.sqlite3", "nija.sqlite3.lock"}
    async with start_platform(folder, [AUTH, TRADING], clock=SystemClock()) as platform:
        assert (await platform.node.running["auth"].storage.find(Session, "by_expiry", limit=5)).items == ()
        answer = await platform.client("auth").post(
            "/api/v1/auth/login", json={"email": "before@nija.example", "password": PASSWORD}
        )
        assert answer.status_code == 200
        await signed_in(platform, "new@nija.example")
        people = {r.event.email: r.revision[0] for r in await platform.received(UserSnapshot)}
        assert people.keys() == {"before@nija.example", "new@nija.example"}
        assert people["before@nija.example"] == 1 and people["new@nija.example"] > 200_000_000
        switch = await platform.node.running["trading-engine"].storage.get(GlobalSwitch, GLOBAL)
        assert switch is not None and switch.active


def test_restoring_once_more_is_newer_than_what_was_restored_before(backed_up: Path, tmp_path: Path) -> None:
    folder = fresh(backed_up, tmp_path)
    lives = [1]
    for force in ([], ["--force"]):
        done = nija("restore", "--from", backed_up / "backup", "--data-dir", folder, *force)
        assert done.returncode == 0, done.stderr
        lives.append(incarnation_of(folder / "nija.sqlite3") or 0)
    assert lives == sorted(set(lives))


def test_what_cannot_be_restored_is_told_in_one_line_and_changes_nothing(backed_up: Path, tmp_path: Path) -> None:
    whole, folder = (backed_up / "backup").read_bytes(), fresh(backed_up, tmp_path)
    before = {path: path.read_bytes() for path in (backed_up / "old").iterdir() if path.suffix != ".lock"}
    places = {
        "is no backup": b"something else",
        "is damaged": whole[: len(whole) // 2],
        "are not what was backed up": whole.replace(b"Ada Trader", b"Eve Trader"),
    }
    for text, content in places.items():
        (tmp_path / "file").write_bytes(content)
        for target in (folder, backed_up / "old"):
            done = nija("restore", "--from", tmp_path / "file", "--data-dir", target, "--force")
            assert (done.returncode, done.stdout) == (1, "")
            assert text in done.stderr and done.stderr.count("\n") == 1, done.stderr
    taken = nija("restore", "--from", backed_up / "backup", "--data-dir", backed_up / "old")
    assert taken.returncode == 1 and "--force puts the backup in its place" in taken.stderr
    assert {path: path.read_bytes() for path in before} == before
    assert [path.name for path in folder.iterdir()] == [KEY_FILE]


def test_without_its_key_a_backup_is_not_restored_and_with_the_key_in_it_it_is(backed_up: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    done = nija("restore", "--from", backed_up / "backup", "--data-dir", other)
    assert done.returncode == 1 and f"put the {KEY_FILE} of that platform into {other}" in done.stderr
    assert not (other / "nija.sqlite3").exists()
    done = nija("backup", "--to", tmp_path / "with-key", "--data-dir", backed_up / "old", "--with-key")
    assert done.returncode == 0 and "keep the file as you keep the key" in done.stdout
    KeyFile(other / KEY_FILE).make()
    own = KeyFile(other / KEY_FILE)()
    done = nija("restore", "--from", tmp_path / "with-key", "--data-dir", other)
    assert done.returncode == 0, done.stderr
    assert KeyFile(other / KEY_FILE)() == (*KeyFile(backed_up / "old" / KEY_FILE)(), *own)
    # The key may stand in the settings as well, then nothing is asked of the folder.
    key = (backed_up / "old" / KEY_FILE).read_text().strip()
    done = nija("restore", "--from", backed_up / "backup", "--data-dir", tmp_path / "x", NIJA_KEY_ENCRYPTION_KEY=key)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "x" / KEY_FILE).exists()


def test_a_backup_replaces_nothing_and_needs_a_platform(backed_up: Path, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("mine")
    for arguments, text in (
        (("--to", tmp_path / "there", "--data-dir", backed_up / "old"), "is there already"),
        (("--to", tmp_path / "b", "--data-dir", tmp_path / "none"), "there is no platform in"),
        (("--to", tmp_path / "none" / "b", "--data-dir", backed_up / "old"), "there is no such folder"),
    ):
        done = nija("backup", *arguments)
        assert done.returncode == 1 and text in done.stderr and done.stderr.count("\n") == 1
    assert (tmp_path / "there").read_text() == "mine"
    done = nija("backup", "--to", tmp_path / "b", NIJA_STORE="mongodb", NIJA_BUS="kafka")
    assert done.returncode == 1 and "MongoDB has tools of its own" in done.stderr


@pytest.mark.slow
def test_a_backup_that_is_broken_off_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    with closing(sqlite3.connect(folder / "nija.sqlite3", isolation_level=None)) as connection:
        connection.execute("CREATE TABLE big (id INTEGER PRIMARY KEY, body BLOB)")
        connection.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 25) "
            "INSERT INTO big SELECT i, randomblob(1000000) FROM n"
        )
    target = tmp_path / "backups"
    target.mkdir()
    process = subprocess.Popen(
        [nija_command(), "backup", "--to", str(target / "b"), "--data-dir", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"PATH": os.environ["PATH"]},
    )
    while process.poll() is None and not any(file.stat().st_size for file in target.iterdir()):
        os.sched_yield()
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 1 and "nothing was backed up" in said, said
    assert list(target.iterdir()) == []


@pytest.mark.slow
def test_killed_anywhere_a_restore_leaves_the_old_platform_or_the_new_one(backed_up: Path, tmp_path: Path) -> None:
    (tmp_path / "old").symlink_to(backed_up / "old")
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(backed_up / "backup"), str(tmp_path), str(EVERY)],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"]},
    )
    assert done.returncode == 0, done.stderr
    alive = int(done.stdout.splitlines()[-1])
    tries = range(1, alive + 1, EVERY)
    assert alive > 5
    lives = [incarnation_of(tmp_path / str(n) / "nija.sqlite3") for n in tries]
    assert lives[0] == 1 and None not in lives and (lives[-1] or 0) > 200_000_000
    for n, life in zip(tries, lives, strict=True):
        with closing(sqlite3.connect(tmp_path / str(n) / "nija.sqlite3")) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            users = connection.execute("SELECT count(*) FROM auth__users").fetchone()[0]
        assert users == (2 if life == 1 else 1)
    # What a killed one has left behind is cleared away by the next.
    killed = tmp_path / str(tries[1])
    again = nija("restore", "--from", backed_up / "backup", "--data-dir", killed, "--force")
    assert again.returncode == 0, again.stderr
    assert not (killed / ".restoring").exists()
