"""The relay edge on real sockets: raw bytes in front of it, a scripted service behind it, and every way to fail between."""

from __future__ import annotations

import asyncio
import dataclasses
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest
from prometheus_client import REGISTRY

from nija_common.runtime.server import address_of, listen, serving
from nija_gateway.api.edge import Edge
from nija_gateway.api.protocol import relay_protocol
from nija_gateway.deps import Times

BALANCE = "/api/v1/account/balance"
SETTINGS = "/api/v1/config/settings"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Own: 1\r\n\r\n2\r\nok\r\n1;x=y\r\n!\r\n0\r\n\r\n"
PATIENCE_S = 10.0
Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Service:
    """A TCP server that follows a script, one call of it a connection."""

    def __init__(self) -> None:
        self.script: Script = always(OK)
        self.heads: list[bytes] = []
        self.connections = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self.script(reader, writer)
        except (ConnectionResetError, BrokenPipeError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def head(self, reader: asyncio.StreamReader) -> bytes:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        return head


def always(*pieces: bytes) -> Script:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)

    return script


class Line:
    """A client's connection, of bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(0)

    async def answer(self) -> tuple[int, dict[bytes, bytes], bytes]:
        """The next answer: status, headers, body. Raises IncompleteReadError where it breaks off."""
        async with asyncio.timeout(PATIENCE_S):
            status, headers = await self.head()
            if b"content-length" in headers:
                return status, headers, await self.reader.readexactly(int(headers[b"content-length"]))
            body = b""
            while headers.get(b"transfer-encoding") == b"chunked":
                size = int((await self.reader.readuntil(b"\r\n")).strip(), 16)
                body += (await self.reader.readexactly(size + 2))[:-2]
                if size == 0:
                    break
            return status, headers, body

    async def head(self) -> tuple[int, dict[bytes, bytes]]:
        lines = (await self.reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[:-2]
        headers = dict(line.split(b": ", 1) for line in lines[1:])
        return int(lines[0].split()[1]), headers

    async def rest(self) -> bytes:
        """All that comes until the gateway closes."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.reader.read()


class Front:
    """The gateway as a server, its scripted service, and what fell through to ASGI."""

    def __init__(self, gateway: Any, service: Service) -> None:
        self.gateway, self.service = gateway, service
        self.port = 0
        self.fell_through: list[str] = []
        self._open: list[Line] = []
        self._token = gateway.platform.token("usr_a")
        deps = gateway.platform.deps("gateway")
        self.edge = Edge(dataclasses.replace(deps, times=Times(answer=PATIENCE_S)))

    def follow(self, script: Script) -> None:
        """From now on the service does this, on new connections: none of those that lie idle is used again."""
        self.service.script = script
        for upstream in self.edge.deps.upstreams.values():
            if upstream.connections is not None:
                upstream.connections.close()

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        self.fell_through.append(scope["path"])
        await self.edge(scope, receive, send)

    async def line(self) -> Line:
        self._open.append(Line(*await asyncio.open_connection("127.0.0.1", self.port)))
        return self._open[-1]

    def request(self, path: str = BALANCE, method: str = "GET", *headers: bytes, token: str | None = None) -> bytes:
        lines = [f"{method} {path} HTTP/1.1\r\nHost: nija\r\nAuthorization: Bearer {token or self._token}".encode()]
        return b"\r\n".join([*lines, *headers, b"", b""])

    def close(self) -> None:
        for line in self._open:
            line.writer.close()


Open = Callable[..., Any]


@pytest.fixture
async def opened(start: Any) -> AsyncIterator[Open]:
    """Opens a front; `answer` is how long a service may be silent."""

    @asynccontextmanager
    async def opening(*, answer: float = PATIENCE_S, env: dict[str, str] | None = None) -> AsyncIterator[Front]:
        service = Service()
        listening = await asyncio.start_server(service, "127.0.0.1", 0)
        address = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        names = ("AUTH", "ACCOUNTS", "ANALYTICS", "BILLING", "TRADING_ENGINE", "NOTIFIER")
        async with AsyncExitStack() as stack:
            variables = {**{f"NIJA_UPSTREAMS__{name}": address for name in names}, **(env or {})}
            gateway = await stack.enter_async_context(start(variables))
            front = Front(gateway, service)
            front.edge = Edge(dataclasses.replace(front.edge.deps, times=Times(answer=answer)))
            sock = listen("127.0.0.1", 0)
            front.port = int(address_of(sock).rpartition(":")[2])
            await stack.enter_async_context(serving(front.app, sock, http=relay_protocol(front.edge)))
            stack.callback(listening.close)
            stack.callback(front.close)
            yield front

    yield opening


