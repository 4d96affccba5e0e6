"""The package as a user gets it: generated parts that are fresh, the reference's snippet, a wheel that installs."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from nija_cli.sdks.__main__ import files
from nija_common.testing.client import ApiClient
from nija_common.testing.fixtures_infra import missing
from nija_common.testing.platforms import wait_for
from nija_common.testing.processes import Unavailable

ROOT = Path(__file__).parents[3]
SDK = ROOT / "sdks" / "python"

SNIPPET = """\
from nija_sdk import NIJAClient
# Initialize client
client = NIJAClient(api_key="your_jwt_token")
# Start trading
response = client.trading.start(
    broker="coinbase",
    paper_trading=False
)
# Get positions
positions = client.account.positions()
# Subscribe to WebSocket updates
@client.ws.on("position_update")
def on_position_update(data):
    print(f"Position update: {data}")
client.ws.connect()
"""
"""The API reference's, word for word, with the indentation that the reference has lost."""


def test_checked_in_sources_are_what_the_api_document_generates() -> None:
    stale = [path for path, text in files().items() if (ROOT / path).read_text("utf-8") != text]
    assert not stale, f"run `make sdks`: {', '.join(map(str, stale))}"


def test_the_snippet_of_the_reference_starts_looks_and_prints_position_updates(
    account: ApiClient, base_url: str, tmp_path: Path
) -> None:
    _run_on_paper(sys.executable, account, base_url, tmp_path)


def test_the_snippet_of_the_reference_asks_for_live_trading_which_a_trial_has_not(
    account: ApiClient, base_url: str, tmp_path: Path
) -> None:
    script = tmp_path / "snippet.py"
    script.write_text(SNIPPET.replace("your_jwt_token", account.token or ""))
    done = subprocess.run(
        [sys.executable, str(script)], env=_env(base_url), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "nija_sdk.errors.PaymentRequired: SUBSCRIPTION_REQUIRED" in done.stderr


@pytest.mark.slow
def test_the_built_wheel_installs_into_an_empty_environment_and_runs_the_snippet(
    account: ApiClient, base_url: str, tmp_path: Path
) -> None:
    dist, environment = tmp_path / "dist", tmp_path / "venv"
    python = environment / "bin" / "python"
    _uv("build", "--quiet", "--out-dir", str(dist), str(SDK))
    (wheel,) = dist.glob("*.whl")
    _uv("venv", "--quiet", "--python", sys.executable, str(environment))
    _uv("pip", "install", "--quiet", "--python", str(python), str(wheel))
    _run_on_paper(str(python), account, base_url, tmp_path)


def _run_on_paper(python: str, account: ApiClient, base_url: str, folder: Path) -> None:
    """The snippet with a token, on paper; an alert opens the position whose updates it prints; Ctrl-C ends it."""
    account.ok("PUT", "/config/settings", {"trading": {"allowed_pairs": ["BTC-USD"]}})
    key = account.ok("POST", "/config/webhook-key")["webhook_key"]
    script = folder / "snippet.py"
    text = SNIPPET.replace("your_jwt_token", account.token or "")
    script.write_text(text.replace("paper_trading=False", "paper_trading=True"))
    with _running(python, script, base_url) as said:
        wait_for("the bot runs", lambda: account.ok("GET", "/trading/status")["status"] == "running", every=0.2)
        account.ok(
            "POST",
            "/webhooks/tradingview",
            {"symbol": "BTC-USD", "action": "buy", "strategy": "APEX_V72", "api_key": key},
        )
        wait_for("an update is printed", lambda: "Position update: {" in said.read_text(), every=0.1)


def _interrupted(process: subprocess.Popen[bytes]) -> bool:
    """Ctrl-C, again where the first met the script between `connect` and its end: that one only ends the script."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(2)
    except subprocess.TimeoutExpired:
        return False
    return True


@contextmanager
def _running(python: str, script: Path, base_url: str) -> Iterator[Path]:
    said = script.with_suffix(".out")
    with said.open("wb") as out:
        process = subprocess.Popen(
            [python, "-u", str(script)],
            env=_env(base_url),
            stdout=out,
            stderr=out,
            cwd=script.parent,
            # A shell without a terminal starts what runs in the background with Ctrl-C ignored; that is inherited.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
    try:
        yield said
        wait_for("Ctrl-C ends it", lambda: _interrupted(process), every=0.0)
    finally:
        process.kill()
        process.wait()
        print(said.read_text())  # noqa: T201 - pytest shows it where the test fails


def _env(base_url: str) -> Mapping[str, str]:
    return {**{name: value for name, value in os.environ.items() if name != "PYTHONPATH"}, "NIJA_BASE_URL": base_url}


def _uv(*arguments: str) -> None:
    """uv, which also set this environment up: from its cache, else from the package index."""
    local = ROOT / ".tools" / "uv" / "bin" / "uv"
    uv = str(local) if local.exists() else shutil.which("uv")
    if uv is None:
        missing("The wheel's test", Unavailable("there is no uv"))
    for more in (["--offline"], []):
        done = subprocess.run([str(uv), *arguments, *more], capture_output=True, text=True, timeout=100, check=False)
        if done.returncode == 0:
            return
    missing("The wheel's test", Unavailable(done.stderr.strip()[-500:]))
