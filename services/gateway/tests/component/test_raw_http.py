"""Raw bytes over TCP against the server as the platform starts it: nothing that two parsers could read
differently reaches a service (promise 24)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from nija_common.http.strict_protocol import StrictProtocol
from nija_common.runtime.server import listen, serving
from nija_gateway.api.protocol import relay_protocol

GET = b"GET /api/v1/account/balance HTTP/1.1\r\nHost: nija\r\n"
PUT = b"PUT /api/v1/config/settings HTTP/1.1\r\nHost: nija\r\n"
SMUGGLED = b"GET /api/v1/account/history HTTP/1.1\r\nHost: nija\r\n\r\n"


class Wire:
    """A TCP client that knows nothing of HTTP."""

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self.auth = f"Authorization: Bearer {token}\r\n".encode()

    async def say(self, *pieces: bytes, close: bool = False) -> bytes:
        """Sends the pieces (`close`: and no more), and reads until the server closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            if close:
                writer.write_eof()
            async with asyncio.timeout(5):
                return await reader.read()
        except (ConnectionResetError, BrokenPipeError):
            return b""
        finally:
            writer.close()


@pytest.fixture(params=[False, True], ids=["as-an-app", "relayed"])
async def gateway(request: pytest.FixtureRequest, start: Any) -> AsyncIterator[Any]:
    async with start(over_http=request.param) as running:
        yield running


@pytest.fixture
async def wire(request: pytest.FixtureRequest, gateway: Any) -> AsyncIterator[Wire]:
    sock = listen("127.0.0.1", 0)
    async with serving(gateway.app, sock, http=protocol_of(gateway, StrictProtocol)):
        yield Wire(sock.getsockname()[1], gateway.platform.token("usr_a"))


def protocol_of(gateway: Any, strict: type[StrictProtocol]) -> Any:
    """The relay edge where services have addresses, else what stands before every app."""
    relayed = gateway.platform.deps("gateway").upstreams["accounts"].connections is not None
    return relay_protocol(gateway.app) if relayed else strict


AMBIGUOUS: dict[str, Callable[[bytes], bytes]] = {
    "length and coding": lambda a: (
        PUT + a + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED
    ),
    "coding and length": lambda a: (
        PUT + a + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n" + SMUGGLED
    ),
    "two lengths": lambda a: PUT + a + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde" + SMUGGLED,
    "two equal lengths": lambda a: PUT + a + b"Content-Length: 4\r\nContent-Length: 4\r\n\r\nabcd",
    "a list of lengths": lambda a: PUT + a + b"Content-Length: 4, 4\r\n\r\nabcd",
    "a signed length": lambda a: PUT + a + b"Content-Length: +4\r\n\r\nabcd",
    "another coding": lambda a: PUT + a + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "two codings": lambda a: PUT + a + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "coding twice": lambda a: PUT + a + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "coding in HTTP/1.0": lambda a: PUT.replace(b"1.1", b"1.0") + a + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "folded header": lambda a: GET + a + b"X-A: b\r\n c\r\n\r\n",
    "bare line feeds": lambda a: GET.replace(b"\r\n", b"\n") + a.replace(b"\r\n", b"\n") + b"\n",
    "bare line feed": lambda a: GET + a + b"X-A: b\nX-B: c\r\n\r\n",
    "bare carriage return": lambda a: GET + a + b"X-A: b\rX-B: c\r\n\r\n",
    "NUL in a header": lambda a: GET + a + b"X-A: a\x00b\r\n\r\n",
    "NUL in the path": lambda a: GET.replace(b"/account", b"/acc\x00ount") + a + b"\r\n",
    "space before the colon": lambda a: GET + a + b"X-A : b\r\n\r\n",
    "no header name": lambda a: GET + a + b": b\r\n\r\n",
    "64 KiB of headers": lambda a: GET + a + b"".join(b"X-%d: %s\r\n" % (n, b"v" * 1000) for n in range(64)) + b"\r\n",
    "one header of 64 KiB": lambda a: GET + a + b"X-A: " + b"v" * 65_536 + b"\r\n\r\n",
    "a header without end": lambda a: GET + a + b"X-A: " + b"v" * 65_536,
    "101 headers": lambda a: GET + a + b"X-A: b\r\n" * 101 + b"\r\n",
    "two hosts": lambda a: GET + b"Host: other\r\n" + a + b"\r\n",
    "no host": lambda a: GET.replace(b"Host: nija\r\n", b"") + a + b"\r\n",
    "trailers": lambda a: PUT + a + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX-Nija-Client-Address: 1\r\n\r\n",
    "chunk with a bare line feed": lambda a: PUT + a + b"Transfer-Encoding: chunked\r\n\r\n1\nx\r\n0\r\n\r\n",
    "chunk size with a prefix": lambda a: PUT + a + b"Transfer-Encoding: chunked\r\n\r\n0x1\r\nx\r\n0\r\n\r\n",
    "an upgrade with a body": lambda a: (
        PUT + a + b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\r\nabc" + SMUGGLED
    ),
    "absolute target": lambda a: GET.replace(b"GET /", b"GET http://other/") + a + b"\r\n",
    "CONNECT": lambda a: b"CONNECT other:443 HTTP/1.1\r\nHost: other:443\r\n" + a + b"\r\n",
    "HTTP/2 preface": lambda _: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/0.9": lambda _: b"GET /api/v1/account/balance\r\n\r\n",
    "TLS to a plain port": lambda _: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 40,
}


