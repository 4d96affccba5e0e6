"""`/auth/*`: every operation and every documented error."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from nija_common.testing.client import PASSWORD, Answer, ApiClient
from nija_common.testing.platforms import Embedded, wait_for

Refused = Callable[[Answer, int, str], None]
NEW_PASSWORD = "Velvet-Anchor-Mosaic-88"


def person(**fields: Any) -> dict[str, Any]:
    email = f"p{secrets.token_hex(5)}@nija.example"
    return {"email": email, "password": PASSWORD, "full_name": "Ada Trader", "accept_terms": True, **fields}


def test_post_auth_register__success(anybody: ApiClient) -> None:
    body = person()
    answer = anybody.post("/auth/register", body)
    assert answer.status == 201
    assert answer.data["email"] == body["email"]
    assert (answer.data["subscription_tier"], answer.data["trial_active"]) == ("free", True)


def test_post_auth_register__email_already_exists(anybody: ApiClient, user: ApiClient, refused: Refused) -> None:
    refused(anybody.post("/auth/register", person(email=user.email.upper())), 409, "EMAIL_ALREADY_EXISTS")


def test_post_auth_register__invalid_email(anybody: ApiClient, refused: Refused) -> None:
    refused(anybody.post("/auth/register", person(email="nonsense")), 400, "INVALID_EMAIL")


@pytest.mark.parametrize("password", ["password1234", "short", "AdaTraderAdaTrader"])
def test_post_auth_register__weak_password(anybody: ApiClient, refused: Refused, password: str) -> None:
    refused(anybody.post("/auth/register", person(password=password)), 400, "WEAK_PASSWORD")


def test_post_auth_register__terms_not_accepted(anybody: ApiClient, refused: Refused) -> None:
    refused(anybody.post("/auth/register", person(accept_terms=False)), 400, "TERMS_NOT_ACCEPTED")


def test_post_auth_login__success(anybody: ApiClient, user: ApiClient) -> None:
    answer = anybody.post("/auth/login", {"email": user.email, "password": PASSWORD})
    assert answer.status == 200
    assert (answer.data["token_type"], answer.data["expires_in"]) == ("Bearer", 86400)
    assert answer.data["user"]["user_id"] == user.user_id


def test_post_auth_login__invalid_credentials(anybody: ApiClient, user: ApiClient, refused: Refused) -> None:
    for email in (user.email, "nobody@nija.example"):
        wrong = {"email": email, "password": "Wrong-Harbour-99x"}
        refused(anybody.post("/auth/login", wrong), 401, "INVALID_CREDENTIALS")


def test_post_auth_refresh__success(anybody: ApiClient, user: ApiClient) -> None:
    signed_in = anybody.ok("POST", "/auth/login", {"email": user.email, "password": PASSWORD})
    fresh = anybody.ok("POST", "/auth/refresh", {"refresh_token": signed_in["refresh_token"]})
    anybody.token = fresh["access_token"]
    assert anybody.get("/trading/status").status == 200


def test_post_auth_refresh__token_invalid(anybody: ApiClient, user: ApiClient, refused: Refused) -> None:
    for token in ("nonsense", user.token):
        refused(anybody.post("/auth/refresh", {"refresh_token": token}), 401, "TOKEN_INVALID")


def test_post_auth_logout__success(user: ApiClient) -> None:
    assert user.post("/auth/logout", {"revoke_all": False}).status == 200
    wait_for("the session has ended", lambda: user.get("/trading/status").code == "TOKEN_INVALID", 1.5)


def test_post_auth_reset_password__success(anybody: ApiClient, user: ApiClient) -> None:
    known = anybody.post("/auth/reset-password", {"email": user.email})
    stranger = anybody.post("/auth/reset-password", {"email": "nobody@nija.example"})
    assert (
        (known.status, known.data)
        == (stranger.status, stranger.data)
        == (200, {"message": "Password reset email sent"})
    )


def test_post_auth_reset_password_confirm__token_invalid(anybody: ApiClient, refused: Refused) -> None:
    body = {"token": "nonsense", "new_password": NEW_PASSWORD}
    refused(anybody.post("/auth/reset-password/confirm", body), 401, "TOKEN_INVALID")


def test_put_auth_change_password__success(anybody: ApiClient, user: ApiClient, refused: Refused) -> None:
    changed = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    assert user.put("/auth/change-password", changed).status == 200
    refused(anybody.post("/auth/login", {"email": user.email, "password": PASSWORD}), 401, "INVALID_CREDENTIALS")
    assert anybody.post("/auth/login", {"email": user.email, "password": NEW_PASSWORD}).status == 200


def test_put_auth_change_password__invalid_credentials(user: ApiClient, refused: Refused) -> None:
    wrong = {"current_password": "Wrong-Harbour-99x", "new_password": NEW_PASSWORD}
    refused(user.put("/auth/change-password", wrong), 401, "INVALID_CREDENTIALS")


def test_put_auth_change_password__weak_password(user: ApiClient, refused: Refused) -> None:
    weak = {"current_password": PASSWORD, "new_password": "password1234"}
    refused(user.put("/auth/change-password", weak), 400, "WEAK_PASSWORD")


def test_an_answer_to_broken_json_names_the_body(platform: Embedded) -> None:
    answer = httpx.post(
        f"{platform.url}/api/v1/auth/login", content=b'{"email": ', headers={"Content-Type": "application/json"}
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "VALIDATION_ERROR")


@pytest.fixture
def with_status(admin: ApiClient, user: ApiClient) -> Callable[[str], ApiClient]:
    """Gives the user that status; their sessions end."""

    def give(status: str) -> ApiClient:
        admin.ok("PUT", f"/admin/users/{user.user_id}", {"status": status, "notes": "drill"})
        return user

    return give


def test_post_auth_login__account_suspended(with_status: Callable[[str], ApiClient], refused: Refused) -> None:
    user = with_status("suspended")
    refused(user.post("/auth/login", {"email": user.email, "password": PASSWORD}), 403, "ACCOUNT_SUSPENDED")
    refused(
        with_status("active").post("/auth/login", {"email": user.email, "password": "wrong"}),
        401,
        "INVALID_CREDENTIALS",
    )
    assert user.post("/auth/login", {"email": user.email, "password": PASSWORD}).status == 200


def test_post_auth_login__account_disabled(with_status: Callable[[str], ApiClient], refused: Refused) -> None:
    user = with_status("disabled")
    refused(user.post("/auth/login", {"email": user.email, "password": PASSWORD}), 403, "ACCOUNT_DISABLED")


def refresh_token(user: ApiClient) -> dict[str, str]:
    signed_in = user.ok("POST", "/auth/login", {"email": user.email, "password": PASSWORD})
    return {"refresh_token": signed_in["refresh_token"]}


def test_post_auth_refresh__account_suspended(
    user: ApiClient, with_status: Callable[[str], ApiClient], refused: Refused
) -> None:
    token = refresh_token(user)
    refused(with_status("suspended").post("/auth/refresh", token), 403, "ACCOUNT_SUSPENDED")


def test_post_auth_refresh__account_disabled(
    user: ApiClient, with_status: Callable[[str], ApiClient], refused: Refused
) -> None:
    token = refresh_token(user)
    refused(with_status("disabled").post("/auth/refresh", token), 403, "ACCOUNT_DISABLED")
