"""The clients: `NIJAClient` and its async twin. Groups and their methods are generated (`operations.py`)."""

from __future__ import annotations

import asyncio
import threading
import time
from types import TracebackType
from typing import Self, TypeVar

import httpx

from nija_sdk.async_socket import AsyncLiveSocket
from nija_sdk.calls import Call, base_url_of, data_of, made, socket_url_of, wait_before_again
from nija_sdk.errors import AuthenticationFailed, ConnectionFailed
from nija_sdk.models import LoginAnswer, RefreshAnswer
from nija_sdk.operations import AsyncOperations, Operations
from nija_sdk.records import Record
from nija_sdk.socket import LiveSocket

R = TypeVar("R", bound=Record)

TIMEOUT_S = 30.0
MAX_RETRIES = 3
EXPIRED = "TOKEN_EXPIRED"


class _Session:
    """What both clients know: where, and as whom."""

    def __init__(self, api_key: str | None, refresh_token: str | None, base_url: str | None) -> None:
        self.base_url = base_url_of(base_url)
        self.socket_url = socket_url_of(self.base_url)
        self.api_key = api_key
        self.refresh_token = refresh_token

    def signed_in(self, answer: Record) -> None:
        """Keeps the tokens of a login or a refresh."""
        if isinstance(answer, LoginAnswer):
            self.api_key, self.refresh_token = answer.access_token, answer.refresh_token
        elif isinstance(answer, RefreshAnswer):
            self.api_key = answer.access_token

    def may_refresh(self, error: AuthenticationFailed, call: Call) -> bool:
        return error.code == EXPIRED and self.refresh_token is not None and not call.path.startswith("/auth/refresh")

    def refreshing(self) -> Call:
        return made("POST", "/auth/refresh", body={"refresh_token": self.refresh_token})


class NIJAClient(Operations):
    """The platform, called in the plain way. Safe to share between threads.

    `api_key` is an access token; with `refresh_token` (or after `client.auth.login`) an expired one is renewed by
    itself. `base_url` includes `/api/v1`; it defaults to `NIJA_BASE_URL`, then to the hosted platform.
    """

    def __init__(
        self,
        api_key: str | None = None,
        *,
        base_url: str | None = None,
        refresh_token: str | None = None,
        timeout: float = TIMEOUT_S,
        max_retries: int = MAX_RETRIES,
    ) -> None:
        self._session = _Session(api_key, refresh_token, base_url)
        self._http = httpx.Client(timeout=timeout)
        self._max_retries = max_retries
        self._refreshing = threading.Lock()
        super().__init__(self._call)
        self.ws = LiveSocket(self._session.socket_url, self._socket_token)

    @property
    def api_key(self) -> str | None:
        """The access token in use."""
        return self._session.api_key

    @property
    def base_url(self) -> str:
        return self._session.base_url

    def _call(self, call: Call, kind: type[R]) -> R:
        used = self._session.api_key
        try:
            answer = data_of(self._sent(call, used), kind)
        except AuthenticationFailed as error:
            if not self._session.may_refresh(error, call):
                raise
            self._renew(used)
            answer = data_of(self._sent(call, self._session.api_key), kind)
        self._session.signed_in(answer)
        return answer

    def _renew(self, used: str | None) -> None:
        """A new access token, once for all threads whose calls met the expired one."""
        with self._refreshing:
            if self._session.api_key == used:
                self._session.signed_in(data_of(self._sent(self._session.refreshing(), None), RefreshAnswer))

    def _socket_token(self, renewed: bool) -> str | None:
        """The token for a socket; a renewed one where the last was refused, None where it cannot be renewed."""
        if renewed:
            if self._session.refresh_token is None:
                return None
            self._renew(self._session.api_key)
        return self._session.api_key

    def _sent(self, call: Call, token: str | None) -> httpx.Response:
        tries = 0
        while True:
            tries += 1
            answer: httpx.Response | None = None
            failure: httpx.TransportError | None = None
            try:
                answer = self._http.request(
                    call.method,
                    f"{self._session.base_url}{call.path}",
                    params=dict(call.query),
                    json=call.body,
                    headers=call.headers(token),
                )
            except httpx.TransportError as error:
                failure = error
            wait = wait_before_again(call, answer, tries, self._max_retries)
            if wait is None:
                if answer is None:
                    raise ConnectionFailed(f"{call.method} {call.path}: {failure}") from failure
                return answer
            time.sleep(wait)

    def close(self) -> None:
        """Ends the socket and the connections."""
        self.ws.close()
        self._http.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.base_url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncNIJAClient(AsyncOperations):
    """The same for asyncio: every method is awaited, `ws.connect` too."""

    def __init__(
        self,
        api_key: str | None = None,
        *,
        base_url: str | None = None,
        refresh_token: str | None = None,
        timeout: float = TIMEOUT_S,
        max_retries: int = MAX_RETRIES,
    ) -> None:
        self._session = _Session(api_key, refresh_token, base_url)
        self._http = httpx.AsyncClient(timeout=timeout)
        self._max_retries = max_retries
        self._refreshing = asyncio.Lock()
        super().__init__(self._call)
        self.ws = AsyncLiveSocket(self._session.socket_url, self._socket_token)

    @property
    def api_key(self) -> str | None:
        """The access token in use."""
        return self._session.api_key

    @property
    def base_url(self) -> str:
        return self._session.base_url

    async def _call(self, call: Call, kind: type[R]) -> R:
        used = self._session.api_key
        try:
            answer = data_of(await self._sent(call, used), kind)
        except AuthenticationFailed as error:
            if not self._session.may_refresh(error, call):
                raise
            await self._renew(used)
            answer = data_of(await self._sent(call, self._session.api_key), kind)
        self._session.signed_in(answer)
        return answer

    async def _renew(self, used: str | None) -> None:
        async with self._refreshing:
            if self._session.api_key == used:
                self._session.signed_in(data_of(await self._sent(self._session.refreshing(), None), RefreshAnswer))

    async def _socket_token(self, renewed: bool) -> str | None:
        if renewed:
            if self._session.refresh_token is None:
                return None
            await self._renew(self._session.api_key)
        return self._session.api_key

    async def _sent(self, call: Call, token: str | None) -> httpx.Response:
        tries = 0
        while True:
            tries += 1
            answer: httpx.Response | None = None
            failure: httpx.TransportError | None = None
            try:
                answer = await self._http.request(
                    call.method,
                    f"{self._session.base_url}{call.path}",
                    params=dict(call.query),
                    json=call.body,
                    headers=call.headers(token),
                )
            except httpx.TransportError as error:
                failure = error
            wait = wait_before_again(call, answer, tries, self._max_retries)
            if wait is None:
                if answer is None:
                    raise ConnectionFailed(f"{call.method} {call.path}: {failure}") from failure
                return answer
            await asyncio.sleep(wait)

    async def close(self) -> None:
        """Ends the socket and the connections."""
        await self.ws.close()
        await self._http.aclose()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.base_url!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
