"""Services at an address: pooled connections, streaming, and every way in which the other side can fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from nija_common.errors import SettingsError
from nija_gateway.adapters.http_upstream import HttpUpstream
from nija_gateway.ports import CHUNKED, ClientGone, UpstreamFailed

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Server:
    """A scripted TCP server: one coroutine a connection."""

    def __init__(self, script: Serve) -> None:
        self._script = script
        self.connections = 0
        self.port = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self._script(reader, writer)
        except (ConnectionResetError, BrokenPipeError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def scripted(script: Serve) -> AsyncIterator[tuple[HttpUpstream, Server]]:
    server = Server(script)
    listening = await asyncio.start_server(server, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    upstream = HttpUpstream("accounts", f"http://127.0.0.1:{server.port}", asyncio.Event())
    try:
        yield upstream, server
    finally:
        await upstream.close()
        listening.close()


def scope(method: str = "GET", *, length: int | None = None, chunked: bool = False) -> dict[str, Any]:
    headers = [(b"host", b"nija")]
    if length is not None:
        headers.append((b"content-length", b"%d" % length))
    return {
        "type": "http",
        "method": method,
        "raw_path": b"/x",
        "query_string": b"",
        "headers": headers,
        "extensions": {CHUNKED: {}} if chunked else {},
    }


class Client:
    """The gateway's side of one call."""

    def __init__(self, *body: bytes) -> None:
        self._body = list(body)
        self.status: int | None = None
        self.headers: dict[bytes, bytes] = {}
        self.body = b""
        self.complete = False

    async def receive(self) -> Any:
        if not self._body:
            return {"type": "http.request", "body": b"", "more_body": False}
        piece = self._body.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(self._body)}

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], dict(message["headers"])
        else:
            self.body += message["body"]
            self.complete = not message["more_body"]


async def head_of(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


def always(answer: bytes) -> Serve:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await head_of(reader)
            writer.write(answer)
            await writer.drain()

    return script


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def test_connections_are_used_again() -> None:
    async with scripted(always(OK)) as (upstream, server):
        for _ in range(5):
            client = Client()
            await upstream(scope(), client.receive, client.send)
            assert (client.status, client.body, client.complete) == (200, b"ok", True)
        assert server.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ],
)
async def test_a_connection_the_service_closes_is_not_used_again(answer: bytes) -> None:
    async with scripted(always(answer)) as (upstream, server):
        for _ in range(2):
            client = Client()
            await upstream(scope(), client.receive, client.send)
            assert client.body == b"ok"
        assert server.connections == 2


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n1\r\n!\r\n0\r\n\r\n", b"ok!"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b""),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", b"ok"),
    ],
)
async def test_every_framing_of_an_answer_is_understood(answer: bytes, body: bytes) -> None:
    async with scripted(always(answer)) as (upstream, server):
        for _ in range(2):
            client = Client()
            await upstream(scope(), client.receive, client.send)
            assert (client.body, client.complete) == (body, True)
        assert server.connections == 1


async def test_an_answer_may_end_with_its_connection() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head_of(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nok")

    async with scripted(script) as (upstream, _):
        client = Client()
        await upstream(scope(), client.receive, client.send)
        assert (client.body, client.complete) == (b"ok", True)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nok",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1_000_000 + b"\r\n\r\n",
    ],
)
async def test_an_answer_that_breaks_off_or_is_none_is_a_failure_never_a_short_success(answer: bytes) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head_of(reader)
        writer.write(answer)
        await writer.drain()

    async with scripted(script) as (upstream, _):
        client = Client()
        with pytest.raises(UpstreamFailed):
            await upstream(scope("POST"), client.receive, client.send)
        assert not client.complete


