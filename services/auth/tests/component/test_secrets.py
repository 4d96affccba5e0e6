"""No secret of a person is in the store, the log of events, the log lines or a `repr` (planted, then searched for)."""

from __future__ import annotations

import ast
import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import nija_auth
from nija_auth.domain.documents import Keyring, Session, User
from nija_auth.handlers.admins import CreateAdmin, create_admin
from nija_common.telemetry.logging import configure_logging

PASSWORDS = {
    "first": "Canary-Violet-Harbour-31",
    "wrong": "Canary-Wrong-Lantern-77x",
    "weak": "canarycanary",
    "changed": "Canary-Quartz-Orchard-52",
    "reset": "Canary-Saffron-Timber-83",
    "admin": "Canary-Indigo-Glacier-64",
}


@pytest.fixture
def every_line_logged() -> Iterator[None]:
    configure_logging("debug")
    yield
    configure_logging("warning")


async def walk(auth: Any) -> list[str]:
    """Every route, refused and accepted; the tokens that were given out."""
    p = PASSWORDS
    assert (await auth.register(password=p["weak"])).status_code == 400
    assert (await auth.register(password=p["first"])).status_code == 201
    assert (await auth.register(password=p["first"])).status_code == 409
    assert (await auth.login(password=p["wrong"])).status_code == 401
    assert (await auth.login("nobody@nija.example", p["wrong"])).status_code == 401
    session, other = await auth.signed_in(password=p["first"]), await auth.signed_in(password=p["first"])
    token = session["access_token"]
    refreshed = (await auth.refresh(session)).json()["data"]["access_token"]
    for current, new, status in (
        (p["wrong"], p["changed"], 401),
        (p["first"], p["weak"], 400),
        (p["first"], p["changed"], 200),
    ):
        body = {"current_password": current, "new_password": new}
        assert (await auth.call("PUT", "change-password", body, token=token)).status_code == status
    link = await auth.mailed_token()
    for given, status in (("Canary-no-such-link-12345", 401), (link, 200), (link, 401)):
        body = {"token": given, "new_password": p["reset"]}
        assert (await auth.call("POST", "reset-password/confirm", body)).status_code == status
    last = await auth.signed_in(password=p["reset"])
    assert (await auth.call("POST", "logout", {}, token=last["access_token"])).status_code == 200
    assert (await auth.call("POST", "logout", {}, token=token + "x")).status_code == 401
    await create_admin(auth.deps, CreateAdmin("root@nija.example", p["admin"]))
    return [s[name] for s in (session, other, last) for name in ("access_token", "refresh_token")] + [refreshed, link]


async def test_planted_secrets_are_found_nowhere(
    auth: Any, on_disk: Any, every_line_logged: None, caplog: pytest.LogCaptureFixture
) -> None:
    given = await walk(auth)
    key = (await auth.deps.people.keyring()).keys[0]
    private = auth.deps.sealer.open(key.sealed, bound_to=f"auth/signing-key/{key.key_id}")
    # Whatever goes wrong inside is logged with its traceback.
    auth.deps.passwords.close()
    assert (await auth.login(password=PASSWORDS["reset"])).status_code == 500
    assert (await auth.register("eve@nija.example", password=PASSWORDS["first"])).status_code == 500
    logged = caplog.text
    assert logged.count("unexpected_error") == 2
    stored = on_disk()
    assert b"ada@nija.example" in stored, "what is stored can be searched"
    for secret in (*PASSWORDS.values(), *given):
        forms = {secret, base64.b64encode(secret.encode()).decode().rstrip("=")}
        assert not [form for form in forms if form.encode() in stored]
        assert not [form for form in forms if form in logged]
    for form in (private, private.hex().encode(), base64.b64encode(private), base64.urlsafe_b64encode(private)):
        assert form.rstrip(b"=") not in stored
    users = (await auth.deps.people.storage.find(User, "by_email", limit=10)).items
    assert not [user for user in users if user.password_hash in logged]


async def test_nothing_that_is_kept_or_carried_shows_a_secret_in_its_repr(auth: Any, ada: str) -> None:
    await auth.signed_in()
    user = await auth.user()
    session = await auth.deps.people.newest_session(ada)
    ring = await auth.deps.people.keyring()
    assert isinstance(session, Session) and isinstance(ring, Keyring)
    for value, secret in (
        (user, user.password_hash),
        (session, session.refresh_hash),
        (ring, ring.keys[0].sealed),
        (auth.deps, "nija-kek"),
    ):
        assert secret not in repr(value)


def test_fields_that_carry_a_secret_are_left_out_of_repr() -> None:
    """Read from the source, so that the next command with a password is held to it as well."""
    shown = []
    for path in Path(nija_auth.__file__).parent.rglob("*.py"):
        tree = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for kind in (node for node in tree if isinstance(node, ast.ClassDef)):
            for line in kind.body:
                if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
                    secret = any(word in line.target.id for word in ("password", "_hash", "access_token", "sealed"))
                    text = ast.unparse(line)
                    if secret and "str" in text and "repr=False" not in text and "SecretStr" not in text:
                        shown.append(f"{kind.name}: {text}")
    assert shown == ["_Reset: token_hash: str"], "a row's id is no secret: it opens nothing"
