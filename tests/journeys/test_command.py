"""`nija up --demo`, `nija admin create` and the drain, as a user meets them."""

from __future__ import annotations

import re
import stat
import sys
from pathlib import Path

import httpx
import pytest

from nija_common.testing.client import ApiClient
from nija_common.testing.platforms import Embedded, run_nija, wait_for

ADMIN = ("admin@nija.example", "Quiet-Harbour-Lantern-71")


def sign_in(platform: Embedded) -> ApiClient:
    """Signed in with the credentials that the platform printed."""
    line = next(line for line in platform.process.said.splitlines() if line.startswith("demo user "))
    _, _, email, _, password = line.split()
    client = ApiClient(platform.url)
    client.token = client.ok("POST", "/auth/login", {"email": email, "password": password})["access_token"]
    return client


@pytest.mark.slow
def test_the_demo_prints_a_sign_in_that_works_and_survives_a_restart(tmp_path: Path) -> None:
    with Embedded(tmp_path, options=["--demo"], forked=False) as platform:
        said = platform.process.said.splitlines()
        assert said[-1] == f"ready {platform.url}"
        with sign_in(platform) as demo:
            status = wait_for("the demo bot runs", lambda: _running(demo), every=0.3)
            assert status["paper_trading"] is True
            first = demo.ok("GET", "/account/balance")
        assert platform.process.stop() == 0
        platform.start()
        with sign_in(platform) as demo:
            assert wait_for("the bot goes on", lambda: _running(demo), every=0.3)["broker"] == first["broker"]


def _running(client: ApiClient) -> dict[str, object]:
    status: dict[str, object] = client.ok("GET", "/trading/status")
    return status if status["status"] == "running" else {}


@pytest.mark.slow
def test_an_administrator_is_made_before_and_while_the_platform_runs(tmp_path: Path) -> None:
    platform = Embedded(tmp_path, options=["--market", "replay"])
    platform.create_admin(*ADMIN)
    secret_files = [platform.data_dir / "key-encryption.key"]
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in secret_files)
    with platform:
        assert _role_works(platform.url, *ADMIN)
        with ApiClient(platform.url).register() as user:
            assert user.call("POST", "/admin/kill-switch", {"reason": "drill"}).code == "UNAUTHORIZED"
            platform.create_admin(user.email, ADMIN[1])
            wait_for("the promotion ends the old session", lambda: user.get("/trading/status").code == "TOKEN_INVALID")
            assert _role_works(platform.url, user.email, ADMIN[1])
        refused = run_nija(
            ["admin", "create", "--email", "x@nija.example", "--password-stdin", "--data-dir", str(platform.data_dir)],
            env=platform.env,
            stdin="password1234\n",
        )
        assert refused.returncode == 1
        assert "too easy to guess" in refused.stderr


def _role_works(url: str, email: str, password: str) -> bool:
    with ApiClient(url) as admin:
        admin.token = admin.ok("POST", "/auth/login", {"email": email, "password": password})["access_token"]
        return admin.call("GET", "/admin/no-such-page").code == "NOT_FOUND"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_whole_platform_with_a_trading_bot_stays_below_250_mb(tmp_path: Path) -> None:
    with Embedded(tmp_path, options=["--demo"], forked=False) as platform, sign_in(platform) as demo:
        wait_for("the demo bot runs", lambda: _running(demo), every=0.3)
        (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{platform.process.pid}/status").read_text())
        assert int(peak) < 250 * 1024


@pytest.mark.slow
def test_health_metrics_and_the_front_page_answer(tmp_path: Path) -> None:
    with Embedded(tmp_path, options=["--market", "replay"]) as platform, httpx.Client(base_url=platform.url) as http:
        assert http.get("/livez").json() == {"status": "alive"}
        ready = http.get("/readyz")
        assert (ready.status_code, ready.json()["dependencies"]) == (200, {"store": "ok", "bus": "ok"})
        assert "nija_http_requests_total" in http.get("/metrics").text
        assert http.get("/").status_code == 200
        assert len(http.get("/.well-known/jwks.json").json()["keys"]) == 1
        sane = "a-sane-request-id"
        assert http.get("/api/v1/subscription/plans", headers={"X-Request-ID": sane}).headers["x-request-id"] == sane
