"""The asyncio twin of `socket.py`: the same conversation, a task instead of a thread."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from nija_sdk.errors import APIError, AuthenticationFailed, ConnectionFailed, NIJAError, UnexpectedAnswer
from nija_sdk.live import Conversation, Handler, known
from nija_sdk.socket import NETWORK, OPEN_S

log = logging.getLogger("nija_sdk")

H = TypeVar("H", bound=Handler)


class AsyncLiveSocket:
    """The live socket of an `AsyncNIJAClient`. Handlers may be coroutine functions; they run one after the other."""

    def __init__(self, url: str, token: Callable[[bool], Awaitable[str | None]]) -> None:
        self._url = url
        self._token = token
        self._talk = Conversation()
        self._connection: ClientConnection | None = None
        self._task: asyncio.Task[None] | None = None
        self._asking: set[asyncio.Task[None]] = set()

    def on(self, kind: str) -> Callable[[H], H]:
        """A decorator: the function or coroutine function gets the data of every message of this type.

        Raises NIJAError for a type that does not exist.
        """

        known(kind)

        def register(handler: H) -> H:
            asked = self._talk.on(kind, handler)
            if asked is not None and self._connection is not None:
                task = asyncio.get_running_loop().create_task(self._ask(self._connection, asked))
                self._asking.add(task)
                task.add_done_callback(self._asking.discard)
            return handler

        return register

    async def connect(self) -> None:
        """Connects, signs in, subscribes to what has handlers, and returns. Messages go on coming until `close`.

        Raises AuthenticationFailed, ConnectionFailed, and RateLimited or ServerError where it may work later.
        """
        if self._task is not None and not self._task.done():
            return
        connection = await self._opened()
        self._task = asyncio.create_task(self._listen(connection), name="nija-live")

    async def wait(self) -> None:
        """Until the socket is closed."""
        if self._task is not None:
            await asyncio.wait({self._task})

    async def close(self) -> None:
        """Ends it. May be called from a handler."""
        task, connection = self._task, self._connection
        self._connection = None
        if connection is not None:
            await connection.close()
        if task is not None:
            task.cancel()
            if task is not asyncio.current_task():
                await asyncio.wait({task})

    async def _ask(self, connection: ClientConnection, asked: str) -> None:
        try:
            await connection.send(asked)
        except ConnectionClosed:
            log.info("the live socket has just closed; the next connection subscribes")

    async def _opened(self) -> ClientConnection:
        """A connection that is signed in and subscribed. A refused token is renewed once where that is possible."""
        try:
            try:
                return await self._signed_in(await self._token(False))
            except AuthenticationFailed:
                renewed = await self._token(True)
                if renewed is None:
                    raise
                return await self._signed_in(renewed)
        except NETWORK as error:
            raise ConnectionFailed(f"{self._url}: {error}") from error

    async def _signed_in(self, token: str | None) -> ClientConnection:
        connection = await connect(self._url, open_timeout=OPEN_S)
        try:
            await connection.send(self._talk.auth(token))
            async with asyncio.timeout(OPEN_S):
                self._talk.signed_in(await connection.recv())
            # A handler that comes from here on finds the connection and asks by itself.
            subscriptions = self._talk.subscriptions()
            self._connection = connection
            for asked in subscriptions:
                await connection.send(asked)
        except BaseException:
            self._connection = None
            await connection.close()
            raise
        return connection

    async def _listen(self, connection: ClientConnection) -> None:
        current: ClientConnection | None = connection
        while True:
            if current is not None:
                await self._hear(current)
                current = None
            await asyncio.sleep(self._talk.pause_s())
            try:
                current = await self._opened()
            except AuthenticationFailed as error:
                await self._ended(error)
                return
            except NIJAError as error:
                log.warning("the live socket will try again: %s", error)

    async def _hear(self, connection: ClientConnection) -> None:
        """Messages, until the connection ends."""
        try:
            async for text in connection:
                await self._handle(text)
        except ConnectionClosed as error:
            log.info("the live socket was closed (%s)", error.rcvd.code if error.rcvd is not None else "no answer")
        except UnexpectedAnswer as error:
            log.warning("%s", error)
            await connection.close()
        finally:
            self._connection = None

    async def _handle(self, text: str | bytes) -> None:
        handlers, content = self._talk.heard(text)
        for handler in handlers:
            try:
                result = handler(content)
                if inspect.isawaitable(result):
                    await result
            except Exception:
                log.exception("a handler of the live socket failed")

    async def _ended(self, error: APIError) -> None:
        """Nobody who renews the token: handlers of `error` are told, and so is the log."""
        log.error("the live socket ends: %s", error)
        await self._handle(self._talk.as_error(error))
