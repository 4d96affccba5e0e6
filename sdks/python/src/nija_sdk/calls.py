"""One call, without the network: what is sent, what an answer means, and whether to try again."""

from __future__ import annotations

import os
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlsplit

import httpx

from nija_sdk.errors import APIError, NIJAError, UnexpectedAnswer, error_class
from nija_sdk.records import Record

R = TypeVar("R", bound=Record)

DEFAULT_BASE_URL = "https://api.nija.com/api/v1"
TRIES_AGAIN_ON = (429, 503)
LONGEST_WAIT_S = 60.0


class Omitted(Enum):
    """A parameter that is left out of the request, which is not the same as null."""

    OMITTED = "omitted"


OMITTED: Final = Omitted.OMITTED


@dataclass(frozen=True, slots=True)
class Call:
    """A request to make. `path` has its ids filled in; `safe` says whether it may be repeated without asking."""

    method: str
    path: str
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    idempotency_key: str | None = None

    @property
    def safe(self) -> bool:
        return self.method == "GET" or self.idempotency_key is not None

    def headers(self, token: str | None) -> dict[str, str]:
        headers = {"Accept": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if self.idempotency_key is not None:
            headers["Idempotency-Key"] = self.idempotency_key
        return headers


def made(
    method: str,
    path: str,
    *,
    ids: Mapping[str, str] | None = None,
    query: Mapping[str, Any] | None = None,
    body: Mapping[str, Any] | None = None,
    idempotency_key: str | None = None,
) -> Call:
    """A call; what is OMITTED stays out of it, and ids cannot reach another path. Raises NIJAError for one that is none."""
    for name, value in (ids or {}).items():
        if value in ("", ".", ".."):
            raise NIJAError(f"{value!r} is no {name}")
    filled = path.format(**{name: quote(value, safe="") for name, value in (ids or {}).items()})
    return Call(method, filled, _given(query or {}), None if body is None else _given(body), idempotency_key)


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not OMITTED}


def base_url_of(given: str | None) -> str:
    """The argument, else `NIJA_BASE_URL`, else the hosted platform; without a slash at the end."""
    url = (given or os.environ.get("NIJA_BASE_URL") or DEFAULT_BASE_URL).rstrip("/")
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
        raise NIJAError(f"base_url must be an http or https address ending in /api/v1, not {url!r}")
    return url


def socket_url_of(base_url: str) -> str:
    """The live socket of the same origin."""
    parts = urlsplit(base_url)
    return f"{'wss' if parts.scheme == 'https' else 'ws'}://{parts.netloc}/ws/v1"


def data_of(answer: httpx.Response, kind: type[R]) -> R:
    """The data of a success as a record. Raises APIError for a refusal, UnexpectedAnswer for what is no answer of ours."""
    try:
        content = answer.json()
    except ValueError as error:
        raise UnexpectedAnswer(f"status {answer.status_code} with a body that is not JSON") from error
    if not isinstance(content, dict) or "success" not in content:
        raise UnexpectedAnswer(f"status {answer.status_code} with a body that is not the platform's")
    if content["success"]:
        return kind.of(content.get("data") or {})
    raise _refusal(answer, content.get("error") or {})


def _refusal(answer: httpx.Response, error: Mapping[str, Any]) -> APIError:
    return error_class(answer.status_code)(
        str(error.get("code", "UNKNOWN")),
        str(error.get("message", "")),
        status=answer.status_code,
        details=error.get("details"),
        retry_after=_seconds(answer.headers.get("retry-after")),
        request_id=answer.headers.get("x-request-id"),
    )


def _seconds(text: str | None) -> float | None:
    try:
        return None if text is None else max(0.0, float(text))
    except ValueError:
        return None


def wait_before_again(call: Call, answer: httpx.Response | None, tries: int, most: int) -> float | None:
    """Seconds to wait before the next try; None where there is none. `answer` None: no answer came.

    Only calls that are safe to repeat are repeated, and the platform's own `Retry-After` is kept.
    """
    if not call.safe or tries > most:
        return None
    if answer is not None and answer.status_code not in TRIES_AGAIN_ON:
        return None
    asked = None if answer is None else _seconds(answer.headers.get("retry-after"))
    if asked is not None:
        return asked if asked <= LONGEST_WAIT_S else None
    return random.uniform(0.5, 1.0) * min(0.25 * 2.0**tries, 8.0)