@pytest.fixture
async def front(opened: Open) -> AsyncIterator[Front]:
    async with opened() as running:
        yield running


async def eventually(probe: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not probe():
            await asyncio.sleep(0.005)


def recorded(status: int, method: str = "GET", path: str = BALANCE) -> float:
    """How many such requests the metrics have."""
    labels = {"service": "gateway", "method": method, "route": path, "status": str(status)}
    return REGISTRY.get_sample_value("nija_http_requests_total", labels) or 0.0


async def known(front: Front) -> Line:
    """A connection after a first request: standing and keys are in memory, a connection to the service lies idle."""
    line = await front.line()
    await line.send(front.request())
    assert (await line.answer())[0] == 200
    front.fell_through.clear()
    return line


# Which way a request goes.


async def test_what_is_known_is_relayed_without_asgi_and_all_else_falls_through(front: Front) -> None:
    line = await known(front)
    for request in (
        front.request(),
        front.request(f"{BALANCE}?a=1"),
        front.request(method="HEAD"),
        front.request(SETTINGS, "PUT", b"Content-Length: 2") + b"{}",
        front.request("/api/v1/subscription/plans"),
        front.request(token="a.b.c"),
        front.request("/api/v1/admin/users"),
    ):
        await line.send(request)
        if request.startswith(b"HEAD"):
            await line.head()
        else:
            await line.answer()
    assert front.fell_through == []
    others = ["/", "/api/v1/none", "/api/v1/auth/register", "/api/v1/webhooks/tradingview", SETTINGS]
    for path in others:
        method, headers = ("PUT", [b"Transfer-Encoding: chunked"]) if path == SETTINGS else ("POST", [])
        await line.send(
            front.request(path, "GET" if path == "/" else method, *headers), b"0\r\n\r\n" if headers else b""
        )
        await line.answer()
    assert front.fell_through == others


async def test_both_edges_say_the_same_inward_and_outward(start: Any) -> None:
    """The same requests by either way: what reaches the service, and what comes back, differ in nothing but ids."""
    requests = [
        {"X-Request-ID": "client-4711", "X-Own": "1", "TE": "trailers", "Proxy-Authorization": "Basic abc"},
        {"X-Request-ID": "bad id;", "X-Nija-User": "usr_root", "X-Nija-Client-Address": "6.6.6.6"},
        {"X-Forwarded-For": "1.2.3.4, 9.9.9.9", "Forwarded": "for=6.6.6.6", "X-Real-IP": "6.6.6.6"},
        {"Connection": "keep-alive, X-Drop-Me, Authorization", "X-Drop-Me": "1", "Keep-Alive": "5"},
        {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "Idempotency-Key": "~order/4711!"},
        {"traceparent": "nonsense", "Accept-Encoding": "gzip", "Cookie": "a=b"},
    ]
    seen, answers = [], []
    for relayed in (False, True):
        async with start({"NIJA_TRUSTED_PROXIES": "9.9.9.9,127.0.0.1"}, over_http=True, relayed=relayed) as gateway:
            gateway.toy.headers = [
                (b"X-Inner", b"1"), (b"Connection", b"x-inner"), (b"Keep-Alive", b"5"), (b"Server", b"s"),
                (b"X-RateLimit-Limit", b"9999"), (b"x-nija-secret", b"1"), (b"X-Outer", b"2"), (b"Set-Cookie", b"c=d"),
            ]  # fmt: skip
            client = gateway.client("usr_a")
            for headers in requests:
                got = await client.get(f"{BALANCE}?a=1&b=%20x", headers=headers)
                made = {"date", "x-request-id"} - ({"x-request-id"} if "client" in str(headers) else set())
                answers.append({k: v for k, v in got.headers.items() if k not in made} | {"body": got.text})
                answers[-1]["made"] = str("x-request-id" in got.headers)
            for call in gateway.toy.seen:
                kept = {k: v for k, v in call.headers if k not in (b"authorization", b"host", b"user-agent")}
                trace = kept.pop(b"traceparent").split(b"-")
                kept[b"trace"] = trace[1] if trace[1].startswith(b"0af7") else b"another"
                if kept[b"x-request-id"].startswith(b"req_"):
                    kept[b"x-request-id"] = b"made"
                seen.append((call.method, call.path, call.query, call.body, kept))
    half = len(requests)
    assert seen[:half] == seen[half:]
    assert answers[:half] == answers[half:]
    assert {kept[b"x-nija-client-address"] for *_, kept in seen} == {b"127.0.0.1", b"1.2.3.4"}


# Bytes.


async def test_a_request_split_anywhere_is_the_same_request(front: Front) -> None:
    await front.gateway.known("usr_a")
    line = await known(front)
    request = front.request(SETTINGS, "PUT", b"Content-Length: 5", b"X-Own: 1") + b"abcde"
    bodies: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            front.service.heads.append(await reader.readuntil(b"\r\n\r\n"))
            bodies.append(await reader.readexactly(5))
            writer.write(OK)

    front.follow(script)
    line, wanted = await front.line(), None
    interesting = [*range(1, 70), *range(len(request) - 60, len(request))]
    for place in interesting:
        await line.send(request[:place], request[place:])
        assert (await line.answer())[::2] == (200, b"ok")
        head = [
            h for h in front.service.heads[-1].split(b"\r\n") if not h.startswith((b"x-request-id", b"traceparent"))
        ]
        wanted = wanted or head
        assert head == wanted, place
    draw = random.Random(6)
    for _ in range(20):
        places = sorted({0, len(request), *(draw.randrange(len(request)) for _ in range(12))})
        await line.send(*(request[a:b] for a, b in pairwise(places)))
        assert (await line.answer())[::2] == (200, b"ok")
    assert set(bodies) == {b"abcde"}


@pytest.mark.parametrize(("answer", "body"), [(OK, b"ok"), (CHUNKED, b"ok!")])
async def test_an_answer_split_anywhere_is_the_same_answer(front: Front, answer: bytes, body: bytes) -> None:
    place = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            for piece in (answer[:place], answer[place:]) if place else [bytes([b]) for b in answer]:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)

    front.follow(script)
    line = await known(front)
    for place in range(len(answer)):  # noqa: B007
        await line.send(front.request())
        assert (await line.answer())[::2] == (200, body)
    assert front.service.connections == 1


