"""Bodies that are not what a route takes: refused by name, in the envelope, without repeating what was sent."""

from __future__ import annotations

from typing import Any

import pytest

CANARY = "Canary-Violet-Harbour-31"
BODIES: dict[str, dict[str, Any]] = {
    "register": {"email": "eve@nija.example", "password": CANARY, "full_name": "Eve", "accept_terms": True},
    "login": {"email": "ada@nija.example", "password": CANARY},
    "refresh": {"refresh_token": CANARY},
    "logout": {"revoke_all": False},
    "reset-password": {"email": "ada@nija.example"},
    "reset-password/confirm": {"token": CANARY, "new_password": CANARY},
    "change-password": {"current_password": CANARY, "new_password": CANARY},
}


async def send(auth: Any, path: str, content: bytes) -> Any:
    token = (await auth.signed_in())["access_token"]
    client = auth.platform.client("auth", token)
    method = "PUT" if path == "change-password" else "POST"
    headers = {"content-type": "application/json"}
    return await client.request(method, f"/api/v1/auth/{path}", content=content, headers=headers)


async def send_json(auth: Any, path: str, body: Any) -> Any:
    token = (await auth.signed_in())["access_token"]
    return await auth.call("PUT" if path == "change-password" else "POST", path, body, token=token)


@pytest.mark.parametrize("path", BODIES)
async def test_a_body_that_is_no_json_object_is_refused(auth: Any, ada: str, expect_refusal: Any, path: str) -> None:
    broken = b'{"email": "' + CANARY.encode()
    for content in (broken, b"\xff\xfe", b"[]", b'"text"', b"7", b"NaN", b"[" * 900 + b"]" * 900, b"{}{}"):
        answer = await send(auth, path, content)
        expect_refusal(answer, 400, "VALIDATION_ERROR")
        assert CANARY not in answer.text


@pytest.mark.parametrize("path", BODIES)
async def test_a_misspelt_field_is_named_and_nothing_sent_is_repeated(
    auth: Any, ada: str, expect_refusal: Any, path: str
) -> None:
    for field in BODIES[path]:
        body = {(f"{name}x" if name == field else name): value for name, value in BODIES[path].items()}
        answer = await send_json(auth, path, body)
        expect_refusal(answer, 400, "VALIDATION_ERROR")
        assert answer.json()["error"]["details"][f"{field}x"] == "not a known field"
        assert CANARY not in answer.text


@pytest.mark.parametrize("path", BODIES)
async def test_a_field_of_another_type_is_named_and_nothing_sent_is_repeated(
    auth: Any, ada: str, expect_refusal: Any, path: str
) -> None:
    for field in BODIES[path]:
        for value in (7, None, [CANARY], {"a": CANARY}, ""):
            answer = await send_json(auth, path, {**BODIES[path], field: value})
            expect_refusal(answer, 400, "VALIDATION_ERROR")
            assert list(answer.json()["error"]["details"]) == [field]
            assert CANARY not in answer.text


@pytest.mark.parametrize("name", ["Eve\r\nBcc: x@nija.example", "Eve\x00", "Eve\u2028x", "\x1b[2J"])
async def test_a_name_that_would_break_a_line_of_a_mail_is_refused(auth: Any, expect_refusal: Any, name: str) -> None:
    expect_refusal(await auth.register(full_name=name), 400, "VALIDATION_ERROR")


@pytest.mark.parametrize("name", ["José Ñuñez", "علی\u200cرضا", "O'Brien-Smith, Jr.", "李小龍"])
async def test_names_of_any_script_are_taken(auth: Any, name: str) -> None:
    assert (await auth.register(full_name=name)).json()["data"]["full_name"] == name


@pytest.mark.parametrize(
    "email", ["a\x00b@nija.example", "\x00", "ada@nija.example\n", "\u202eada@nija.example", "%00"]
)
async def test_an_email_with_odd_characters_is_an_unknown_one(auth: Any, expect_refusal: Any, email: str) -> None:
    expect_refusal(await auth.login(email), 401, "INVALID_CREDENTIALS")
    assert (await auth.call("POST", "reset-password", {"email": email})).status_code == 200
    await auth.platform.run_loop("auth", "answer-resets")
    expect_refusal(await auth.register(email), 400, "INVALID_EMAIL")
