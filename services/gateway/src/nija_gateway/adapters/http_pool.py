"""The connections to a service at an address: the one used last is used next, old ones are let go."""

from __future__ import annotations

import asyncio
from typing import cast

from nija_gateway.adapters.http_connection import Connection
from nija_gateway.ports import ServiceConnection, UpstreamFailed

CONNECT_S = 1.0
CONNECT_TRIES = 3
"""A refused connection has carried nothing, so another is tried at once: behind one address there may be several
processes, of which one has just ended."""
MAX_IDLE_S = 30.0
"""Shorter than the services' own 75 s, so that it is not they who close while we write."""
MAX_IDLE_CONNECTIONS = 256


class Pool:
    """Implements `Connections`."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._idle: list[Connection] = []

    def take(self) -> Connection | None:
        idle = self._idle
        if not idle:
            return None
        oldest = asyncio.get_running_loop().time() - MAX_IDLE_S
        while idle:
            connection = idle.pop()
            if connection.alive and connection.idle_since > oldest:
                return connection
            connection.close()
        return None

    async def connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        tries = 0
        try:
            async with asyncio.timeout(CONNECT_S):
                while True:
                    try:
                        _, connection = await loop.create_connection(Connection, self._host, self._port)
                    except ConnectionRefusedError:
                        tries += 1
                        if tries == CONNECT_TRIES:
                            raise
                    else:
                        return connection
        except TimeoutError:
            raise UpstreamFailed("connect", f"no connection within {CONNECT_S} s") from None
        except OSError as error:
            raise UpstreamFailed("connect", error.strerror or str(error)) from error

    def give_back(self, connection: ServiceConnection, *, whole: bool) -> None:
        kept = cast("Connection", connection)
        if whole and kept.reusable and len(self._idle) < MAX_IDLE_CONNECTIONS:
            kept.resume_reading()
            kept.idle_since = asyncio.get_running_loop().time()
            self._idle.append(kept)
        else:
            kept.close()
            if kept.last:
                # The service leaves: what it would close in a moment must not be written to by then.
                self.close()

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()
