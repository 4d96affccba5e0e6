"""The TypeScript SDK as a user gets it: packed, installed into an empty project, run by Node against the platform.

Needs Node 20 or newer and what `npm ci` puts into sdks/typescript/node_modules (`make setup` does it where Node is).
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from nija_common.testing.client import ApiClient
from nija_common.testing.fixtures_infra import common_folder, missing
from nija_common.testing.platforms import Embedded, wait_for
from nija_common.testing.processes import Unavailable

SDK = Path(__file__).parents[1]
TESTS = SDK / "tests"

SNIPPET = """\
import { NIJAClient } from '@nija/sdk';
// Initialize client
const client = new NIJAClient({
apiKey: 'your_jwt_token'
});
// Start trading
const response = await client.trading.start({
broker: 'coinbase',
paperTrading: false
});
// Get positions
const positions = await client.account.positions();
// Subscribe to WebSocket
client.ws.on('position_update', (data) => {
console.log('Position update:', data);
});
await client.ws.connect();
"""
"""The API reference's, word for word."""


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty project with the packed SDK installed; one for all workers of a run."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        missing("The TypeScript SDK's test", Unavailable("there is no Node with npm on PATH"))
    if not (SDK / "node_modules" / "typescript").is_dir():
        missing("The TypeScript SDK's test", Unavailable("`npm ci` has not run in sdks/typescript"))
    folder = common_folder(tmp_path_factory) / "typescript"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = folder / "project"
        if not (folder / "ready").exists():
            _install(_packed(folder), made)
            (folder / "ready").touch()
    return made


def _packed(folder: Path) -> Path:
    """The tarball, built from a copy: the checkout stays as it is."""
    copy = folder / "package"
    shutil.copytree(SDK, copy, ignore=shutil.ignore_patterns("node_modules", "dist", "tests", "*.tgz"))
    (copy / "node_modules").symlink_to(SDK / "node_modules")
    _npm(["pack", "--pack-destination", str(folder)], copy)
    (tarball,) = folder.glob("*.tgz")
    return tarball


def _install(tarball: Path, project: Path) -> None:
    project.mkdir()
    (project / "package.json").write_text('{"private": true, "type": "module"}')
    _npm(["install", "--offline", "--no-audit", "--no-fund", str(tarball)], project)
    # Node 20 has no WebSocket of its own: the optional peer.
    shutil.copytree(SDK / "node_modules" / "ws", project / "node_modules" / "ws")
    for script in TESTS.glob("*.mjs"):
        shutil.copy(script, project)


def _npm(arguments: list[str], cwd: Path) -> None:
    done = subprocess.run(["npm", *arguments], cwd=cwd, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="session")