@pytest.mark.parametrize(
    ("answer", "status", "body", "connections"),
    [
        (b"HTTP/1.1 204 No Content\r\nX-Own: 1\r\n\r\n", 204, b"", 1),
        (b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n", 304, b"", 1),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, b"", 1),
        (b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + OK, 200, b"ok", 1),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok", 200, b"ok", 3),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, b"ok", 3),
        (b"HTTP/1.1 503 Away\r\nContent-Length: 4\r\n\r\naway", 503, b"away", 1),
    ],
)
async def test_every_framing_of_an_answer_is_passed_on(
    front: Front, answer: bytes, status: int, body: bytes, connections: int
) -> None:
    line = await known(front)
    before = front.service.connections
    front.follow(always(answer))
    for _ in range(3):
        await line.send(front.request())
        got, headers, found = await line.answer()
        assert (got, found, headers.get(b"link")) == (status, body, None)
        assert (b"transfer-encoding" in headers, b"content-length" in headers) == (False, b"Length" in answer)
    assert front.service.connections - before == connections
    assert front.fell_through == []


async def test_an_answer_that_ends_with_its_connection_comes_in_chunks(front: Front) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nok")

    front.follow(script)
    line = await front.line()
    for _ in range(2):
        await line.send(front.request())
        assert (await line.answer())[::2] == (200, b"ok")


async def test_a_head_request_gets_the_length_and_no_body(front: Front) -> None:
    line = await known(front)
    for _ in range(2):
        await line.send(front.request(method="HEAD"))
        status, headers = await line.head()
        assert (status, headers[b"content-length"]) == (200, b"2")
    await line.send(front.request(method="HEAD", token="a.b.c"), front.request())
    assert (await line.head())[0] == 401
    assert (await line.answer())[::2] == (200, b"ok")


async def test_answers_come_in_the_order_of_the_requests(front: Front) -> None:
    line = await known(front)
    asked = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await front.service.head(reader)
            if b"slow" in head.split(b"\r\n")[0]:
                await asked.wait()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n" + head.split(b"?n=")[1][:4])

    front.follow(script)
    line = await front.line()
    await line.send(
        front.request(f"{BALANCE}?n=slow"),
        front.request(f"{SETTINGS}?n=two.", "PUT", b"Content-Length: 2") + b"{}",
        front.request(f"{BALANCE}?n=thre") + front.request(token="a.b.c"),
    )
    await eventually(lambda: len(front.service.heads) == 1)
    asked.set()
    answers = [await line.answer() for _ in range(4)]
    assert [status for status, *_ in answers] == [200, 200, 200, 401]
    assert [body for *_, body in answers[:3]] == [b"slow", b"two.", b"thre"]


async def test_a_broken_request_behind_another_is_not_answered_in_its_midst(front: Front) -> None:
    line = await known(front)
    go_on = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha")
        await writer.drain()
        await go_on.wait()

    front.follow(script)
    line = await front.line()
    await line.send(front.request())
    await line.head()
    await line.send(front.request(SETTINGS, "GET") + b"GET / BROKEN\r\n\r\n")
    assert await line.rest() == b"ha"
    go_on.set()


async def test_an_expected_body_is_asked_for_and_a_chunked_one_arrives(front: Front) -> None:
    line = await known(front)
    await line.send(front.request(SETTINGS, "PUT", b"Expect: 100-continue", b"Content-Length: 2"))
    assert await line.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    await line.send(b"{}")
    assert (await line.answer())[0] == 200


# Trouble.


@pytest.mark.parametrize(("method", "repeated"), [("GET", True), ("HEAD", True), ("POST", False), ("DELETE", False)])
async def test_only_a_get_is_asked_again_when_a_kept_connection_turns_out_closed(
    front: Front, method: str, repeated: bool
) -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await front.service.head(reader)
        writer.write(OK)
        await reader.readexactly(1)

    front.follow(once)
    line = await front.line()
    await line.send(front.request())
    assert (await line.answer())[0] == 200
    path = {"POST": "/api/v1/trading/start", "DELETE": "/api/v1/config/brokers/kraken"}.get(method, BALANCE)
    upstreams = front.edge.deps.upstreams
    idle, other = upstreams["accounts"].connections, upstreams["trading-engine"].connections
    assert idle is not None and other is not None
    kept = idle.take()
    assert kept is not None
    (idle if path == BALANCE else other).give_back(kept, whole=True)
    await line.send(front.request(path, method))
    status = (await line.head())[0] if method == "HEAD" else (await line.answer())[0]
    assert (status, front.service.connections) == ((200, 2) if repeated else (503, 1))
    assert front.fell_through == [BALANCE]


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nok",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\nY: b\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 999 No\r\nContent-Length: 2\r\n\r\nok",
    ],
)
async def test_a_service_that_makes_no_sense_is_503_and_soon_cut_off(front: Front, answer: bytes) -> None:
    line = await known(front)

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await front.service.head(reader)
        writer.write(answer)
        await writer.drain()

    front.follow(script)
    for _ in range(7):
        await line.send(front.request())
        status, headers, body = await line.answer()
        assert (status, headers[b"retry-after"], b"SERVICE_UNAVAILABLE" in body) == (503, b"1", True)
    assert len(front.service.heads) == 5
    front.follow(always(OK))
    front.gateway.clock.advance(1)
    await line.send(front.request())
    assert (await line.answer())[0] == 200


