"""SIGTERM under load: whoever was heard is answered, sockets are closed with 1001, and the process ends in time
(promise 23).

A request is lost if the server has read it and the caller has no whole answer: the server's log names each request
that reached the application. A connection that is refused has carried nothing; the caller tries elsewhere.
"""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

import orjson
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from nija_common.testing.client import ApiClient
from nija_common.testing.load import Call, Load, counted
from nija_common.testing.platforms import Distributed, Embedded, NijaProcess, wait_for

IN_TIME_S = 25.0
USERS = 12
CALLERS = 24
SOCKETS = 200
SOCKETS_A_USER = 5
BEFORE_S = 0.5


def logged(process: NijaProcess, event: str) -> list[dict[str, object]]:
    """What the process has logged of one kind."""
    lines = [orjson.loads(line) for line in process.log.read_bytes().splitlines() if line.startswith(b"{")]
    return [line for line in lines if line.get("event") == event]


def lost(calls: list[Call], process: NijaProcess) -> list[Call]:
    """Requests without a whole answer that the process had read."""
    read = {line["request_id"] for line in logged(process, "request")}
    return [c for c in calls if c.outcome == "broken" or (c.outcome in ("unread", "unknown") and c.id in read)]


class Users:
    """Reads and writes of some users, in turn."""

    def __init__(self, platform: Embedded | Distributed, count: int) -> None:
        self.clients = [ApiClient(platform.url).register() for _ in range(count)]
        self._turn = 0
        self.sizes: dict[str, set[int]] = {c.user_id: set() for c in self.clients}

    def following(self, _: int) -> Call:
        self._turn += 1
        client = self.clients[self._turn % len(self.clients)]
        if self._turn % 3:
            return Call("GET", "/api/v1/config/settings", client.token)
        size = 100 + self._turn
        body = {"trading": {"max_position_size_usd": size}}
        return Call("PUT", "/api/v1/config/settings", client.token, body, (client.user_id, size))

    def close(self) -> None:
        for client in self.clients:
            client.close()


class Sockets:
    """Signed-in sockets that wait for their end in a thread of their own."""

    def __init__(self, url: str, tokens: list[str]) -> None:
        self._url = url.replace("http", "ws", 1) + "/ws/v1"
        self._tokens = tokens
        self.open = threading.Semaphore(0)
        self.codes: list[int | None] = []
        self._thread = threading.Thread(target=lambda: asyncio.run(self._all()), daemon=True)

    def __enter__(self) -> Sockets:
        self._thread.start()
        for _ in self._tokens:
            assert self.open.acquire(timeout=30), "a socket was not opened"
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join(30)
        assert not self._thread.is_alive(), "a socket was not closed"

    async def _all(self) -> None:
        await asyncio.gather(*(self._one(token) for token in self._tokens))

    async def _one(self, token: str) -> None:
        async with connect(self._url, open_timeout=30, close_timeout=0.2) as connection:
            await connection.send(orjson.dumps({"type": "auth", "token": token}).decode())
            assert orjson.loads(await connection.recv())["type"] == "auth_success"
            self.open.release()
            try:
                while True:
                    await connection.recv()
            except ConnectionClosed:
                self.codes.append(connection.close_code)


def told_to_stop(process: NijaProcess, load: Load) -> float:
    """SIGTERM in the middle of the load; in how many seconds it ended. It must end with 0."""
    wait_for("the load is under way", lambda: sum(c.ok for c in list(load.history)) > 3 * CALLERS)
    time.sleep(BEFORE_S)
    at = time.monotonic()
    assert process.stop() == 0, process.tail()
    return time.monotonic() - at


@pytest.mark.slow
def test_the_embedded_platform_loses_no_request_and_closes_its_sockets_with_1001(tmp_path: Path) -> None:
    with Embedded(tmp_path, options=["--market", "replay", "--speed", "600"]) as platform:
        users = Users(platform, SOCKETS // SOCKETS_A_USER)
        tokens = [c.token or "" for c in users.clients for _ in range(SOCKETS_A_USER)]
        with Sockets(platform.url, tokens) as sockets, Load(platform.url, CALLERS, users.following) as load:
            seconds = told_to_stop(platform.process, load)
        assert not lost(load.history, platform.process)
        answers = [c for c in load.history if c.outcome == "answered"]
        assert {c.status for c in answers} == {200}, counted(load.history)
        assert any(c.last for c in answers)
        assert sockets.codes == [1001] * SOCKETS
        assert seconds < IN_TIME_S
        end = max(c.ended for c in load.history if c.outcome == "answered")
        print(
            [(round(c.begun - end, 3), round(c.seconds, 3)) for c in load.history if c.outcome == "unread"],
            min(c.begun - end for c in load.history if c.outcome == "refused"),
        )
        print(f"nija up: {seconds:.1f} s, {counted(load.history)}")  # noqa: T201 - a figure for docs/failures.md

        # What was answered is there.
        platform.start()
        for client in users.clients:
            told = [c.note[1] for c in answers if c.note is not None and c.note[0] == client.user_id]
            if told:
                found = int(client.ok("GET", "/config/settings")["trading"]["max_position_size_usd"])
                assert found in told
        users.close()
