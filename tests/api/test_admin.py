"""`/admin/*` but for the kill switch, which is with the rest of trading."""

from __future__ import annotations

from collections.abc import Callable

from nija_common.testing.client import PASSWORD, Answer, ApiClient
from nija_common.testing.platforms import wait_for

Refused = Callable[[Answer, int, str], None]


def test_get_admin_users__success(admin: ApiClient, user: ApiClient) -> None:
    listed = wait_for("it is listed", lambda: admin.ok("GET", f"/admin/users?search={user.email}&per_page=5")["users"])
    assert [row["user_id"] for row in listed] == [user.user_id]
    assert (listed[0]["subscription_tier"], listed[0]["status"]) == ("free", "active")


def test_get_admin_users_by_id__success(admin: ApiClient, user: ApiClient) -> None:
    path = f"/admin/users/{user.user_id}"
    wait_for("it is known", lambda: admin.get(path).status == 200)
    shown = admin.ok("GET", path)["user"]
    assert (shown["email"], shown["trading"]["total_trades"], shown["brokers"]) == (user.email, 0, [])


def test_get_admin_users_by_id__not_found(admin: ApiClient, refused: Refused) -> None:
    refused(admin.get("/admin/users/usr_nobody"), 404, "NOT_FOUND")


def test_put_admin_users_by_id__success(admin: ApiClient, user: ApiClient) -> None:
    assert user.get("/trading/status").headers["x-ratelimit-limit"] == "100"
    answer = admin.put(f"/admin/users/{user.user_id}", {"subscription_tier": "enterprise", "notes": "drill"})
    assert (answer.status, answer.data) == (200, {"message": "User updated successfully"})
    wait_for("it holds", lambda: user.get("/trading/status").headers["x-ratelimit-limit"] == "500", every=0.2)


def test_put_admin_users_by_id__not_found(admin: ApiClient, refused: Refused) -> None:
    refused(admin.put("/admin/users/usr_nobody", {"status": "active"}), 404, "NOT_FOUND")


def test_get_admin_metrics__success(admin: ApiClient, user: ApiClient) -> None:
    figures = wait_for("users are counted", lambda: admin.ok("GET", "/admin/metrics"))
    assert set(figures) == {"users", "trading", "system", "revenue"}
    wait_for("users are counted", lambda: admin.ok("GET", "/admin/metrics")["users"]["total"] > 0, every=0.2)


def test_get_admin_audit_logs__success(admin: ApiClient, user: ApiClient) -> None:
    user.ok("POST", "/auth/login", {"email": user.email, "password": PASSWORD})
    query = f"/admin/audit-logs?user_id={user.user_id}&event_type=user_login&start_date=2020-01-01&end_date=2999-01-01"
    logs = wait_for("it is written", lambda: admin.ok("GET", query)["logs"], every=0.2)
    assert {(row["user_id"], row["event_type"]) for row in logs} == {(user.user_id, "user_login")}