async def test_what_two_parsers_could_read_differently_is_refused_and_the_connection_closed(
    gateway: Any, wire: Wire
) -> None:
    taken = []
    for name, request in AMBIGUOUS.items():
        answer = await wire.say(request(wire.auth))
        if not (answer.startswith(b"HTTP/1.1 400 ") or answer == b"") or answer.count(b"HTTP/1.1") > 1:
            taken.append((name, answer))
    assert not taken
    assert not gateway.toy.seen


async def test_a_refusal_is_an_error_in_the_envelope(wire: Wire) -> None:
    answer = await wire.say(AMBIGUOUS["folded header"](wire.auth))
    assert b'"code":"VALIDATION_ERROR"' in answer
    assert b"connection: close" in answer


async def test_byte_by_byte_is_the_same_request(gateway: Any, wire: Wire) -> None:
    request = PUT + wire.auth + b"Connection: close\r\nContent-Length: 3\r\n\r\nabc"
    answer = await wire.say(*(request[i : i + 1] for i in range(len(request))))
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert gateway.toy.seen[0].body == b"abc"


async def test_pipelined_requests_are_answered_in_order(gateway: Any, wire: Wire) -> None:
    one = GET + wire.auth + b"X-Request-ID: request-1\r\n\r\n"
    two = GET + wire.auth + b"X-Request-ID: request-2\r\nConnection: close\r\n\r\n"
    answer = await wire.say(one + two)
    assert answer.count(b"HTTP/1.1 200") == 2
    assert answer.index(b"request-1") < answer.index(b"request-2")


async def test_what_follows_a_refused_request_is_not_read(gateway: Any, wire: Wire) -> None:
    answer = await wire.say(GET + wire.auth + b"X-A : b\r\n\r\n" + GET + wire.auth + b"\r\n")
    assert answer.count(b"HTTP/1.1") == 1
    assert not gateway.toy.seen


async def test_another_protocol_that_is_offered_is_not_followed(gateway: Any, wire: Wire) -> None:
    request = (
        GET + wire.auth + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n"
    )
    answer = await wire.say(request + SMUGGLED)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert [call.path for call in gateway.toy.seen] == ["/api/v1/account/balance"]


async def test_a_chunked_body_arrives_whole(gateway: Any, wire: Wire) -> None:
    head = PUT + wire.auth + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = await wire.say(head, b"3\r\nabc\r\n", b"2;x=y\r\nde\r\n", b"0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert gateway.toy.seen[0].body == b"abcde"


async def test_a_body_that_ends_early_reaches_no_service(gateway: Any, wire: Wire) -> None:
    await wire.say(PUT + wire.auth + b"Content-Length: 10\r\n\r\nabc", close=True)
    assert not gateway.toy.seen


async def test_a_client_that_sends_too_much_still_reads_why(wire: Wire) -> None:
    body = b"x" * (3 * 1024 * 1024)
    answer = await wire.say(PUT + wire.auth + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"PAYLOAD_TOO_LARGE" in answer


async def test_an_announced_body_that_is_too_large_is_not_asked_for(wire: Wire) -> None:
    answer = await wire.say(PUT + wire.auth + b"Expect: 100-continue\r\nContent-Length: 2000000\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413 ")


async def test_a_head_that_does_not_come_to_an_end_is_given_up(gateway: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StrictProtocol, "head_s", 0.05)
    sock = listen("127.0.0.1", 0)
    async with serving(gateway.app, sock, http=protocol_of(gateway, StrictProtocol)):
        hasty = Wire(sock.getsockname()[1], "")
        assert await hasty.say(GET) == b""
        assert await hasty.say(b"\r\n") == b""
        assert await hasty.say(b"") == b""
