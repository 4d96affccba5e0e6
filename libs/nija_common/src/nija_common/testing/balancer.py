"""A TCP balancer as Kubernetes' Service is one: new connections go to backends whose `/readyz` said 200 when it was last
asked, in turn; connections that are there stay where they are."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Self

ASK_S = 0.2
ANSWER_S = 2.0


class Balancer:
    """Listens on `port` and passes on to backends (ports of this machine), in a thread of its own."""

    def __init__(self, port: int, backends: Sequence[int]) -> None:
        self._port = port
        self._backends = tuple(backends)
        self._ready: set[int] = set()
        self._turn = itertools.count()
        self._loop = asyncio.new_event_loop()
        self._over: asyncio.Event | None = None
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"balancer-{port}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._listening.wait(10), "the balancer does not listen"
        return self

    def __exit__(self, *_: object) -> None:
        if self._over is not None:
            self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(10)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._over = asyncio.Event()
        server = await asyncio.start_server(self._pass_on, "127.0.0.1", self._port)
        watches = [asyncio.create_task(self._watch(port)) for port in self._backends]
        self._listening.set()
        await self._over.wait()
        server.close()
        for watch in watches:
            watch.cancel()

    async def _watch(self, port: int) -> None:
        while True:
            ready = False
            with suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
                async with asyncio.timeout(ANSWER_S):
                    ready = await _is_ready(port)
            (self._ready.add if ready else self._ready.discard)(port)
            await asyncio.sleep(ASK_S)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ready = sorted(self._ready)
        try:
            if not ready:
                raise ConnectionRefusedError
            backend = ready[next(self._turn) % len(ready)]
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", backend)
        except OSError:
            writer.transport.abort()
            return
        await asyncio.gather(_copy(reader, inner_writer), _copy(inner_reader, writer))


async def _is_ready(port: int) -> bool:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(b"GET /readyz HTTP/1.1\r\nhost: probe\r\nconnection: close\r\n\r\n")
        return b" 200 " in await reader.readuntil(b"\r\n")
    finally:
        writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until one side ends; then the other is told."""
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    with suppress(OSError):
        writer.close()
