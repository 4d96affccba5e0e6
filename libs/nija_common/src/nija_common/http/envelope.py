"""The envelope of every JSON answer: success with data, or an error with code, message and details."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from pydantic import BaseModel
from starlette.responses import Response

from nija_common.errors import NijaError
from nija_common.values.clock import Clock
from nija_common.values.times import iso


def success_body(data: Any, now_ms: int) -> bytes:
    """The bytes of a success."""
    return orjson.dumps({"success": True, "data": data, "timestamp": iso(now_ms)}, default=_plain)


def encoded(data: Any) -> bytes:
    """The bytes of an answer's data, for `success_response`; they may be kept and sent many times."""
    return orjson.dumps(data, default=_plain)


def success_response(data: bytes, clock: Clock) -> Response:
    """The answer of data that is JSON already. A route that returns it has nothing validated or built a second time,
    so the type checker alone vouches for its shape: name it as `response_model` for the document."""
    return Response(success_body(orjson.Fragment(data), clock.now_ms()), media_type="application/json")


def error_body(error: NijaError, now_ms: int) -> bytes:
    """The bytes of an error; `details` is always present."""
    body = {
        "success": False,
        "error": {"code": error.code.value, "message": error.message, "details": error.details},
        "timestamp": iso(now_ms),
    }
    return orjson.dumps(body, default=_plain)


def error_headers(error: NijaError) -> dict[str, str]:
    """`Retry-After` where the error has one."""
    return {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}


def error_response(error: NijaError, clock: Clock, headers: Mapping[str, str] | None = None) -> Response:
    """The answer of an error."""
    return Response(
        error_body(error, clock.now_ms()),
        status_code=error.status,
        headers={**error_headers(error), **(headers or {})},
        media_type="application/json",
    )


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise TypeError(f"{type(value).__name__} in an answer")