@pytest.mark.parametrize(
    ("begun", "then"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhal", b"f"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhal", b"f\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", b"nonsense"),
    ],
)
async def test_an_answer_that_breaks_off_stays_incomplete(front: Front, begun: bytes, then: bytes) -> None:
    line = await known(front)
    arrived = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(begun)
        await arrived.wait()
        writer.write(then)

    front.follow(script)
    await line.send(front.request())
    assert (await line.head())[0] == 200
    arrived.set()
    assert not (await line.rest()).endswith(b"0\r\n\r\n")


async def test_bytes_nobody_asked_for_are_never_an_answer(front: Front) -> None:
    front.follow(always(OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"))
    line = await front.line()
    for _ in range(4):
        await line.send(front.request())
        assert (await line.answer())[::2] == (200, b"ok")


async def test_a_silent_service_is_503_a_late_body_400_and_only_the_first_is_its_fault(opened: Open) -> None:
    async with opened(answer=0.5) as front:
        line = await known(front)

        async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
            await reader.read()

        front.follow(silent)
        late = [await front.line() for _ in range(6)]
        for one in late:
            await one.send(front.request(SETTINGS, "PUT", b"Content-Length: 5"), b"ab")
        for one in late:
            status, headers, body = await one.answer()
            assert (status, b"did not arrive in time" in body, headers[b"connection"]) == (400, True, b"close")
            assert await one.rest() == b""
        await line.send(front.request())
        assert (await line.answer())[0] == 503
        front.follow(always(OK))
        await line.send(front.request())
        assert (await line.answer())[0] == 200
        assert front.fell_through == []


async def test_a_client_that_takes_nothing_pauses_the_service_and_is_given_up(opened: Open) -> None:
    written, piece = 0, b"x" * 65_536
    async with opened(answer=0.3) as front:
        line = await known(front)

        async def large(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal written
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(piece) * 1024))
            for _ in range(1024):
                writer.write(piece)
                await writer.drain()
                written += len(piece)

        front.follow(large)
        before = recorded(200)
        for _ in range(6):
            stalled = await front.line()
            await stalled.send(front.request())
        await eventually(lambda: recorded(200) == before + 6)
        assert written < 6 * 16 * 1024 * 1024, "the rest waits in the service, not here"
        front.follow(always(OK))
        await line.send(front.request())
        assert (await line.answer())[0] == 200, "clients that stall do not cut the service off"


async def test_a_large_answer_arrives_whole_at_a_slow_client(front: Front) -> None:
    line = await known(front)
    body = random.Random(1).randbytes(8 * 1024 * 1024)
    front.follow(always(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body), body))
    line = await front.line()
    await line.send(front.request())
    await line.head()
    got = b""
    while len(got) < len(body):
        got += await line.reader.read(100_000)
        await asyncio.sleep(0)
    assert got == body


