"""`--demo`: a demo user with a running paper bot, made through the API as any client would."""

from __future__ import annotations

import json
import os
import secrets
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from nija_common.errors import SettingsError

EMAIL = "demo@nija.example"
CREDENTIALS_FILE = "demo-credentials.json"


def prepare(address: str, data_dir: Path) -> list[str]:
    """Registers the demo user where there is none, starts its bot, and answers the lines to print."""
    password = _password(data_dir / CREDENTIALS_FILE)
    register = {"email": EMAIL, "password": password, "full_name": "Demo Trader", "accept_terms": True}
    _call(address, "POST", "/auth/register", register, allow=("EMAIL_ALREADY_EXISTS",))
    answer = _call(address, "POST", "/auth/login", {"email": EMAIL, "password": password})
    token = answer["access_token"]
    _call(address, "PUT", "/config/settings", {"trading": {"allowed_pairs": ["BTC-USD"]}}, token)
    start = {"broker": "coinbase", "paper_trading": True, "risk_profile": "high"}
    _call(address, "POST", "/trading/start", start, token, allow=("ALREADY_RUNNING", "KILL_SWITCH_ACTIVE"))
    return [f"demo user {EMAIL} password {password}"]


def _password(path: Path) -> str:
    """The demo user's password: made once, kept in the data folder for its owner only."""
    if path.exists():
        return str(json.loads(path.read_text("utf-8"))["password"])
    password = secrets.token_urlsafe(18)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump({"email": EMAIL, "password": password}, file)
    return password


def _call(
    address: str, method: str, path: str, body: dict[str, Any], token: str | None = None, allow: tuple[str, ...] = ()
) -> Any:
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(f"{address}/api/v1{path}", json.dumps(body).encode(), headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)["data"]
    except urllib.error.HTTPError as error:
        told = json.loads(error.read())["error"]
        if told["code"] in allow:
            return None
        raise SettingsError(
            f"the demo could not be prepared: {method} {path}: {told['code']} {told['message']}"
        ) from None
