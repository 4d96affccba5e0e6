"""The gateway with every service behind a real server: the same promises as in process."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

from nija_common.runtime.server import address_of, listen, serving
from nija_gateway.api.edge import Edge
from nija_gateway.deps import Times

BALANCE = "/api/v1/account/balance"
SETTINGS = "/api/v1/config/settings"


async def test_calls_are_relayed_with_their_bodies_and_limits(start: Any) -> None:
    async with start(over_http=True) as gateway:
        client = gateway.client("usr_a")
        small = await client.get(f"{BALANCE}?symbol=BTC-USD")
        large = await client.put(SETTINGS, content=b"x" * 1024 * 1024)
        head = await client.head(BALANCE)
        assert (small.status_code, large.json()["data"]["bytes"], head.content) == (200, 1024 * 1024, b"")
        assert head.headers["content-length"] == small.headers["content-length"]
        assert [a.headers["x-ratelimit-remaining"] for a in (small, large, head)] == ["99", "98", "97"]
        assert small.headers["x-request-id"] == gateway.toy.seen[0].header("x-request-id")
        assert gateway.toy.seen[0].query == b"symbol=BTC-USD"
        assert len(small.headers.get_list("date")) <= 1


async def test_a_chunked_body_above_a_mebibyte_is_413_and_nothing_happens(start: Any) -> None:
    async def pieces() -> Any:
        for _ in range(17):
            yield b"x" * 65_536

    async with start(over_http=True) as gateway:
        answer = await gateway.client("usr_a").put(SETTINGS, content=pieces())
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")
        assert not gateway.toy.seen


async def test_many_calls_at_once_are_not_mixed_up(start: Any) -> None:
    async with start(over_http=True) as gateway:
        client = gateway.client("usr_a")
        sizes = range(90)
        answers = await asyncio.gather(*(client.put(SETTINGS, content=b"x" * n) for n in sizes))
        assert [a.json()["data"]["bytes"] for a in answers] == list(sizes)


async def test_a_service_that_goes_and_comes_back(start: Any) -> None:
    sock = listen("127.0.0.1", 0)
    address, port = address_of(sock), sock.getsockname()[1]
    async with start({"NIJA_UPSTREAMS__ACCOUNTS": address}) as gateway:
        client = gateway.client("usr_a")
        async with serving(gateway.toy.app, sock):
            assert (await client.get(BALANCE)).status_code == 200
        assert {(await client.get(BALANCE)).status_code for _ in range(6)} == {503}
        async with serving(gateway.toy.app, listen("127.0.0.1", port)):
            gateway.clock.advance(1)
            assert (await client.get(BALANCE)).status_code == 200


async def test_a_half_open_service_costs_its_own_callers_only(start: Any) -> None:
    """Connections are accepted, nothing is ever answered (promise 2): others go on, the callers get 503."""

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with start({"NIJA_UPSTREAMS__ACCOUNTS": address}) as gateway:
        deps = gateway.platform.deps("gateway")
        gateway.platform.node.local.apps["gateway"] = Edge(dataclasses.replace(deps, times=Times(answer=0.3)))
        client = gateway.client("usr_a")
        stuck = [asyncio.create_task(client.get(BALANCE)) for _ in range(10)]
        await asyncio.sleep(0)
        others = [(await client.get("/api/v1/account/performance")).status_code for _ in range(10)]
        assert others == [200] * 10
        assert not any(call.done() for call in stuck)
        assert {(await call).status_code for call in stuck} == {503}
        assert (await client.get(BALANCE)).status_code == 503
    server.close()
    await server.wait_closed()