async def test_a_client_that_leaves_mid_body_ends_the_call(front: Front) -> None:
    line = await known(front)
    left, before = asyncio.Event(), recorded(499, "PUT", SETTINGS)

    async def script(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()
        left.set()

    front.follow(script)
    await line.send(front.request(SETTINGS, "PUT", b"Content-Length: 5"), b"ab")
    line.writer.close()
    async with asyncio.timeout(PATIENCE_S):
        await left.wait()
    await eventually(lambda: recorded(499, "PUT", SETTINGS) == before + 1)


async def test_a_whole_request_is_seen_to_its_end_though_its_client_has_left(front: Front) -> None:
    """The connection stays of use, and the call counts as under way until it has ended."""
    line = await known(front)
    asked, go_on, before = asyncio.Event(), asyncio.Event(), recorded(499)

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            asked.set()
            await go_on.wait()
            writer.write(OK)

    front.follow(script)
    await line.send(front.request())
    async with asyncio.timeout(PATIENCE_S):
        await asked.wait()
    line.writer.close()
    await line.writer.wait_closed()
    go_on.set()
    await eventually(lambda: recorded(499) == before + 1)
    connections = front.service.connections
    other = await front.line()
    await other.send(front.request())
    assert ((await other.answer())[0], front.service.connections) == (200, connections)


async def test_an_answer_before_the_whole_body_is_passed_on_and_the_connection_to_the_service_dropped(
    front: Front,
) -> None:
    line = await known(front)

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await front.service.head(reader)
        writer.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
        await reader.read()

    front.follow(script)
    for _ in range(2):
        await line.send(front.request(SETTINGS, "PUT", b"Content-Length: 4"), b"ab")
        assert (await line.answer())[0] == 401
        await line.send(b"cd")
    assert len(front.service.heads) == 2


async def test_the_drain_finishes_what_is_under_way_and_says_that_it_closes(start: Any) -> None:
    service = Service()
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await go_on.wait()
        writer.write(OK)

    listening = await asyncio.start_server(service, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    async with start({"NIJA_UPSTREAMS__ACCOUNTS": address}) as gateway:
        front = Front(gateway, service)
        sock = listen("127.0.0.1", 0)
        front.port = sock.getsockname()[1]
        async with serving(front.app, sock, http=relay_protocol(front.edge)):
            line, idle = await known(front), await known(front)
            front.follow(script)
            await line.send(front.request())
            await asked.wait()
            asyncio.get_running_loop().call_later(0.3, go_on.set)
        status, headers, body = await line.answer()
        assert (status, headers[b"connection"], body) == (200, b"close", b"ok")
        assert await line.rest() == await idle.rest() == b""
        front.close()
    listening.close()
