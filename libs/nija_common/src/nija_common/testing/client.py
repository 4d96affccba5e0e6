"""A client of the running platform for journey and fault tests: the envelope unwrapped, errors kept."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import httpx
from websockets.sync.client import ClientConnection, connect

PASSWORD = "Copper-Meadow-Station-42"


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, data (None in an error) and error code (None in a success)."""

    status: int
    data: Any
    code: str | None
    headers: httpx.Headers


class ApiClient:
    """Calls `/api/v1` of one platform, signed in or not."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self.url = url
        self.token = token
        self.user_id = ""
        self.email = ""
        self._http = httpx.Client(base_url=url, timeout=30.0)

    def call(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        """One call. Raises httpx.TransportError where no answer came: whether it took effect is then unknown."""
        sent = {**({"Authorization": f"Bearer {self.token}"} if self.token else {}), **(headers or {})}
        answer = self._http.request(method, f"/api/v1{path}", json=body, headers=sent)
        content = answer.json()
        error = content.get("error") or {}
        return Answer(answer.status_code, content.get("data"), error.get("code"), answer.headers)

    def get(self, path: str) -> Answer:
        return self.call("GET", path)

    def post(self, path: str, body: Any = None) -> Answer:
        return self.call("POST", path, {} if body is None else body)

    def put(self, path: str, body: Any) -> Answer:
        return self.call("PUT", path, body)

    def ok(self, method: str, path: str, body: Any = None) -> Any:
        """The data of a call that must succeed."""
        answer = self.call(method, path, body)
        assert answer.status < 300, f"{method} {path}: {answer}"
        return answer.data

    def register(self, email: str | None = None) -> Self:
        """Makes an account and signs in."""
        self.email = email or f"u{secrets.token_hex(6)}@nija.example"
        body = {"email": self.email, "password": PASSWORD, "full_name": "Ada Trader", "accept_terms": True}
        self.user_id = self.ok("POST", "/auth/register", body)["user_id"]
        return self.login()

    def login(self) -> Self:
        """Signs in with the account's password."""
        self.token = self.ok("POST", "/auth/login", {"email": self.email, "password": PASSWORD})["access_token"]
        return self

    @contextmanager
    def socket(self, *channels: str) -> Iterator[SocketClient]:
        """A signed-in socket, subscribed to the channels."""
        with connect(self.url.replace("http", "ws", 1) + "/ws/v1", open_timeout=10) as connection:
            client = SocketClient(connection)
            client.send({"type": "auth", "token": f"Bearer {self.token}"})
            client.until("auth_success")
            for channel in channels:
                client.send({"type": "subscribe", "channel": channel})
                client.until("subscribed")
            yield client

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class SocketClient:
    """JSON messages over one socket; `seen` keeps all of them."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.seen: list[Any] = []

    def send(self, message: Any) -> None:
        self.connection.send(json.dumps(message))

    def until(self, kind: str, seconds: float = 30.0) -> Any:
        """The next message of that type. Raises TimeoutError, or ConnectionClosed."""
        deadline = time.monotonic() + seconds
        while True:
            message = json.loads(self.connection.recv(timeout=max(0.01, deadline - time.monotonic())))
            self.seen.append(message)
            if message["type"] == kind:
                return message
