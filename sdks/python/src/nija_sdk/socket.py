"""Live updates: `client.ws`. Reconnects, signs in again and goes on where it was, until it is closed.

    @client.ws.on("position_update")
    def show(data): print(data.symbol, data.unrealized_pnl)

    client.ws.connect()      # returns once signed in; a thread of its own brings the messages
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from websockets.asyncio.client import ClientConnection as AsyncConnection
from websockets.asyncio.client import connect as connect_async
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as connect_sync

from nija_sdk.errors import AuthenticationFailed, ConnectionFailed
from nija_sdk.live import REFUSED, Conversation, Handler

log = logging.getLogger("nija_sdk")

H = TypeVar("H", bound=Handler)

OPEN_S = 10.0
NETWORK = (OSError, ConnectionClosed, InvalidHandshake, TimeoutError)


class LiveSocket:
    """The live socket of a `NIJAClient`. Handlers run one after the other in its thread."""

    def __init__(self, url: str, token: Callable[[bool], str | None]) -> None:
        self._url = url
        self._token = token
        self._talk = Conversation()
        self._connection: ClientConnection | None = None
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()

    def on(self, kind: str) -> Callable[[H], H]:
        """A decorator: the function gets the data of every message of this type."""

        def register(handler: H) -> H:
            self._talk.on(kind, handler)
            if self._connection is not None:
                for asked in self._talk.subscriptions():
                    self._connection.send(asked)
            return handler

        return register

    def connect(self) -> None:
        """Connects, signs in, subscribes to what has handlers, and returns. Messages go on coming until `close`.

        Raises AuthenticationFailed, ConnectionFailed.
        """
        if self._thread is not None and self._thread.is_alive():
            return
        self._closing.clear()
        try:
            connection = self._opened()
        except NETWORK as error:
            raise ConnectionFailed(f"{self._url}: {error}") from error
        # No daemon: a script that has nothing left to do but listen goes on listening.
        self._thread = threading.Thread(target=self._listen, args=(connection,), name="nija-live")
        self._thread.start()

    def wait(self, timeout: float | None = None) -> None:
        """Blocks until the socket is closed, or for so many seconds."""
        if self._thread is not None:
            self._thread.join(timeout)

    def close(self) -> None:
        """Ends it."""
        self._closing.set()
        if self._connection is not None:
            self._connection.close()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _opened(self) -> ClientConnection:
        """A connection that is signed in and subscribed. An expired token is renewed once where that is possible."""
        for expired in (False, True):
            connection = connect_sync(self._url, open_timeout=OPEN_S)
            try:
                connection.send(self._talk.auth(self._token(expired)))
                self._talk.signed_in(connection.recv(OPEN_S))
                for asked in self._talk.subscriptions():
                    connection.send(asked)
            except AuthenticationFailed:
                connection.close()
                if expired:
                    raise
                continue
            except BaseException:
                connection.close()
                raise
            self._connection = connection
            return connection
        raise AssertionError("unreachable")

    def _listen(self, connection: ClientConnection) -> None:
        current: ClientConnection | None = connection
        while not self._closing.is_set():
            if current is not None:
                self._hear(current)
            if self._closing.wait(self._talk.pause_s()):
                break
            try:
                current = self._opened()
            except AuthenticationFailed as error:
                log.error("the live socket ends: %s", error)
                return
            except NETWORK as error:
                current = None
                log.warning("the live socket will try again: %s", error)

    def _hear(self, connection: ClientConnection) -> None:
        """Messages, until the connection ends."""
        try:
            for text in connection:
                handlers, content = self._talk.heard(text)
                for handler in handlers:
                    try:
                        handler(content)
                    except Exception:
                        log.exception("a handler of the live socket failed")
        except ConnectionClosed as error:
            code = error.rcvd.code if error.rcvd is not None else None
            log.info("the live socket was closed (%s)", "signed out" if code == REFUSED else code)
        finally:
            self._connection = None


class AsyncLiveSocket:
    """The live socket of an `AsyncNIJAClient`. Handlers may be coroutines."""

    def __init__(self, url: str, token: Callable[[bool], Awaitable[str | None]]) -> None:
        self._url = url
        self._token = token
        self._talk = Conversation()
        self._connection: AsyncConnection | None = None
        self._task: asyncio.Task[None] | None = None

    def on(self, kind: str) -> Callable[[H], H]:
        """A decorator: the function or coroutine function gets the data of every message of this type.

        Register before `connect`: what has a handler then is subscribed to.
        """

        def register(handler: H) -> H:
            self._talk.on(kind, handler)
            return handler

        return register

    async def connect(self) -> None:
        """As `LiveSocket.connect`; a task brings the messages."""
        if self._task is not None and not self._task.done():
            return
        try:
            connection = await self._opened()
        except NETWORK as error:
            raise ConnectionFailed(f"{self._url}: {error}") from error
        self._task = asyncio.create_task(self._listen(connection), name="nija-live")

    async def wait(self) -> None:
        """Until the socket is closed."""
        if self._task is not None:
            await asyncio.wait({self._task})

    async def close(self) -> None:
        """Ends it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    async def _opened(self) -> AsyncConnection:
        for expired in (False, True):
            connection = await connect_async(self._url, open_timeout=OPEN_S)
            try:
                await connection.send(self._talk.auth(await self._token(expired)))
                async with asyncio.timeout(OPEN_S):
                    self._talk.signed_in(await connection.recv())
                for asked in self._talk.subscriptions():
                    await connection.send(asked)
            except AuthenticationFailed:
                await connection.close()
                if expired:
                    raise
                continue
            except BaseException:
                await connection.close()
                raise
            self._connection = connection
            return connection
        raise AssertionError("unreachable")

    async def _listen(self, connection: AsyncConnection) -> None:
        current: AsyncConnection | None = connection
        while True:
            if current is not None:
                await self._hear(current)
            await asyncio.sleep(self._talk.pause_s())
            try:
                current = await self._opened()
            except AuthenticationFailed as error:
                log.error("the live socket ends: %s", error)
                return
            except NETWORK as error:
                current = None
                log.warning("the live socket will try again: %s", error)

    async def _hear(self, connection: AsyncConnection) -> None:
        try:
            async for text in connection:
                handlers, content = self._talk.heard(text)
                for handler in handlers:
                    await _handled(handler, content)
        except ConnectionClosed as error:
            log.info("the live socket was closed (%s)", error.rcvd.code if error.rcvd is not None else None)
        finally:
            self._connection = None


async def _handled(handler: Handler, content: Any) -> None:
    try:
        result = handler(content)
        if inspect.isawaitable(result):
            await result
    except Exception:
        log.exception("a handler of the live socket failed")
