"""Load with a history: callers on keep-alive connections, and what became of each request.

What a caller knows of a request is one of: answered; refused (no connection was made, so nothing was sent); unread
(the connection ended without a byte of an answer: whether the server had read the request is in its log, by request
id); broken (an answer began and did not end). A time-out is unknown. Callers run in a thread of their own, so a test
injects its faults in plain order.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlsplit

import httptools
import orjson

ANSWER_S = 40.0
AGAIN_S = 0.02
"""Pause of a caller that was refused."""


@dataclass(slots=True)
class Call:
    """One request. Times are seconds of the monotonic clock; `outcome` as in the module's text, `unknown` until then."""

    method: str
    path: str
    token: str | None = None
    body: Any = None
    note: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    id: str = field(default_factory=lambda: f"load-{secrets.token_hex(8)}")
    begun: float = 0.0
    ended: float = 0.0
    outcome: str = "unknown"
    status: int = 0
    content: Any = None
    retry_after: str | None = None
    last: bool = False
    """The server said `Connection: close`."""

    @property
    def seconds(self) -> float:
        return self.ended - self.begun

    @property
    def code(self) -> str | None:
        """The error code of an answer."""
        return None if self.content is None else (self.content.get("error") or {}).get("code")

    @property
    def data(self) -> Any:
        return None if self.content is None else self.content.get("data")

    @property
    def ok(self) -> bool:
        return self.outcome == "answered" and self.status < 300


class _Answer:
    """What httptools finds in an answer."""

    def __init__(self) -> None:
        self.headers: dict[bytes, bytes] = {}
        self.body = b""
        self.complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.lower()] = value

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.complete = True


class Caller:
    """One keep-alive connection, made anew when it is gone."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._stream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def call(self, call: Call) -> None:
        """Makes the request and records what became of it."""
        call.begun = time.monotonic()
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._call(call)
        except TimeoutError:
            self.close()
        finally:
            call.ended = time.monotonic()

    async def _call(self, call: Call) -> None:
        if self._stream is None:
            try:
                self._stream = await asyncio.open_connection(self._host, self._port)
            except OSError:
                call.outcome = "refused"
                return
        reader, writer = self._stream
        answer, received = _Answer(), False
        parser = httptools.HttpResponseParser(answer)
        try:
            writer.write(self._head(call))
            while not answer.complete:
                data = await reader.read(65536)
                if not data:
                    break
                received = True
                parser.feed_data(data)
        except OSError:
            pass
        if not answer.complete:
            call.outcome = "broken" if received else "unread"
            self.close()
            return
        call.status, call.outcome = parser.get_status_code(), "answered"
        call.content = orjson.loads(answer.body) if answer.body else None
        call.last = answer.headers.get(b"connection", b"").lower() == b"close"
        retry_after = answer.headers.get(b"retry-after")
        call.retry_after = None if retry_after is None else retry_after.decode()
        if call.last:
            self.close()

    def _head(self, call: Call) -> bytes:
        body = b"" if call.body is None else orjson.dumps(call.body)
        headers = {"host": f"{self._host}:{self._port}", "x-request-id": call.id, **call.headers}
        if call.token is not None:
            headers["authorization"] = f"Bearer {call.token}"
        if call.body is not None:
            headers |= {"content-type": "application/json", "content-length": str(len(body))}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"{call.method} {call.path} HTTP/1.1\r\n{lines}\r\n".encode() + body

    def close(self) -> None:
        if self._stream is not None:
            self._stream[1].close()
            self._stream = None

    async def closed(self) -> None:
        """Closes the connection and waits for it: its event loop may end at once."""
        if self._stream is not None:
            _, writer = self._stream
            self.close()
            with suppress(OSError):
                await writer.wait_closed()


Next = Callable[[int], Call | None]
"""The next request of caller number N; None lets it rest for a moment."""


class Load:
    """So many callers, each as fast as its answers come, or together at `rate` requests a second.

    Leaving the context lets every request in hand end. `history` then has all of them.
    """

    def __init__(self, url: str, callers: int, following: Next, *, rate: float | None = None) -> None:
        self._url = url
        self._count = callers
        self._following = following
        self._rate = rate
        self.history: list[Call] = []
        self._over = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(ANSWER_S + 10)
        assert not self._thread.is_alive(), "the load did not end"
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            asyncio.run(self._all())
        except BaseException as error:  # noqa: BLE001 - raised in the test's own thread
            self._failure = error

    async def _all(self) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(self._count):
                group.create_task(self._one(number))

    async def _one(self, number: int) -> None:
        caller = Caller(self._url)
        pause_s = 0.0 if self._rate is None else self._count / self._rate
        due = time.monotonic() + pause_s * number / self._count
        while not self._over.is_set():
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            call = None if self._over.is_set() else self._following(number)
            if call is None:
                await asyncio.sleep(AGAIN_S)
                continue
            self.history.append(call)
            await caller.call(call)
            # Whoever was held up does not catch up with a burst.
            due = max(due + pause_s, time.monotonic() - pause_s)
            if call.outcome != "answered":
                await asyncio.sleep(AGAIN_S)
        await caller.closed()

    def outcomes(self) -> Counter[str]:
        """How many of each: the status of an answer with its error code, or the outcome."""
        return counted(self.history)


def counted(calls: Sequence[Call]) -> Counter[str]:
    """How many calls ended how."""
    return Counter(
        c.outcome if c.outcome != "answered" else f"{c.status} {c.code}" if c.code else str(c.status) for c in calls
    )


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which that share of them lies; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