def compiled(project: Path) -> str:
    """The snippet, word for word, through the strict compiler, against the installed package's types."""
    folder = project / f"snippet-{os.getpid()}"
    folder.mkdir()
    (folder / "snippet.ts").write_text(SNIPPET)
    compiler = str(SDK / "node_modules" / "typescript" / "bin" / "tsc")
    command = ["node", compiler, "--strict", "--target", "es2022", "--module", "nodenext", "snippet.ts"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout
    return (folder / "snippet.js").read_text()


@pytest.fixture(scope="session")
def env(base_url: str, administrator: tuple[str, str]) -> Mapping[str, str]:
    told = {"NIJA_BASE_URL": base_url, "NIJA_TEST_ADMIN_EMAIL": administrator[0]}
    return {**os.environ, **told, "NIJA_TEST_ADMIN_PASSWORD": administrator[1]}


@pytest.mark.parametrize("name", ["operations", "faults", "live"])
def test_what_node_finds(name: str, project: Path, env: Mapping[str, str]) -> None:
    command = ["node", "--test", "--test-timeout=60000", f"{name}.test.mjs"]
    done = subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "# fail 0" in done.stdout or "ℹ fail 0" in done.stdout


def test_after_the_platform_was_killed_the_socket_goes_on_where_it_was(
    project: Path, env: Mapping[str, str], platform: Embedded
) -> None:
    pipe = subprocess.PIPE
    with subprocess.Popen(["node", "restart.mjs"], cwd=project, env=env, stdin=pipe, stdout=pipe, text=True) as node:
        try:
            assert node.stdin is not None
            assert node.stdout is not None
            assert node.stdout.readline() == "opened\n"
            platform.process.kill()
            platform.start()
            node.stdin.write("go on\n")
            node.stdin.flush()
            assert node.stdout.readline() == "opened closed\n"
            assert node.wait(20) == 0
        finally:
            node.kill()


def test_the_snippet_of_the_reference_compiles_starts_and_prints_position_updates(
    project: Path, compiled: str, env: Mapping[str, str], account: ApiClient
) -> None:
    script = _script(project, compiled.replace("paperTrading: false", "paperTrading: true"), account)
    account.ok("PUT", "/config/settings", {"trading": {"allowed_pairs": ["BTC-USD"]}})
    key = account.ok("POST", "/config/webhook-key")["webhook_key"]
    said = Path(script).with_suffix(".out")
    with (
        said.open("w") as out,
        subprocess.Popen(["node", script], cwd=project, env=env, stdout=out, stderr=out) as node,
    ):
        try:
            wait_for("it runs", lambda: account.ok("GET", "/trading/status")["status"] == "running", every=0.2)
            alert = {"symbol": "BTC-USD", "action": "buy", "strategy": "APEX_V72", "api_key": key}
            account.ok("POST", "/webhooks/tradingview", alert)
            wait_for("an update is printed", lambda: "Position update: {" in said.read_text(), every=0.1)
            node.send_signal(signal.SIGINT)
            node.wait(10)
        finally:
            node.kill()


def test_the_snippet_of_the_reference_asks_for_live_trading_which_a_trial_has_not(
    project: Path, compiled: str, env: Mapping[str, str], account: ApiClient
) -> None:
    script = _script(project, compiled, account)
    done = subprocess.run(
        ["node", script], cwd=project, env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "PaymentRequired: SUBSCRIPTION_REQUIRED" in done.stderr


def test_it_loads_as_commonjs_and_as_a_module(project: Path) -> None:
    names = "[typeof sdk.NIJAClient, typeof sdk.AuthenticationFailed, Object.keys(new sdk.NIJAClient()).length > 7]"
    told = [
        ["--input-type=commonjs", "-e", f"const sdk = require('@nija/sdk'); console.log(JSON.stringify({names}))"],
        ["--input-type=module", "-e", f"import * as sdk from '@nija/sdk'; console.log(JSON.stringify({names}))"],
    ]
    for arguments in told:
        done = subprocess.run(["node", *arguments], cwd=project, capture_output=True, text=True, timeout=30, check=True)
        assert json.loads(done.stdout) == ["function", "function", True]


def test_the_modules_need_nothing_that_a_browser_lacks(project: Path) -> None:
    built = project / "node_modules" / "@nija" / "sdk"
    package = json.loads((built / "package.json").read_text())
    assert "dependencies" not in package
    for module in (built / "dist" / "esm").glob("*.js"):
        text = module.read_text()
        found = re.findall(r"""from ['"]([^'"]+)['"]""", text)
        assert all(name.startswith("./") and name.endswith(".js") for name in found), module
        assert not re.search(r"node:|\brequire\(|\bBuffer\b|__dirname", text), module
    assert {path.name for path in built.iterdir()} == {"dist", "package.json", "README.md", "LICENSE"}


def test_no_address_of_a_package_registry_is_written_down() -> None:
    lock = (SDK / "package-lock.json").read_text()
    assert "integrity" in lock
    assert "resolved" not in lock
    assert "http" not in lock


def _script(project: Path, compiled: str, account: ApiClient) -> str:
    """The compiled snippet with a token of one's own in the place of `your_jwt_token`; answers the script's path."""
    script = project / f"{account.user_id}.js"
    script.write_text(compiled.replace("your_jwt_token", account.token or ""))
    return str(script)
