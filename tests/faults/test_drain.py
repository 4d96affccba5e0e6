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
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from nija_common.testing.client import ApiClient
from nija_common.testing.load import Call, Load, counted
from nija_common.testing.long_run import LONG, only_long
from nija_common.testing.platforms import Distributed, Embedded, NijaProcess, wait_for

IN_TIME_S = 25.0
CALLERS = 24
SOCKETS = 200 if LONG else 40
SOCKETS_A_USER = 5
OPENINGS, TRY_AGAIN_LATER = 8, 1013
BEFORE_S = 0.5


def logged(process: NijaProcess, event: str) -> list[dict[str, object]]:
    """What the process has logged of one kind, over all its starts."""
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
            assert self.open.acquire(timeout=60), "a socket was not opened"
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join(30)
        assert not self._thread.is_alive(), "a socket was not closed"

    async def _all(self) -> None:
        opening = asyncio.Semaphore(OPENINGS)
        await asyncio.gather(*(self._one(token, opening) for token in self._tokens))

    async def _one(self, token: str, opening: asyncio.Semaphore) -> None:
        async with opening:
            connection = await self._opened(token)
        self.open.release()
        try:
            while True:
                await connection.recv()
        except ConnectionClosed:
            self.codes.append(connection.close_code)
            await connection.wait_closed()

    async def _opened(self, token: str) -> ClientConnection:
        """Signed in. A gateway that is told to come back later (1013) is asked again, as clients do."""
        while True:
            connection = await connect(self._url, open_timeout=30, close_timeout=0.2)
            try:
                await connection.send(orjson.dumps({"type": "auth", "token": token}).decode())
                assert orjson.loads(await connection.recv())["type"] == "auth_success"
            except ConnectionClosed:
                if connection.close_code != TRY_AGAIN_LATER:
                    raise
                await asyncio.sleep(0.2)
            else:
                return connection


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
        print(f"nija up: {seconds:.1f} s, {counted(load.history)}")  # noqa: T201 - a figure for docs/failures.md

        # What was answered is there.
        platform.start()
        for client in users.clients:
            told = [c.note[1] for c in answers if c.note is not None and c.note[0] == client.user_id]
            if told:
                found = int(client.ok("GET", "/config/settings")["trading"]["max_position_size_usd"])
                assert found in told
        users.close()


PATHS = (
    ("accounts", "GET", "/api/v1/config/settings"),
    ("trading-engine", "GET", "/api/v1/trading/status"),
    ("billing", "GET", "/api/v1/subscription/current"),
    ("analytics", "GET", "/api/v1/account/stats"),
    ("auth", "GET", "/.well-known/jwks.json"),
)
"""A route of every HTTP service behind the gateway."""


class Everything(Users):
    """Reads of every service, and writes."""

    def following(self, number: int) -> Call:
        self._turn += 1
        client = self.clients[self._turn % len(self.clients)]
        if self._turn % 6 == 0:
            body = {"trading": {"max_position_size_usd": 100 + self._turn}}
            return Call("PUT", "/api/v1/config/settings", client.token, body)
        _, method, path = PATHS[self._turn % len(PATHS)]
        return Call(method, path, client.token)


@pytest.mark.slow
@pytest.mark.kafka
@pytest.mark.mongo
@pytest.mark.timeout(600)
@only_long("every service, one after another")
def test_every_service_behind_the_gateway_drains(
    tmp_path: Path, kafka_bootstrap: str, mongo_url: str, namespace: str
) -> None:
    with Distributed(
        tmp_path, kafka=kafka_bootstrap, mongo=mongo_url, namespace=namespace, own_files=True, env={"NIJA_SPEED": "600"}
    ) as platform:
        gateway = platform.processes["gateway"]
        users = Everything(platform, 40)
        for client in users.clients[:10]:
            client.ok("POST", "/trading/start", {"broker": "coinbase", "strategy": "APEX_V72"})
        for name in ("accounts", "trading-engine", "billing", "analytics", "auth", "trading-worker-0"):
            process = platform.processes[name]
            with Load(platform.url, 8, users.following, rate=40) as load:
                seconds = told_to_stop(process, load)
                time.sleep(1.0)
                platform.run(name)
                time.sleep(1.0)
            print(f"{name}: {seconds:.1f} s, {counted(load.history)}")  # noqa: T201 - figures for docs/failures.md
            assert seconds < IN_TIME_S
            assert {c.outcome for c in load.history} == {"answered"}
            # While it is away, calls to it are refused before they are sent; every other one is served.
            assert {(c.status, c.code) for c in load.history} <= {(200, None), (503, "SERVICE_UNAVAILABLE")}
            assert all(c.retry_after for c in load.history if c.status == 503)
        failed = {str(line["kind"]) for line in logged(gateway, "call_failed")}
        assert failed <= {"connect"}, "a call that a service had read was lost"
        users.close()


@pytest.mark.slow
@pytest.mark.kafka
@pytest.mark.mongo
@pytest.mark.timeout(600)
@only_long("200 sockets")
def test_notifier_and_gateway_drain_with_sockets_open(
    tmp_path: Path, kafka_bootstrap: str, mongo_url: str, namespace: str
) -> None:
    with Distributed(
        tmp_path, kafka=kafka_bootstrap, mongo=mongo_url, namespace=namespace, own_files=True, env={"NIJA_SPEED": "1"}
    ) as platform:
        gateway = platform.processes["gateway"]
        users = Everything(platform, SOCKETS // SOCKETS_A_USER)
        tokens = [c.token or "" for c in users.clients for _ in range(SOCKETS_A_USER)]
        for name in ("notifier", "gateway"):
            process = platform.processes[name]
            with Sockets(platform.url, tokens) as sockets, Load(platform.url, 8, users.following, rate=40) as load:
                seconds = told_to_stop(process, load)
            print(f"{name}: {seconds:.1f} s, {counted(load.history)}")  # noqa: T201
            assert sockets.codes == [1001] * len(tokens)
            assert seconds < IN_TIME_S
            assert not lost(load.history, gateway)
            platform.run(name)
        users.close()
