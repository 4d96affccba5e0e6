"""An administrator finds a new account, sees the platform's figures and the audit log, and the log is whole. On
the other kind of platform the gate's walk reads the same."""

from __future__ import annotations

from typing import Any

import pytest

from nija_common.testing.client import ApiClient
from nija_common.testing.platforms import Distributed, Embedded, run_nija, wait_for

ADMIN = ("root@nija.example", "Quiet-Harbour-Lantern-71")


@pytest.mark.parametrize("platform", ["embedded"], indirect=True)
def test_an_administrator_reads_accounts_figures_and_a_whole_audit_log(platform: Embedded | Distributed) -> None:
    platform.create_admin(*ADMIN)
    with ApiClient(platform.url).register("ada.lovelace@mail.example.com") as ada, ApiClient(platform.url) as root:
        root.token = root.ok("POST", "/auth/login", {"email": ADMIN[0], "password": ADMIN[1]})["access_token"]

        def logged_in() -> Any:
            logs = root.ok("GET", f"/admin/audit-logs?user_id={ada.user_id}&event_type=user_login")["logs"]
            return logs[0] if logs else None

        login = wait_for("her login is in the audit log", logged_in, every=0.3)
        assert login["metadata"] == {"login_method": "email_password", "success": True}
        for search in ("lovelace", "mail.example.com", ada.user_id):
            found = root.ok("GET", f"/admin/users?search={search}&tier=free&status=active")
            assert [user["user_id"] for user in found["users"]] == [ada.user_id]
            assert found["pagination"]["total_items"] == 1
        user = root.ok("GET", f"/admin/users/{ada.user_id}")["user"]
        assert (user["email"], user["last_active"]) == (ada.email, login["timestamp"])
        wait_for("both are counted", lambda: _counted(root) == (2, 2, 2), every=0.3)
        assert ada.get("/admin/metrics").code == "UNAUTHORIZED"
    folder = ["--data-dir", str(platform.data_dir)] if isinstance(platform, Embedded) else []
    verified = run_nija(["admin", "verify-audit", *folder], env=platform.env)
    assert (verified.returncode, verified.stderr) == (0, "")
    assert verified.stdout.startswith("the audit log is whole: ")


def _counted(root: ApiClient) -> tuple[int, int, int]:
    users = root.ok("GET", "/admin/metrics")["users"]
    return users["total"], users["active_today"], users["free"]
