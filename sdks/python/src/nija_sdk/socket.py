"""Live updates: `client.ws`. Reconnects, signs in again and goes on where it was, until it is closed.

@client.ws.on("position_update")
def show(data): print(data.symbol, data.unrealized_pnl)

client.ws.connect()      # returns once signed in; a thread of its own brings the messages
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TypeVar

from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import ClientConnection, connect

from nija_sdk.errors import APIError, AuthenticationFailed, ConnectionFailed, NIJAError, UnexpectedAnswer
from nija_sdk.live import Conversation, Handler, known

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
        self._subscribing = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()

    def on(self, kind: str) -> Callable[[H], H]:
        """A decorator: the function gets the data of every message of this type.

        Raises NIJAError for a type that does not exist.
        """

        known(kind)

        def register(handler: H) -> H:
            with self._subscribing:
                asked = self._talk.on(kind, handler)
                if asked is not None and self._connection is not None:
                    try:
                        self._connection.send(asked)
                    except ConnectionClosed:
                        log.info("the live socket has just closed; the next connection subscribes")
            return handler

        return register

    def connect(self) -> None:
        """Connects, signs in, subscribes to what has handlers, and returns. Messages go on coming until `close`.

        Raises AuthenticationFailed, ConnectionFailed, and RateLimited or ServerError where it may work later.
        """
        if self._thread is not None and self._thread.is_alive():
            return
        self._closing.clear()
        connection = self._opened()
        # No daemon: a script that has nothing left to do but listen goes on listening.
        self._thread = threading.Thread(target=self._listen, args=(connection,), name="nija-live")
        self._thread.start()

    def wait(self, timeout: float | None = None) -> None:
        """Blocks until the socket is closed, or for so many seconds."""
        if self._thread is not None:
            self._thread.join(timeout)

    def close(self) -> None:
        """Ends it. May be called from a handler."""
        self._closing.set()
        connection = self._connection
        if connection is not None:
            connection.close()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _opened(self) -> ClientConnection:
        """A connection that is signed in and subscribed. A refused token is renewed once where that is possible."""
        try:
            try:
                return self._signed_in(self._token(False))
            except AuthenticationFailed:
                renewed = self._token(True)
                if renewed is None:
                    raise
                return self._signed_in(renewed)
        except NETWORK as error:
            raise ConnectionFailed(f"{self._url}: {error}") from error

    def _signed_in(self, token: str | None) -> ClientConnection:
        # Entered and never left: it lives as long as the socket does, and `close` does what leaving would.
        connection = connect(self._url, open_timeout=OPEN_S).__enter__()
        try:
            connection.send(self._talk.auth(token))
            self._talk.signed_in(connection.recv(OPEN_S))
            with self._subscribing:
                for asked in self._talk.subscriptions():
                    connection.send(asked)
                self._connection = connection
        except BaseException:
            connection.close()
            raise
        return connection

    def _listen(self, connection: ClientConnection) -> None:
        current: ClientConnection | None = connection
        while not self._closing.is_set():
            if current is not None:
                self._hear(current)
                current = None
            if self._closing.wait(self._talk.pause_s()):
                break
            try:
                current = self._opened()
            except AuthenticationFailed as error:
                self._ended(error)
                break
            except NIJAError as error:
                log.warning("the live socket will try again: %s", error)
        if current is not None:
            self._connection = None
            current.close()

    def _hear(self, connection: ClientConnection) -> None:
        """Messages, until the connection ends."""
        try:
            for text in connection:
                self._handle(text)
        except ConnectionClosed as error:
            log.info("the live socket was closed (%s)", error.rcvd.code if error.rcvd is not None else "no answer")
        except UnexpectedAnswer as error:
            log.warning("%s", error)
            connection.close()
        finally:
            self._connection = None

    def _handle(self, text: str | bytes) -> None:
        handlers, content = self._talk.heard(text)
        for handler in handlers:
            try:
                handler(content)
            except Exception:
                log.exception("a handler of the live socket failed")

    def _ended(self, error: APIError) -> None:
        """Nobody who renews the token: handlers of `error` are told, and so is the log."""
        log.error("the live socket ends: %s", error)
        self._handle(self._talk.as_error(error))