async def test_bytes_nobody_asked_for_are_never_an_answer() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await head_of(reader)
            writer.write(OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
            await writer.drain()

    async with scripted(script) as (upstream, _):
        for _ in range(3):
            client = Client()
            try:
                await upstream(scope("POST"), client.receive, client.send)
            except UpstreamFailed:
                continue
            assert client.body == b"ok"


async def once_then_closed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers one request, then closes as soon as the next one begins: a kept connection gone stale."""
    await head_of(reader)
    writer.write(OK)
    await reader.readexactly(1)


@pytest.mark.parametrize(("method", "repeated"), [("GET", True), ("POST", False), ("DELETE", False)])
async def test_only_a_get_is_asked_again_when_a_kept_connection_turns_out_closed(method: str, repeated: bool) -> None:
    async with scripted(once_then_closed) as (upstream, server):
        first = Client()
        await upstream(scope(), first.receive, first.send)
        second = Client()
        if repeated:
            await upstream(scope(method), second.receive, second.send)
            assert (second.body, server.connections) == (b"ok", 2)
        else:
            with pytest.raises(UpstreamFailed):
                await upstream(scope(method), second.receive, second.send)
            assert server.connections == 1


async def test_nobody_listening_is_a_failure_to_connect() -> None:
    async with scripted(always(OK)) as (_, server):
        port = server.port
    upstream = HttpUpstream("accounts", f"http://127.0.0.1:{port}", asyncio.Event())
    client = Client()
    with pytest.raises(UpstreamFailed) as failure:
        await upstream(scope(), client.receive, client.send)
    assert failure.value.kind == "connect"


@pytest.mark.parametrize("chunked", [True, False])
async def test_a_body_is_sent_as_it_was_framed(chunked: bool) -> None:
    sent = bytearray()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sent.extend(await head_of(reader))
        sent.extend(await (reader.readuntil(b"0\r\n\r\n") if chunked else reader.readexactly(5)))
        writer.write(OK)

    async with scripted(script) as (upstream, _):
        client = Client(b"abc", b"de")
        await upstream(scope("PUT", length=None if chunked else 5, chunked=chunked), client.receive, client.send)
    assert sent.endswith(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n" if chunked else b"\r\n\r\nabcde")
    assert (b"transfer-encoding: chunked" in sent) is chunked


async def test_an_answer_before_the_whole_body_is_passed_on_and_the_connection_dropped() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head_of(reader)
        writer.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        answered.set()
        await reader.read()

    class Slow(Client):
        async def receive(self) -> Any:
            if len(self._body) == 1:
                await answered.wait()
                await asyncio.sleep(0.02)
            return await super().receive()

    answered = asyncio.Event()
    async with scripted(script) as (upstream, server):
        for number in (1, 2):
            answered.clear()
            client = Slow(b"abc", b"de")
            await upstream(scope("PUT", length=5), client.receive, client.send)
            assert (client.status, server.connections) == (401, number)


async def test_a_client_that_leaves_ends_the_call_to_the_service() -> None:
    ended = asyncio.Event()

    async def script(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read()
        finally:
            ended.set()

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async with scripted(script) as (upstream, _):
        with pytest.raises(ClientGone):
            await upstream(scope("PUT", length=5), receive, Client().send)
        async with asyncio.timeout(5):
            await ended.wait()


async def test_a_slow_client_pauses_the_service_instead_of_filling_memory() -> None:
    written = 0
    piece = b"x" * 65_536

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await head_of(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(piece) * 256))
        for _ in range(256):
            writer.write(piece)
            await writer.drain()
            written += len(piece)

    class Slow(Client):
        async def send(self, message: Any) -> None:
            if message["type"] == "http.response.body" and not self.body:
                held.set()
                await go_on.wait()
            await super().send(message)

    held, go_on = asyncio.Event(), asyncio.Event()
    async with scripted(script) as (upstream, _):
        client = Slow()
        call = asyncio.create_task(upstream(scope(), client.receive, client.send))
        await held.wait()
        before = -1
        while before != written:
            before = written
            await asyncio.sleep(0.03)
        assert written < 12 * 1024 * 1024, "the rest waits in the service, not here"
        go_on.set()
        await call
        assert len(client.body) == len(piece) * 256


async def test_a_cancelled_call_does_not_leave_its_answer_to_the_next() -> None:
    release = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head_of(reader)
        await release.wait()
        writer.write(OK)
        await writer.drain()

    async with scripted(script) as (upstream, server):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await upstream(scope(), Client().receive, Client().send)
        release.set()
        client = Client()
        await upstream(scope(), client.receive, client.send)
        assert (client.body, server.connections) == (b"ok", 2)


async def test_a_line_break_in_a_header_is_not_sent() -> None:
    async with scripted(always(OK)) as (upstream, _):
        forged = scope()
        forged["headers"].append((b"x-a", b"b\r\nX-Nija-Client-Address: 6.6.6.6"))
        with pytest.raises(UpstreamFailed):
            await upstream(forged, Client().receive, Client().send)


@pytest.mark.parametrize(
    "address", ["accounts:8000", "https://accounts", "http://", "http://a:b", "http://u@a:1", "http://a/x"]
)
def test_an_address_that_is_none_names_its_setting(address: str) -> None:
    with pytest.raises(SettingsError, match="NIJA_UPSTREAMS__TRADING_ENGINE"):
        HttpUpstream("trading-engine", address, asyncio.Event())
